//! Binds a queue to the ledger. If the queue is new and the ledger is not, the waiting messages are published
//! again.

use jiff::Timestamp;

use super::EnqueueError;
use crate::ledger::{BrokerLost, Ledger, LedgerError, MARKED_AT_ONCE};
use crate::queue::Queue;

/// Binds a queue to the ledger. Succeeds when it is bound to this ledger already.
///
/// If the queue is unbound although the ledger has messages on a queue, the queue has lost all messages or is
/// another one: those messages are published again. Returns their number; `None` if the queue was bound, had no
/// messages, or another process has just marked them.
///
/// # Errors
///
/// [`crate::queue::QueueError::BoundElsewhere`] when the queue is bound to another ledger; the errors of ledger and
/// queue.
pub async fn bind_queue(
    ledger: &Ledger,
    queue: &dyn Queue,
    now: Timestamp,
) -> Result<Option<u64>, EnqueueError> {
    // Read before the check of the queue, to detect another process that marks the messages meanwhile.
    let after = ledger.broker_lost_at().await?;
    let is_new = !queue.is_bound().await?;
    let id = ledger.id().await?;
    let mut again = None;
    if is_new {
        let on_queue = ledger.on_queue(now).await?;
        let mut counts = on_queue.values();
        if counts.any(|one| one.ready + one.held + one.delayed > 0) {
            // Before the binding: after a crash between the two, this is done again.
            again = mark_all(ledger, after, now).await?;
        }
    }
    queue.bind(&id).await?;
    if let Some(messages) = again {
        tracing::error!(
            messages,
            "the queue has lost all messages of this ledger: the broker has lost its disk, or it is another broker; \
             the waiting messages are published again; publishers' messages that no consumer had read are lost"
        );
    }
    Ok(again)
}

/// Marks all messages that were on the queue, in batches: a ledger may hold millions.
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
