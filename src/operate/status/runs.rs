//! How a run stands, and what it came to: for those who wait for its end.

use crate::message::{CampaignId, PauseCause};
use crate::operate::campaigns::paused_notice;
use crate::operate::{OperateError, ReadModels};

/// What a run over one campaign came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunOutcome {
    /// The campaign has no message.
    NothingAccepted,
    /// Messages ended dead or unknown.
    Failed,
    /// Messages are open.
    Open,
    /// Every message is done or skipped.
    Done,
}

/// How far a campaign is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CampaignProgress {
    pub accepted: u64,
    /// Messages whose turn is over, whatever it came to.
    pub over: u64,
    pub in_flight: u64,
    pub dead: u64,
}

/// A campaign whose open messages no consumer takes: it is paused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PausedRun {
    pub campaign: CampaignId,
    /// Who paused it, why, and how it goes on, in a sentence.
    pub notice: String,
    /// Why flexcast itself paused it. None: an operator did.
    pub cause: Option<PauseCause>,
}

impl ReadModels {
    /// How far a campaign is.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub async fn progress(&self, id: &CampaignId) -> Result<CampaignProgress, OperateError> {
        let books = self.ledger.books(Some(id)).await?;
        Ok(CampaignProgress {
            accepted: books.accepted,
            over: books.over(),
            in_flight: books.in_flight,
            dead: books.dead_total(),
        })
    }

    /// How many messages of all campaigns have ended dead or unknown.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub async fn failed_messages(&self) -> Result<u64, OperateError> {
        let books = self.ledger.books(None).await?;
        Ok(books.dead_total() + books.unknown)
    }

    /// The campaigns that are paused and have open messages: of these alone, or of all where `only` is empty.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub async fn paused_runs(&self, only: &[CampaignId]) -> Result<Vec<PausedRun>, OperateError> {
        let mut paused = Vec::new();
        for record in self.ledger.campaigns().await? {
            let is_wanted = only.is_empty() || only.contains(&record.id);
            let Some(notice) = paused_notice(&record).filter(|_| is_wanted) else {
                continue;
            };
            if self.ledger.has_open(&record.id, false).await? {
                paused.push(PausedRun {
                    cause: record.program_pause(),
                    campaign: record.id,
                    notice,
                });
            }
        }
        Ok(paused)
    }
}
