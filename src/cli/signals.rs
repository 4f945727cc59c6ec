//! Ctrl-C and SIGTERM: the first asks everything to stop, the second ends the process.

use tokio::signal::unix::{SignalKind, signal};

use crate::shutdown::Stopper;

use super::Problem;

/// The exit code after a second Ctrl-C: 128 and the signal's number, as shells have it.
const INTERRUPTED: i32 = 130;

/// A stopper that the first SIGINT or SIGTERM stops.
///
/// # Errors
///
/// When the operating system gives no handler.
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
                tell!("stopped at once; what was in flight is found again by the next run");
                std::process::exit(INTERRUPTED);
            }
            asked.stop();
        }
    });
    Ok(stop)
}
