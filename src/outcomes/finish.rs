//! When a campaign is finished: the one place that says so.
//!
//! In: a campaign whose work seems to be over. Out: finished, or why not. Always: never while a
//! message is open, waits unseen on the queue, or the books do not balance.

use jiff::Timestamp;

use crate::ledger::{Ledger, LedgerError};
use crate::message::CampaignId;
use crate::queue::{Queue, QueueError, depth_of};

/// Why it is not known whether a campaign is over: it is not finished then.
#[derive(Debug, thiserror::Error)]
pub enum FinishError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// Who says that a campaign is finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishedBy {
    /// Nobody: its files are worked off, and nothing else was ever to come.
    Itself,
    /// An operator: nothing more comes from its publishers.
    Operator,
}

/// Why a campaign is not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfinished {
    #[error("messages of it are open")]
    Open,
    #[error("its books do not balance")]
    Unbalanced,
    #[error("{0} messages wait on its queue that no consumer has taken yet")]
    Unseen(u64),
    #[error("it has messages of publishers, who alone know when no more come")]
    Published,
    /// Or one died, and was not run again.
    #[error("a file is being imported, or none was")]
    Importing,
}

/// Moves a campaign to finished if it is over. With [`FinishedBy::Itself`] only one that files alone
/// have fed, whose imports have come to their ends.
///
/// # Errors
///
/// [`FinishError`] when the ledger or the queue does not answer: then it is not finished.
pub async fn finish(
    ledger: &Ledger,
    queue: &dyn Queue,
    id: &CampaignId,
    by: FinishedBy,
    now: Timestamp,
) -> Result<Result<(), Unfinished>, FinishError> {
    if ledger.has_open(id, false).await? {
        return Ok(Err(Unfinished::Open));
    }
    let books = ledger.books(Some(id)).await?;
    if !books.balance() {
        return Ok(Err(Unfinished::Unbalanced));
    }
    if by == FinishedBy::Itself && books.published() > 0 {
        return Ok(Err(Unfinished::Published));
    }
    let unseen = depth_of(queue, id).await?.total();
    if unseen > 0 {
        return Ok(Err(Unfinished::Unseen(unseen)));
    }
    let by_itself = by == FinishedBy::Itself;
    // What was accepted since the books were read keeps it open.
    if ledger.finish_campaign(id, by_itself, now).await? {
        return Ok(Ok(()));
    }
    let is_open = ledger.has_open(id, false).await?;
    Ok(Err(if is_open {
        Unfinished::Open
    } else {
        Unfinished::Importing
    }))
}
