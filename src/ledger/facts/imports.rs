//! Imports as the ledger keeps them: which file each reads, how far it is, what it rejected.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::message::{CampaignId, RejectReason, closed_list};

/// What an import adds beside the messages it offers, in the same transaction.
#[derive(Clone, Debug, Default)]
pub struct Import {
    /// The number [`crate::ledger::Ledger::begin_import`] gave.
    pub number: i64,
    /// Rows of the file that this batch accounts for: the offered messages and those below.
    pub rows: u64,
    pub rejected: Vec<RejectedRow>,
    pub suppressed: u64,
    /// Rejected rows of an earlier file that the rows of this batch stand for: they are listed no more, and count as
    /// duplicates of that file.
    pub supersedes: Option<Superseded>,
}

/// Rejected rows that were imported again, out of a file of rejects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Superseded {
    /// SHA-256 of the earlier file's bytes, in hex.
    pub sha256: String,
    /// Their lines in it.
    pub lines: Vec<u64>,
}

/// Which file an import reads, and how: what a later one of the same file is answered from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// Its name, as it was given.
    pub file: String,
    /// SHA-256 of its bytes, in hex.
    pub sha256: Option<String>,
    /// SHA-256 of what decides how its rows are read, in hex: two imports of the same bytes with the
    /// same reading account for the same rows in the same order.
    pub reading: Option<String>,
    /// The import that died and that this one goes on with.
    pub continues: Option<i64>,
    /// Rows that those before it account for: this one begins after them.
    pub skipped: u64,
}

impl Manifest {
    /// That of a file of which only the name is known.
    #[must_use]
    pub fn of_file(name: &str) -> Self {
        Self {
            file: name.to_owned(),
            ..Self::default()
        }
    }
}

/// How long after its last sign of life an import that has not ended counts as running. What it had
/// accepted may be published by others from then on.
pub const IMPORT_SEEN_FOR: Duration = Duration::from_secs(60);

/// Where an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportState {
    /// It has not ended, and showed itself in the last minute.
    Running,
    /// It has not ended and does not show itself, or another one went on with it.
    Died,
    /// Its last row is accounted for.
    Done,
}

closed_list!(ImportState { Running => "running", Died => "died", Done => "done" });

/// An import as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportRecord {
    pub number: i64,
    pub campaign: CampaignId,
    pub manifest: Manifest,
    /// Without those of the import it goes on with.
    pub counts: ImportCounts,
    pub begun_at: Timestamp,
    pub seen_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// Whether a later one goes on with it.
    pub is_continued: bool,
}

/// An import as `status` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    pub file: String,
    pub state: ImportState,
    /// Rows that the import which it goes on with accounts for; they are not among its counts.
    pub after_row: u64,
    #[serde(flatten)]
    pub counts: ImportCounts,
    pub begun_at: Timestamp,
    /// Its last sign of life.
    pub seen_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// Of the file's bytes.
    pub sha256: Option<String>,
}

impl ImportRecord {
    /// Where it is.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> ImportState {
        let is_seen = now.duration_since(self.seen_at).unsigned_abs() <= IMPORT_SEEN_FOR;
        match self.ended_at {
            Some(_) => ImportState::Done,
            None if is_seen && !self.is_continued => ImportState::Running,
            None => ImportState::Died,
        }
    }

    /// What `status` prints of it.
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

    /// Rows of its file that are accounted for, by it and by those that it goes on with.
    #[must_use]
    pub fn accounted(&self) -> u64 {
        self.manifest.skipped + self.counts.rows
    }
}

/// A row that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedRow {
    /// The physical line of the file, counted from 1.
    pub line: u64,
    pub column: Option<String>,
    pub reason: RejectReason,
    pub detail: String,
}

/// What one import has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImportCounts {
    pub rows: u64,
    pub accepted: u64,
    pub rejected: u64,
    pub duplicate: u64,
    pub suppressed: u64,
}

impl ImportCounts {
    /// Every row is accounted for: what is nothing else was rejected.
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
