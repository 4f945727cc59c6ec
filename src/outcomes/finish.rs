//! Finishes campaigns: the only place that decides it.
//!
//! In: a campaign whose work seems complete. Out: finished, or the reason why not. Always: a campaign is never finished
//! while a message is open or waits unread on the queue, or while the books do not balance.

use jiff::Timestamp;

use crate::ledger::{FinishedBy, Ledger, LedgerError};
use crate::message::CampaignId;
use crate::queue::{Queue, QueueError, depth_of};

/// Why it is unknown whether a campaign is complete. It is not finished then.
#[derive(Debug, thiserror::Error)]
pub enum FinishError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// Why a campaign is not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfinished {
    #[error("messages of it are open")]
    Open,
    #[error("its books do not balance")]
    Unbalanced,
    #[error("{0} messages wait on its queue that no consumer has taken yet")]
    Unread(u64),
    #[error("it has messages of publishers, who alone know when no more come")]
    Published,
    /// An interrupted import that was not run again counts too.
    #[error("a file is being imported, or none was")]
    Importing,
}

/// Finishes a campaign if it is complete. With [`FinishedBy::Itself`], only if all its messages come from files whose
/// imports have ended.
///
/// # Errors
///
/// [`FinishError`] when the ledger or the queue does not answer. The campaign is not finished then.
pub async fn finish(
    ledger: &Ledger,
    queue: &dyn Queue,
    id: &CampaignId,
    by: &FinishedBy,
    now: Timestamp,
) -> Result<Result<(), Unfinished>, FinishError> {
    if ledger.has_open(id, false).await? {
        return Ok(Err(Unfinished::Open));
    }
    let books = ledger.books(Some(id)).await?;
    if !books.balance() {
        return Ok(Err(Unfinished::Unbalanced));
    }
    if *by == FinishedBy::Itself && books.published() > 0 {
        return Ok(Err(Unfinished::Published));
    }
    let unread = depth_of(queue, id).await?.total();
    if unread > 0 {
        return Ok(Err(Unfinished::Unread(unread)));
    }
    // Messages that were accepted since the books were read keep it open.
    if ledger.finish_campaign(id, by, now).await? {
        return Ok(Ok(()));
    }
    let is_open = ledger.has_open(id, false).await?;
    Ok(Err(if is_open {
        Unfinished::Open
    } else {
        Unfinished::Importing
    }))
}
