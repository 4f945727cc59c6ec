//! Publishes accepted messages and records the publication in the ledger.

use bytes::Bytes;

use crate::ledger::{Ledger, LedgerError, Publication};
use crate::message::{CampaignId, Message};
use crate::queue::{Outgoing, Queue, QueueError};

/// Why messages were not published. They stay in the ledger and are published later.
#[derive(Debug, thiserror::Error)]
pub enum EnqueueError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// Publishes messages to their campaign's queue and records it.
///
/// # Errors
///
/// [`EnqueueError`]: some messages may be on the queue; consumers deduplicate.
pub async fn enqueue(
    queue: &dyn Queue,
    ledger: &Ledger,
    campaign: &CampaignId,
    messages: &[(Publication, Message)],
) -> Result<(), EnqueueError> {
    let outgoing: Vec<Outgoing> = messages
        .iter()
        .map(|(_, message)| Outgoing {
            id: message.id(),
            body: Bytes::from(message.to_json()),
        })
        .collect();
    queue.publish(campaign, &outgoing).await?;
    let published: Vec<Publication> = messages.iter().map(|(listed, _)| listed.clone()).collect();
    ledger.mark_queued(&published).await?;
    Ok(())
}
