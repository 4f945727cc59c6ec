//! The reading half of an import, on its own thread: turns rows into batches of messages.
//!
//! In: a file and its campaign. Out: batches in the file's order. Always: only a few batches are in memory; a batch
//! accounts for each of its rows, as a message or as a rejected row.

use std::path::PathBuf;

use tokio::sync::mpsc::Sender;

use super::draft::Drafter;
use super::rejects::Rejects;
use super::summary::ImportSummary;
use crate::campaign::Campaign;
use crate::intake::error::ImportError;
use crate::intake::{Input, IntakeError, Item};
use crate::ledger::{Import, LedgerError, RejectedRow, Superseded};
use crate::message::{Message, RejectReason};

/// The number of rows in one transaction of the ledger. The database writes one index page for each row or for
/// several: in a larger transaction more rows share a page.
const BATCH: usize = 1_000;

/// Rows that were read and are not accepted yet.
#[derive(Default)]
pub(in crate::intake) struct RowBatch {
    pub(in crate::intake) messages: Vec<Message>,
    pub(in crate::intake) import: Import,
    /// The batch's part of the summary.
    pub(in crate::intake) seen: ImportSummary,
}

/// The result of a complete read.
pub(in crate::intake) struct Read {
    pub(in crate::intake) footers: u64,
    pub(in crate::intake) rejects: Option<Result<PathBuf, String>>,
}

/// Reads the file of an import.
pub(in crate::intake) struct ImportReader {
    pub(in crate::intake) input: Input,
    pub(in crate::intake) campaign: Campaign,
    pub(in crate::intake) rejects: Option<Rejects>,
    /// The number of rows that an earlier import accounts for: only their rejects are written again.
    pub(in crate::intake) skip: u64,
    pub(super) batches: Sender<RowBatch>,
}

impl ImportReader {
    /// Reads to the end, or until the receiver of batches is dropped.
    pub(super) fn run(mut self) -> Result<Read, ImportError> {
        let drafter = Drafter::of(&self.campaign).map_err(ImportError::Template)?;
        let stamp = self.input.stamp()?;
        let mut rejects = self.rejects.map(Ok);
        let superseded = match &self.input {
            Input::Contacts(contacts) => contacts.columns().superseded(),
            Input::Messages(_) => None,
        };
        let superseded = superseded.map(|(of, at)| (of.to_owned(), at));
        let mut batch = RowBatch::default();
        let mut number = 0;
        for item in &mut self.input {
            number += 1;
            let item = item?;
            batch.take(&item, &drafter, number <= self.skip, &mut rejects);
            if let (Some((of, at)), true) = (&superseded, number > self.skip) {
                batch.supersede(&item, of, *at);
            }
            let is_full = batch.seen.rows as usize >= BATCH || number == self.skip;
            if is_full
                && self
                    .batches
                    .blocking_send(std::mem::take(&mut batch))
                    .is_err()
            {
                // The receiver has failed and returns its error.
                break;
            }
        }
        let _ = self.batches.blocking_send(batch);
        if self.input.stamp()? != stamp {
            let path = self.input.path().to_path_buf();
            return Err(IntakeError::Changed { path }.into());
        }
        Ok(Read {
            footers: self.input.footers(),
            rejects: rejects.and_then(finished),
        })
    }
}

impl RowBatch {
    /// Adds a row to the batch, as a message or as a rejected row.
    fn take(
        &mut self,
        item: &Item,
        drafter: &Drafter<'_>,
        is_accounted_for: bool,
        rejects: &mut Option<Result<Rejects, String>>,
    ) {
        self.seen.rows += 1;
        self.seen.note_warnings(item.line(), item.warnings());
        let drafted = drafter.message(item);
        if let Err(rejected) = &drafted {
            self.seen.note_rejected(rejected);
            if let Some(Ok(file)) = rejects
                && let Err(error) = file.add(item, rejected)
            {
                *rejects = Some(Err(error.to_string()));
            }
        }
        if is_accounted_for {
            return;
        }
        self.import.rows += 1;
        match drafted {
            Ok(message) => {
                let warnings = drafter.warnings(&message);
                self.seen.note_warnings(item.line(), warnings);
                self.messages.push(message);
                self.import.lines.push(item.line());
            }
            Err(rejected) => self.import.rejected.push(rejected),
        }
    }
}

impl RowBatch {
    /// Records the original's rejected row that a row of a rejects file replaces.
    fn supersede(&mut self, item: &Item, of: &str, at: usize) {
        let Item::Row(row) = item else { return };
        let line = row.cells.get(at).map(str::trim);
        if let Some(line) = line.and_then(|line| line.parse().ok()) {
            let superseded = self.import.supersedes.get_or_insert_with(|| Superseded {
                sha256: of.to_owned(),
                lines: Vec::new(),
            });
            superseded.lines.push(line);
        }
    }
}

/// The handling of a batch that the database refuses.
impl RowBatch {
    /// Divides the batch into two, in the file's order, each with half of the messages. The first one keeps the
    /// part of the summary.
    pub(in crate::intake) fn halves(self) -> [Self; 2] {
        let mut first = self;
        let half = first.messages.len() / 2;
        let begins = first.import.lines.get(half).copied().unwrap_or(u64::MAX);
        let rejected = &mut first.import.rejected;
        let before = rejected.partition_point(|row| row.line < begins);
        let mut second = Self {
            messages: first.messages.split_off(half),
            ..Self::default()
        };
        second.import.lines = first.import.lines.split_off(half);
        second.import.rejected = first.import.rejected.split_off(before);
        for part in [&mut first, &mut second] {
            part.import.rows = (part.messages.len() + part.import.rejected.len()) as u64;
        }
        [first, second]
    }

    /// Rejects the batch's only message, which the database refuses.
    pub(super) fn reject(&mut self, error: &LedgerError) {
        let lines = std::mem::take(&mut self.import.lines);
        for (message, line) in self.messages.drain(..).zip(lines) {
            let rejected = RejectedRow {
                line,
                id: Some(message.id()),
                column: None,
                reason: RejectReason::StoreRefused,
                detail: error.to_string(),
            };
            self.seen.note_rejected(&rejected);
            let rows = &mut self.import.rejected;
            rows.insert(rows.partition_point(|row| row.line < line), rejected);
        }
    }
}

fn finished(rejects: Result<Rejects, String>) -> Option<Result<PathBuf, String>> {
    let finished = match rejects {
        Ok(rejects) => rejects.finish().map_err(|error| error.to_string()),
        Err(why) => Err(why),
    };
    finished.transpose()
}
