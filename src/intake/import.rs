//! An import: rows of a file, accepted by the ledger and put on the queue, batch by batch.
//!
//! In: contacts and a campaign. Out: counts by what became of each row. Always: a row is in the
//! ledger before it is on the queue, and its batch's counts move in the same transaction; an import
//! that died and is run again accepts the rest, and nothing twice.

use std::path::PathBuf;
use std::time::Duration;

use crate::campaign::Campaign;
use crate::clock::Clock;
use crate::ledger::{Acceptance, CampaignState, Import, Ledger, Publication, RejectedRow};
use crate::message::{CampaignId, Message};
use crate::queue::Queue;

use super::draft::Drafter;
use super::enqueue::{EnqueueError, enqueue};
use super::rejects::Rejects;
use super::{Input, IntakeError, Item, Warning};

/// Rows that go through the ledger and onto the queue together: the window of publisher confirms.
const BATCH: usize = 500;

/// Until then nobody but the import publishes what it accepted; then it counts as dead.
const OURS_FOR: Duration = Duration::from_secs(60);

/// What an import counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportSummary {
    pub rows: u64,
    pub accepted: u64,
    pub duplicate: u64,
    pub suppressed: u64,
    pub rejected: u64,
    /// The first rejected rows, for the operator's screen; the ledger has all.
    pub first_rejected: Vec<RejectedRow>,
    /// The first warnings, and how many there were.
    pub first_warnings: Vec<(u64, Warning)>,
    pub warnings: u64,
    /// Lines below the table, which are no rows.
    pub footers: u64,
    /// Where the rejected rows were written, or why they were not.
    pub rejects: Option<Result<PathBuf, String>>,
}

/// How many rejected rows and warnings a summary shows.
pub(super) const SHOWN_MAX: usize = 10;

/// Why an import stopped. What it had accepted stays accepted.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error(transparent)]
    Intake(#[from] IntakeError),
    #[error(transparent)]
    Enqueue(#[from] EnqueueError),
    #[error("{0}")]
    Template(String),
}

impl From<crate::ledger::LedgerError> for ImportError {
    fn from(error: crate::ledger::LedgerError) -> Self {
        Self::Enqueue(error.into())
    }
}

impl From<crate::queue::QueueError> for ImportError {
    fn from(error: crate::queue::QueueError) -> Self {
        Self::Enqueue(error.into())
    }
}

/// Where an import puts what it accepts.
pub struct Importer<'a> {
    pub campaign: &'a Campaign,
    pub ledger: &'a dyn Ledger,
    pub queue: &'a dyn Queue,
    pub clock: Clock,
}

/// Rows read and not yet accepted.
#[derive(Default)]
struct Batch {
    messages: Vec<Message>,
    import: Import,
    /// Where rejected rows go, or why that stopped.
    rejects: Option<Result<Rejects, String>>,
}

impl Batch {
    /// A row becomes a message of the batch, or a rejected row of it.
    fn take(&mut self, item: &Item, drafter: &Drafter<'_>, summary: &mut ImportSummary) {
        self.import.rows += 1;
        summary.rows += 1;
        note_warnings(item.line(), item.warnings(), summary);
        let rejected = match drafter.message(item) {
            Ok(message) => return self.messages.push(message),
            Err(rejected) => rejected,
        };
        summary.rejected += 1;
        if let Some(Ok(rejects)) = &mut self.rejects
            && let Err(error) = rejects.add(item, &rejected)
        {
            self.rejects = Some(Err(error.to_string()));
        }
        if summary.first_rejected.len() < SHOWN_MAX {
            summary.first_rejected.push(rejected.clone());
        }
        self.import.rejected.push(rejected);
    }

    fn finish(self) -> Option<Result<PathBuf, String>> {
        let finished = match self.rejects? {
            Ok(rejects) => rejects.finish().map_err(|error| error.to_string()),
            Err(why) => Err(why),
        };
        finished.transpose()
    }
}

impl Importer<'_> {
    /// Imports a whole file, and lets a campaign that is finished run again; `progress` hears of every
    /// batch. What is rejected is also written to `rejects`: a failure there is told in the summary and
    /// stops nothing, for the ledger has the reasons and the file has the rows.
    ///
    /// # Errors
    ///
    /// [`ImportError`]. Run again, the import goes on where it stopped.
    pub async fn import(
        &self,
        file: &str,
        mut input: Input,
        rejects: Option<Rejects>,
        progress: &(dyn Fn(&ImportSummary) + Send + Sync),
    ) -> Result<ImportSummary, ImportError> {
        let id = &self.campaign.id;
        let drafter = Drafter::of(self.campaign).map_err(ImportError::Template)?;
        self.queue.open(id).await?;
        let number = self.ledger.begin_import(id, file, self.clock.now()).await?;
        // Only now: an import that has begun keeps its campaign from being finished.
        self.run_again().await?;
        let mut summary = ImportSummary::default();
        let mut batch = Batch {
            rejects: rejects.map(Ok),
            ..Batch::default()
        };
        for item in &mut input {
            batch.take(&item?, &drafter, &mut summary);
            if batch.import.rows as usize >= BATCH {
                self.accept(number, &mut batch, &mut summary).await?;
                progress(&summary);
            }
        }
        self.accept(number, &mut batch, &mut summary).await?;
        self.ledger.end_import(number, self.clock.now()).await?;
        summary.footers = input.footers();
        summary.rejects = batch.finish();
        progress(&summary);
        Ok(summary)
    }

    /// Lets the campaign run again if it is finished.
    async fn run_again(&self) -> Result<(), ImportError> {
        let id = &self.campaign.id;
        let record = self.ledger.campaign(id).await?;
        if record.is_some_and(|record| record.state == CampaignState::Finished) {
            let (state, now) = (CampaignState::Running, self.clock.now());
            self.ledger.set_campaign_state(id, state, None, now).await?;
        }
        Ok(())
    }

    /// Has the ledger accept a batch and puts on the queue what is to go there.
    async fn accept(
        &self,
        number: i64,
        batch: &mut Batch,
        summary: &mut ImportSummary,
    ) -> Result<(), ImportError> {
        let mut import = std::mem::take(&mut batch.import);
        let messages = std::mem::take(&mut batch.messages);
        if import.rows == 0 {
            return Ok(());
        }
        import.number = number;
        let id: &CampaignId = &self.campaign.id;
        let now = self.clock.now();
        let queue_after = now.checked_add(OURS_FOR).unwrap_or(now);
        let accepting = self
            .ledger
            .accept(id, &messages, Some(&import), now, queue_after);
        let acceptances = accepting.await?;
        let mut publishable = Vec::new();
        for (message, acceptance) in messages.into_iter().zip(acceptances) {
            let is_new = acceptance == Acceptance::Accepted;
            // Accepted by an import that died before it got here.
            let is_left = acceptance == Acceptance::Known { queued: false };
            if is_new || is_left {
                publishable.push((Publication::first(&message), message));
            }
            if is_new {
                summary.accepted += 1;
            } else {
                summary.duplicate += 1;
            }
        }
        enqueue(self.queue, self.ledger, id, &publishable).await?;
        Ok(())
    }
}

fn note_warnings(line: u64, warnings: &[Warning], summary: &mut ImportSummary) {
    for warning in warnings {
        summary.warnings += 1;
        if summary.first_warnings.len() < SHOWN_MAX {
            summary.first_warnings.push((line, *warning));
        }
    }
}
