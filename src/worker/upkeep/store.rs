//! Watches a ledger whose store is lost until it is back.
//!
//! In: the watched ledger. Out: one log line when it is lost and one when it is back. Always: while it is lost, this
//! task alone retries it, again and again.

use std::convert::Infallible;
use std::time::Duration;

use crate::worker::WorkerState;

/// The first and the longest wait before a lost store is retried. Each wait is twice the one before.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const WAIT_MAX: Duration = Duration::from_secs(1);

/// What an operator must do about a ledger that does not come back by itself.
pub(in crate::worker) const WHEN_LOST_FOR_GOOD: &str = "stop flexcast, keep a copy of the ledger as it is, restore the \
    last backup, and read the runbook \"Restore the ledger\" before you start again";

/// Watches the ledger for as long as the future is polled.
pub(in crate::worker) async fn keep(shared: &WorkerState) -> Infallible {
    let (ledger, clock) = (&shared.parts.ledger, shared.parts.clock);
    loop {
        ledger.lost().await;
        let since = clock.instant();
        if let Some(loss) = ledger.loss().filter(|loss| !loss.for_good) {
            tracing::error!(why = %loss.why, "the ledger is lost: nothing is taken or begun until it is back");
        }
        let mut wait = FIRST_WAIT;
        loop {
            if let Some(loss) = ledger.loss().filter(|loss| loss.for_good) {
                tracing::error!(
                    why = %loss.why, what_to_do = WHEN_LOST_FOR_GOOD,
                    "the ledger is lost for good: nothing is taken or begun any more"
                );
                return std::future::pending().await;
            }
            clock.sleep(wait).await;
            if ledger.try_again().await {
                break;
            }
            wait = WAIT_MAX.min(wait * 2);
        }
        tracing::info!(
            after_s = since.elapsed().as_secs_f64(),
            "the ledger is back"
        );
    }
}
