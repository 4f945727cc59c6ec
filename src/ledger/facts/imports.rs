//! Imports as the ledger stores them: the file, the progress, the rejected rows.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::message::{CampaignId, MessageId, RejectReason, closed_list};

/// What an import records in the same transaction as the messages that it offers.
#[derive(Clone, Debug, Default)]
pub struct Import {
    /// The number that [`crate::ledger::Ledger::begin_import`] returned.
    pub number: i64,
    /// How many rows of the file this batch accounts for: its messages and the rows below.
    pub rows: u64,
    /// The physical line of each message's row, counted from 1, in the order of the messages.
    pub lines: Vec<u64>,
    pub rejected: Vec<RejectedRow>,
    pub suppressed: u64,
    /// Rejected rows of an earlier file that this batch replaces. They are no longer listed, and count as duplicates of
    /// that file.
    pub supersedes: Option<Superseded>,
}

/// Rejected rows that were imported again from a file of rejects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Superseded {
    /// The SHA-256 of the earlier file's bytes, in hex.
    pub sha256: String,
    /// Their line numbers in it.
    pub lines: Vec<u64>,
}

/// The file that an import reads, and how. A later import of the same file is compared with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The file's name, as the operator gave it.
    pub file: String,
    /// The SHA-256 of its bytes, in hex.
    pub sha256: Option<String>,
    /// The SHA-256 of all options that decide how its rows are read, in hex. Two imports of the same bytes with the
    /// same reading account for the same rows in the same order.
    pub reading: Option<String>,
    /// The number of the interrupted import that this one continues.
    pub continues: Option<i64>,
    /// How many rows earlier imports account for. This import begins after them.
    pub skipped: u64,
}

impl Manifest {
    /// The manifest of a file of which only the name is known.
    #[must_use]
    pub fn of_file(name: &str) -> Self {
        Self {
            file: name.to_owned(),
            ..Self::default()
        }
    }
}

/// How long an import counts as running after its last sign of life. After that, other processes may publish the
/// messages that it had accepted.
pub const IMPORT_SEEN_FOR: Duration = Duration::from_secs(60);

/// The state of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportState {
    /// It has not ended, and gave a sign of life in the last minute.
    Running,
    /// It has not ended and gives no sign of life, or another import continued it.
    Died,
    /// It has accounted for its last row.
    Done,
}

closed_list!(ImportState { Running => "running", Died => "died", Done => "done" });

/// An import as the ledger stores it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportRecord {
    pub number: i64,
    pub campaign: CampaignId,
    pub manifest: Manifest,
    /// Without the counts of the import that it continues.
    pub counts: ImportCounts,
    pub begun_at: Timestamp,
    pub seen_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// Whether a later import continues it.
    pub is_continued: bool,
}

/// An import as `status` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    pub file: String,
    pub state: ImportState,
    /// Rows that the import it continues accounts for. They are not in its counts.
    pub after_row: u64,
    #[serde(flatten)]
    pub counts: ImportCounts,
    pub begun_at: Timestamp,
    /// Its last sign of life.
    pub seen_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// The SHA-256 of the file's bytes.
    pub sha256: Option<String>,
}

impl ImportRecord {
    /// The import's state at `now`.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> ImportState {
        let is_seen = now.duration_since(self.seen_at).unsigned_abs() <= IMPORT_SEEN_FOR;
        match self.ended_at {
            Some(_) => ImportState::Done,
            None if is_seen && !self.is_continued => ImportState::Running,
            None => ImportState::Died,
        }
    }

    /// The report that `status` prints.
    #[must_use]
    pub fn report(&self, now: Timestamp) -> ImportReport {
        ImportReport {
            file: self.manifest.file.clone(),
            state: self.state(now),
            after_row: self.manifest.skipped,
            counts: self.counts,
            begun_at: self.begun_at,
            seen_at: self.seen_at,
            ended_at: self.ended_at,
            sha256: self.manifest.sha256.clone(),
        }
    }

    /// Rows of its file that are accounted for, by it and by the imports that it continues.
    #[must_use]
    pub fn accounted(&self) -> u64 {
        self.manifest.skipped + self.counts.rows
    }
}

/// The row of a file from which a message was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MessageOrigin {
    /// The number of the import.
    pub import: i64,
    /// The file's name, as the operator gave it.
    pub file: String,
    /// The physical line of the file, counted from 1.
    pub line: u64,
}

/// A row of an import that did not become a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnusedRow {
    /// When its import began.
    pub at: Timestamp,
    #[serde(flatten)]
    pub origin: MessageOrigin,
    /// The row's id.
    pub id: MessageId,
    #[serde(flatten)]
    pub cause: UnusedCause,
}

/// Why a row did not become a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum UnusedCause {
    Rejected {
        #[serde(skip_serializing_if = "Option::is_none")]
        column: Option<String>,
        reason: RejectReason,
        detail: String,
    },
    /// A message of the campaign had its id, or the address of its customer.
    Duplicate { of: MessageId },
}

/// A rejected row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedRow {
    /// The physical line of the file, counted from 1.
    pub line: u64,
    /// The id that the row names, where it can be read; without one, the id that its address gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<MessageId>,
    pub column: Option<String>,
    pub reason: RejectReason,
    pub detail: String,
}

/// The counts of one import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImportCounts {
    pub rows: u64,
    pub accepted: u64,
    pub rejected: u64,
    pub duplicate: u64,
    pub suppressed: u64,
}

impl ImportCounts {
    /// Fills in `rejected`: every row that is nothing else was rejected.
    #[must_use]
    pub(in crate::ledger) fn with_the_rest_rejected(self) -> Self {
        let others = self.accepted + self.duplicate + self.suppressed;
        Self {
            rejected: self.rows.saturating_sub(others),
            ..self
        }
    }
}

impl std::ops::AddAssign for ImportCounts {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.accepted += other.accepted;
        self.rejected += other.rejected;
        self.duplicate += other.duplicate;
        self.suppressed += other.suppressed;
    }
}
