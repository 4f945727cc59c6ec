//! The outcome of a run.

use crate::ledger::{CampaignState, PauseScope};
use crate::message::{CampaignId, PauseCause};
use crate::operate::campaigns::paused_notice;
use crate::operate::{OperateError, ReadModels, scoped_pause_notice};

/// The outcome of a run of one campaign.
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

/// A campaign with open messages that no consumer takes, because it is paused or everything is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PausedRun {
    pub campaign: CampaignId,
    /// A sentence with who paused it, why, and how it can be resumed.
    pub notice: String,
    /// Why flexcast itself paused it. `None`: an operator paused it.
    pub cause: Option<PauseCause>,
}

impl ReadModels {
    /// The number of dead and unknown messages of all campaigns.
    ///
    /// # Errors
    ///
    /// An error when the ledger cannot be read.
    pub async fn failed_messages(&self) -> Result<u64, OperateError> {
        let books = self.ledger.books(None).await?;
        Ok(books.dead_total() + books.unknown)
    }

    /// The paused campaigns with open messages: among `only`, or among all campaigns if `only` is empty.
    ///
    /// # Errors
    ///
    /// An error when the ledger cannot be read.
    pub async fn paused_runs(&self, only: &[CampaignId]) -> Result<Vec<PausedRun>, OperateError> {
        let mut paused = Vec::new();
        let pauses = self.ledger.pauses().await?;
        let all = pauses.iter().find(|pause| pause.scope == PauseScope::All);
        let all = all.map(scoped_pause_notice);
        for record in self.ledger.campaigns().await? {
            let is_wanted = only.is_empty() || only.contains(&record.id);
            let is_running = record.state == CampaignState::Running;
            let notice = paused_notice(&record).or_else(|| all.clone().filter(|_| is_running));
            let Some(notice) = notice.filter(|_| is_wanted) else {
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
