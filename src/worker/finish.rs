//! When a campaign is finished: the one place that says so.
//!
//! In: a campaign whose work seems to be over. Out: finished, or why not. Always: never while a
//! message is open, waits unseen on the queue, or the books do not balance.

use jiff::Timestamp;

use crate::ledger::Ledger;
use crate::message::CampaignId;
use crate::queue::{Queue, QueueError};

use super::WorkError;

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
/// [`WorkError`] when the ledger or the queue does not answer: then it is not finished.
pub async fn finish(
    ledger: &Ledger,
    queue: &dyn Queue,
    id: &CampaignId,
    by: FinishedBy,
    now: Timestamp,
) -> Result<Result<(), Unfinished>, WorkError> {
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
    let unseen = on_queue(queue, id).await?;
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

/// How many messages a campaign's queue holds. A queue that was never made holds none.
pub(super) async fn on_queue(queue: &dyn Queue, id: &CampaignId) -> Result<u64, QueueError> {
    match queue.depth(id).await {
        Ok(depth) => Ok(depth.ready + depth.unsettled),
        Err(QueueError::Refused(_)) => Ok(0),
        Err(error) => Err(error),
    }
}
