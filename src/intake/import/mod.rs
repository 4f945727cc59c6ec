//! An import: rows of a file, accepted by the ledger and put on the queue.
//!
//! In: a file and a campaign. Out: counts by what became of each row. Always: a row is in the ledger
//! before it is on the queue, and its batch's counts move in the same transaction, in the file's order;
//! of a batch that the database refuses, only the rows that it refuses by themselves are rejected;
//! an import that died and is run again goes on after the rows that are accounted for, and accepts
//! nothing twice. Reading, accepting and publishing go on at the same time.

pub(super) mod input;
pub(super) mod messages;
pub(super) mod manifest;
pub(super) mod draft;
pub(super) mod reading;
pub(super) mod parts;
pub(super) mod enqueue;
pub(super) mod rejects;
pub(super) mod summary;
pub(super) mod preview;

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::mpsc;

use crate::campaign::Campaign;
use crate::clock::Clock;
use crate::ledger::{
    Acceptance, IMPORT_SEEN_FOR, Import, ImportCounts, ImportRecord, Ledger, LedgerError, Manifest,
    Publication, StateChange,
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

/// Batches that are read ahead of the ledger.
const READ_AHEAD: usize = 2;

/// Batches that are published at once: while the last confirms of one are waited for, the broker is
/// sent the next.
const PUBLISHED_AT_ONCE: usize = 2;

/// How often an import shows that it lives, whatever it waits for.
const BEAT: Duration = Duration::from_secs(15);

/// The most messages that an import which died can have left off the queue.
const LEFT_MAX: usize = 10_000;

/// Where an import puts what it accepts.
pub struct Importer<'a> {
    pub campaign: &'a Campaign,
    pub ledger: &'a Ledger,
    pub queue: &'a dyn Queue,
    pub clock: Clock,
    /// Read the file whatever was imported of it before.
    pub again: bool,
}

/// Messages that go onto the queue together.
type Publishable = Vec<(Publication, Message)>;

impl Importer<'_> {
    /// Imports a whole file, and lets a campaign that is finished run again; `progress` hears of every
    /// batch. What is rejected is also written to `rejects`: a failure there is told in the summary and
    /// stops nothing, for the ledger has the reasons and the file has the rows.
    ///
    /// A file that was imported before, read the same way, is not read again.
    ///
    /// # Errors
    ///
    /// [`ImportError`]. Run again, the import goes on where it stopped.
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

    /// Imports what is not accounted for yet.
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
        let begun = self.ledger.begin_import(id, manifest, self.clock.now());
        let number = begun.await?;
        // Only now: an import that has begun keeps its campaign from being finished.
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
        // Before the end is recorded: the file may not have been read to its own.
        let Read { footers, rejects } = reading.await??;
        self.ledger.end_import(number, self.clock.now()).await?;
        // Every row is accounted for. What the database refused of an import that this one goes on with is not seen
        // when its rows are read again.
        let others = summary.accepted + summary.duplicate + summary.suppressed;
        summary.rejected = summary.rows.saturating_sub(others);
        summary.footers = footers;
        summary.rejects = rejects;
        progress(&summary);
        Ok(summary)
    }

    /// Takes batches until there are none: while one is accepted, others are published.
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
            // Dropped with an error, the receiver says why.
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

    /// Has the ledger accept a batch, and gives what is to go onto the queue.
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
                // What is known and not queued was accepted by an import that died before it got here.
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

    /// What an import that died had accepted and not put on the queue. Consumers would find it after a
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

    /// Shows that the import lives, for as long as it is polled.
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
                // Its batches meet the same, and say so.
                tracing::debug!(%error, "the import could not show that it lives");
            }
        }
    }

    /// Lets the campaign run again if it is finished.
    async fn run_again(&self) -> Result<(), ImportError> {
        let id = &self.campaign.id;
        let reopen = StateChange::Reopen { reason: None };
        let now = self.clock.now();
        self.ledger.change_state(id, &reopen, now).await?;
        Ok(())
    }
}

/// The summary of a file that was imported before: every row that was taken then is a duplicate now.
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
