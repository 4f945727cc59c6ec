//! From the ledger onto the queue: what was accepted is published, and recorded as published.

use bytes::Bytes;

use crate::ledger::{Ledger, LedgerError, Publication};
use crate::message::{CampaignId, Message};
use crate::queue::{Outgoing, Queue, QueueError};

/// Why messages are not on the queue. They stay in the ledger, and are published later.
#[derive(Debug, thiserror::Error)]
pub enum EnqueueError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// Puts messages on their campaign's queue and records that they are there.
///
/// # Errors
///
/// [`EnqueueError`]: some of them may be on the queue; whoever consumes deduplicates.
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
