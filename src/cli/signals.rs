//! Ctrl-C and SIGTERM: the first one stops the command in order, the second one ends the process.

use tokio::signal::unix::{SignalKind, signal};

use crate::shutdown::Stopper;

use super::Problem;

/// The exit code after a second Ctrl-C: 128 plus the number of SIGINT, as in shells.
const INTERRUPTED: i32 = 130;

/// Returns a stopper that the first SIGINT or SIGTERM stops.
///
/// # Errors
///
/// An error when the operating system refuses a signal handler.
pub(super) fn stopper() -> Result<Stopper, Problem> {
    let stop = Stopper::new();
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut terminations = signal(SignalKind::terminate())?;
    let asked = stop.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupts.recv() => {}
                _ = terminations.recv() => {}
            }
            if asked.is_stopped() {
                tell!("stopped at once; the next run finds the messages that were in flight");
                std::process::exit(INTERRUPTED);
            }
            asked.stop();
        }
    });
    Ok(stop)
}
