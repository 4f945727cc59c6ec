//! Ties a queue to the ledger; where the queue is new and the ledger is not, what waited is published again.

use jiff::Timestamp;

use super::EnqueueError;
use crate::ledger::Ledger;
use crate::queue::Queue;

/// Ties a queue to the ledger, or finds it tied already.
///
/// A queue that was tied to none although the ledger has messages on a queue has lost everything, or is another
/// one: those messages are published again. Returns how many there were; none where the queue was tied, or nothing
/// was on it.
///
/// # Errors
///
/// [`crate::queue::QueueError::BoundElsewhere`] when it belongs to another ledger; those of the two stores.
pub async fn bind_queue(
    ledger: &dyn Ledger,
    queue: &dyn Queue,
    now: Timestamp,
) -> Result<Option<u64>, EnqueueError> {
    let was_bound = queue.is_bound().await?;
    queue.bind(&ledger.id().await?).await?;
    if was_bound {
        return Ok(None);
    }
    let on_queue = ledger.on_queue(now).await?;
    if on_queue
        .values()
        .all(|one| one.ready + one.held + one.delayed == 0)
    {
        return Ok(None);
    }
    let again = ledger.broker_lost(now).await?;
    tracing::error!(
        messages = again,
        "the queue holds nothing of this ledger any more: the broker has lost its disk, or it is another one; all \
         that waited on it is published again; messages of publishers that no consumer had read are lost"
    );
    Ok(Some(again))
}
