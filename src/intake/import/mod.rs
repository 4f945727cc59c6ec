//! An import: the ledger accepts the rows of a file, and they are published to the queue.
//!
//! In: a file and a campaign. Out: counts by result. Always: a row is in the ledger before it is on the queue; the
//! counts of a batch change in the same transaction, in the file's order. If the database refuses a batch, only
//! rows that it refuses on their own are rejected. An interrupted import that is run again continues after the rows
//! that are accounted for, and accepts none twice. Reading, accepting and publishing run concurrently.

pub(super) mod input;
pub(super) mod messages;
pub(super) mod manifest;
pub(super) mod draft;
pub(super) mod reading;
pub(super) mod parts;
pub(super) mod enqueue;
pub(super) mod rejects;
pub(super) mod summary;
pub(super) mod known;
pub(super) mod preview;

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::mpsc;

use crate::campaign::Campaign;
use crate::clock::Clock;
use crate::ledger::{
    Acceptance, Actor, IMPORT_SEEN_FOR, Import, ImportCounts, ImportRecord, Ledger, LedgerError,
    Manifest, Publication, StateChange,
};
use crate::message::Message;
use crate::queue::Queue;

use self::enqueue::enqueue;
use self::manifest::{Earlier, earlier, manifest};
use self::parts::BatchParts;
use self::reading::{ImportReader, Read, RowBatch};
use self::rejects::Rejects;
use self::summary::{Before, ImportSummary};
use super::error::ImportError;
use super::{Input, column_notes};

/// The number of batches that are read ahead of the ledger.
const READ_AHEAD: usize = 2;

/// The number of batches that are published concurrently: while the last confirms of one are missing, the next is
/// sent.
const PUBLISHED_AT_ONCE: usize = 2;

/// The interval of the heartbeat by which an import shows that it is alive.
const BEAT: Duration = Duration::from_secs(15);

/// The most accepted messages that an interrupted import can have left unpublished.
const LEFT_MAX: usize = 10_000;

/// Imports files of a campaign into a ledger and a queue.
pub struct Importer<'a> {
    pub campaign: &'a Campaign,
    pub ledger: &'a Ledger,
    pub queue: &'a dyn Queue,
    pub clock: Clock,
    /// Who imports, for the audit. None: the import is not recorded there.
    pub by: Option<&'a Actor>,
    /// Whether to import a file again that was imported before.
    pub again: bool,
}

/// Messages that are published together.
type Publishable = Vec<(Publication, Message)>;

impl Importer<'_> {
    /// Imports a whole file, and reopens a finished campaign. `progress` is called after every batch. Rejected rows
    /// are also written to `rejects`. A failure to write them is reported in the summary and does not stop the
    /// import: the ledger has the reasons and the file has the rows.
    ///
    /// A file that was imported completely before, with the same settings, is not imported again.
    ///
    /// # Errors
    ///
    /// [`ImportError`]. The next run continues where this one stopped.
    pub async fn import(
        &self,
        input: Input,
        rejects: Option<Rejects>,
        progress: &(dyn Fn(&ImportSummary) + Send + Sync),
    ) -> Result<ImportSummary, ImportError> {
        let campaign = self.campaign.clone();
        let looking = tokio::task::spawn_blocking(move || {
            column_notes(&campaign, &input).map_err(ImportError::Template)?;
            let manifest = manifest(&input, &campaign)?;
            Ok::<_, ImportError>((input, manifest))
        });
        let (input, mut manifest) = looking.await??;
        let imports = self.ledger.imports(Some(&self.campaign.id)).await?;
        let mut summary = ImportSummary::default();
        match earlier(&imports, &manifest) {
            Earlier::Whole(before, counts) if !self.again => return Ok(answered(&before, counts)),
            Earlier::Part(before, counts) if !self.again => {
                manifest.continues = Some(before.number);
                manifest.skipped = before.accounted();
                summary.accepted = counts.accepted;
                summary.duplicate = counts.duplicate;
                summary.suppressed = counts.suppressed;
                summary.before = Some(Before::Part {
                    rows: before.accounted(),
                });
            }
            _ => {}
        }
        self.read_on(input, rejects, &manifest, summary, progress)
            .await
    }

    /// Imports the rows that are not accounted for yet.
    async fn read_on(
        &self,
        input: Input,
        rejects: Option<Rejects>,
        manifest: &Manifest,
        mut summary: ImportSummary,
        progress: &(dyn Fn(&ImportSummary) + Send + Sync),
    ) -> Result<ImportSummary, ImportError> {
        let id = &self.campaign.id;
        self.queue.open(id).await?;
        let now = self.clock.now();
        let number = self.ledger.begin_import(id, manifest, self.by, now).await?;
        // Only now: a running import prevents its campaign from being finished.
        self.run_again().await?;
        let left = self.left_by_the_dead(manifest).await?;
        let rejects = rejects.map(|rejects| rejects.of(manifest.sha256.clone()));
        let (batches, received) = mpsc::channel(READ_AHEAD);
        let reader = ImportReader {
            input,
            campaign: self.campaign.clone(),
            rejects,
            skip: manifest.skipped,
            batches,
        };
        let reading = tokio::task::spawn_blocking(move || reader.run());
        let working = self.accept_and_publish(number, left, received, &mut summary, progress);
        tokio::select! {
            biased;
            worked = working => worked?,
            never = self.show_alive(number) => match never {},
        }
        // Checked before the end is recorded: the file may not have been read completely.
        let Read { footers, rejects } = reading.await??;
        let now = self.clock.now();
        self.ledger.end_import(number, self.by, now).await?;
        // Every row is accounted for. When an interrupted import's rows are read again, those that the database had
        // refused are not recognised, so rejected rows are the difference.
        let others = summary.accepted + summary.duplicate + summary.suppressed;
        summary.rejected = summary.rows.saturating_sub(others);
        summary.footers = footers;
        summary.rejects = rejects;
        progress(&summary);
        Ok(summary)
    }

    /// Accepts and publishes all batches: one is accepted while others are published.
    async fn accept_and_publish(
        &self,
        number: i64,
        left: Publishable,
        batches: mpsc::Receiver<RowBatch>,
        summary: &mut ImportSummary,
        progress: &(dyn Fn(&ImportSummary) + Send + Sync),
    ) -> Result<(), ImportError> {
        let (publishable, mut accepted) = mpsc::channel(1);
        let accepting = async move {
            // If the receiver was dropped, its error is returned.
            let _ = publishable.send(left).await;
            let mut parts = BatchParts::of(batches);
            while let Some(mut batch) = parts.next().await {
                let list = match self.accept(number, &mut batch, summary).await {
                    Ok(list) => list,
                    Err(error) => {
                        parts.not_taken(batch, error)?;
                        continue;
                    }
                };
                if !list.is_empty() {
                    parts.taken();
                }
                progress(summary);
                if publishable.send(list).await.is_err() {
                    break;
                }
            }
            Ok(())
        };
        let id = &self.campaign.id;
        let publishing = stream::poll_fn(move |context| accepted.poll_recv(context))
            .map(|list: Publishable| async move {
                enqueue(self.queue, self.ledger, id, &list).await?;
                Ok(())
            })
            .buffer_unordered(PUBLISHED_AT_ONCE)
            .try_collect::<()>();
        futures::try_join!(accepting, publishing).map(drop)
    }

    /// Makes the ledger accept a batch; returns the messages to publish.
    async fn accept(
        &self,
        number: i64,
        batch: &mut RowBatch,
        summary: &mut ImportSummary,
    ) -> Result<Publishable, LedgerError> {
        let mut publishable = Vec::with_capacity(batch.messages.len());
        if batch.import.rows > 0 {
            batch.import.number = number;
            let now = self.clock.now();
            let queue_after = now.checked_add(IMPORT_SEEN_FOR).unwrap_or(now);
            let id = &self.campaign.id;
            let (messages, import) = (&batch.messages, Some(&batch.import));
            let accepting = self.ledger.accept(id, messages, import, now, queue_after);
            let acceptances = accepting.await?;
            let messages = std::mem::take(&mut batch.messages);
            for (message, acceptance) in messages.into_iter().zip(acceptances) {
                match acceptance {
                    Acceptance::Accepted => summary.accepted += 1,
                    _ => summary.duplicate += 1,
                }
                // A known message that is not queued was accepted by an import that was interrupted before its
                // publication.
                if matches!(
                    acceptance,
                    Acceptance::Accepted | Acceptance::Known { queued: false }
                ) {
                    publishable.push((Publication::first(&message), message));
                }
            }
        }
        summary.add(std::mem::take(&mut batch.seen));
        Ok(publishable)
    }

    /// The messages that an interrupted import had accepted and not published. Consumers would publish them after a
    /// minute.
    async fn left_by_the_dead(&self, manifest: &Manifest) -> Result<Publishable, ImportError> {
        if manifest.continues.is_none() {
            return Ok(Vec::new());
        }
        let now = self.clock.now();
        let as_if = now.checked_add(IMPORT_SEEN_FOR).unwrap_or(now);
        let mut left = self.ledger.unqueued(as_if, LEFT_MAX).await?;
        left.retain(|(_, message)| message.campaign == self.campaign.id);
        Ok(left)
    }

    /// Sends the import's heartbeat for as long as it is polled.
    async fn show_alive(&self, number: i64) -> std::convert::Infallible {
        let import = Import {
            number,
            ..Import::default()
        };
        loop {
            self.clock.sleep(BEAT).await;
            let (id, now) = (&self.campaign.id, self.clock.now());
            let beating = self.ledger.accept(id, &[], Some(&import), now, now);
            if let Err(error) = beating.await {
                // The import's batches get the same error and report it.
                tracing::debug!(%error, "the import's heartbeat failed");
            }
        }
    }

    /// Reopens the campaign if it is finished.
    async fn run_again(&self) -> Result<(), ImportError> {
        let id = &self.campaign.id;
        let reopen = StateChange::Reopen { reason: None };
        let now = self.clock.now();
        self.ledger.change_state(id, &reopen, now).await?;
        Ok(())
    }
}

/// The summary of a file that was imported before: every row that was accepted then is a duplicate now.
fn answered(before: &ImportRecord, counts: ImportCounts) -> ImportSummary {
    ImportSummary {
        rows: counts.rows,
        rejected: counts.rejected,
        suppressed: counts.suppressed,
        duplicate: counts.accepted + counts.duplicate,
        before: before.ended_at.map(|ended_at| Before::Whole { ended_at }),
        ..ImportSummary::default()
    }
}
