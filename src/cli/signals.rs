//! Ctrl-C and SIGTERM: the first one stops the command in order, the second one ends the process.

use tokio::signal::unix::{SignalKind, signal};

use crate::shutdown::Stopper;

use super::Problem;
use super::voice::Voice;

/// The exit code after a second Ctrl-C: 128 plus the number of SIGINT, as in shells.
const INTERRUPTED: i32 = 130;

/// Returns a stopper that the first SIGINT or SIGTERM stops. The command itself says what it then waits for.
///
/// # Errors
///
/// An error when the operating system refuses a signal handler.
pub(super) fn stopper(voice: Voice) -> Result<Stopper, Problem> {
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
                voice.say(
                    "Stopped at once. The next run continues the messages that were in flight.",
                );
                std::process::exit(INTERRUPTED);
            }
            asked.stop();
        }
    });
    Ok(stop)
}
