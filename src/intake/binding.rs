//! Ties a queue to the ledger; where the queue is new and the ledger is not, what waited is published again.

use jiff::Timestamp;

use super::EnqueueError;
use crate::ledger::{BrokerLost, Ledger, LedgerError, MARKED_AT_ONCE};
use crate::queue::Queue;

/// Ties a queue to the ledger, or finds it tied already.
///
/// A queue that was tied to none although the ledger has messages on a queue has lost everything, or is another
/// one: those messages are published again. Returns how many there were; none where the queue was tied, nothing
/// was on it, or another process has just marked them.
///
/// # Errors
///
/// [`crate::queue::QueueError::BoundElsewhere`] when it belongs to another ledger; those of the two stores.
pub async fn bind_queue(
    ledger: &Ledger,
    queue: &dyn Queue,
    now: Timestamp,
) -> Result<Option<u64>, EnqueueError> {
    // Before the look at the queue: who marks in between is seen.
    let after = ledger.broker_lost_at().await?;
    let is_new = !queue.is_bound().await?;
    let id = ledger.id().await?;
    let mut again = None;
    if is_new {
        let on_queue = ledger.on_queue(now).await?;
        let mut counts = on_queue.values();
        if counts.any(|one| one.ready + one.held + one.delayed > 0) {
            // Before the queue is tied: what breaks off between the two is done again.
            again = mark_all(ledger, after, now).await?;
        }
    }
    queue.bind(&id).await?;
    if let Some(messages) = again {
        tracing::error!(
            messages,
            "the queue holds nothing of this ledger any more: the broker has lost its disk, or it is another one; \
             all that waited on it is published again; messages of publishers that no consumer had read are lost"
        );
    }
    Ok(again)
}

/// Marks all that waited on the queue, a batch at a time: a ledger may hold millions.
async fn mark_all(
    ledger: &Ledger,
    after: Option<Timestamp>,
    now: Timestamp,
) -> Result<Option<u64>, LedgerError> {
    let lost = BrokerLost {
        after,
        now,
        limit: MARKED_AT_ONCE,
    };
    let mut all = 0;
    loop {
        let Some(marked) = ledger.broker_lost(&lost).await? else {
            return Ok(None);
        };
        all += marked;
        if marked < MARKED_AT_ONCE as u64 {
            return Ok(Some(all));
        }
    }
}
