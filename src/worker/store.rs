//! What the consumer does about a ledger whose store is lost: nothing, until it is back.
//!
//! In: the watched ledger. Out: a line in the log when it is lost and one when it is back. Always: it
//! is asked again and again while it is lost, and by nobody else; leases that could not be given back
//! meanwhile are given back first, so that their messages need not wait until they run out.

use std::convert::Infallible;
use std::sync::PoisonError;
use std::time::Duration;

use crate::ledger::{Lease, Ledger, LedgerError, Settlement};

use super::Shared;

/// The first wait before a lost store is asked again, and the longest; each is twice the one before.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Watches for as long as it is polled.
pub(super) async fn keep(shared: &Shared) -> Infallible {
    let (ledger, clock) = (&shared.parts.ledger, shared.parts.clock);
    loop {
        ledger.lost().await;
        let since = clock.instant();
        let why = ledger.why_lost().unwrap_or_default();
        tracing::error!(%why, "the ledger is lost: nothing is taken or begun until it is back");
        let mut wait = FIRST_WAIT;
        loop {
            clock.sleep(wait).await;
            if ledger.probe().await {
                break;
            }
            wait = WAIT_MAX.min(wait * 2);
        }
        tracing::info!(
            after_s = since.elapsed().as_secs_f64(),
            "the ledger is back"
        );
        give_back(shared).await;
    }
}

impl Shared {
    /// Keeps in mind that this lease could not be given back.
    pub(super) fn abandon(&self, lease: Lease) {
        let mut abandoned = self
            .abandoned
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        abandoned.push(lease);
    }

    fn take_abandoned(&self) -> Option<Lease> {
        let mut abandoned = self
            .abandoned
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        abandoned.pop()
    }
}

/// Ends the leases of messages that were let go of while the ledger was lost. Nothing is written to
/// their journals: what stands there, whoever takes the message next reads.
async fn give_back(shared: &Shared) {
    let parts = &shared.parts;
    while let Some(lease) = shared.take_abandoned() {
        let now = parts.clock.now();
        let settlement = Settlement::Released { queued: true };
        match parts.ledger.settle(&lease, &[], &settlement, now).await {
            // Settled after all, or somebody else's by now.
            Ok(()) | Err(LedgerError::LeaseLost) => {}
            Err(error) => {
                tracing::debug!(message.id = %lease.key.id, %error, "the lease has to run out");
            }
        }
    }
}
