//! The summary of an import.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::intake::Warning;
use crate::ledger::RejectedRow;

/// The number of rejected rows and warnings that a summary shows.
pub(super) const SHOWN_MAX: usize = 10;

/// The counts of an import: of the whole file, including rows that an earlier import accounts for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportSummary {
    pub rows: u64,
    pub accepted: u64,
    pub duplicate: u64,
    pub suppressed: u64,
    pub rejected: u64,
    /// The first rejected rows, for the operator's screen; the ledger has all of them.
    pub first_rejected: Vec<RejectedRow>,
    /// The first warnings, each with its line.
    pub first_warnings: Vec<(u64, Warning)>,
    pub warnings: u64,
    /// Lines below the table, which are not rows.
    pub footers: u64,
    /// The file of rejected rows, or why it was not written.
    pub rejects: Option<Result<PathBuf, String>>,
    /// The earlier import of the same file.
    pub before: Option<Before>,
}

/// The earlier import of the same file with the same settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// The whole file: this import changed nothing.
    Whole { ended_at: Timestamp },
    /// A number of rows, by an interrupted import: this one continued after them.
    Part { rows: u64 },
}

impl ImportSummary {
    pub(super) fn note_rejected(&mut self, rejected: &RejectedRow) {
        self.rejected += 1;
        if self.first_rejected.len() < SHOWN_MAX {
            self.first_rejected.push(rejected.clone());
        }
    }

    pub(super) fn note_warnings(&mut self, line: u64, warnings: &[Warning]) {
        for warning in warnings {
            self.warnings += 1;
            if self.first_warnings.len() < SHOWN_MAX {
                self.first_warnings.push((line, *warning));
            }
        }
    }

    /// Adds the summary of the rows that follow.
    pub(in crate::intake) fn add(&mut self, read: Self) {
        self.rows += read.rows;
        self.rejected += read.rejected;
        self.warnings += read.warnings;
        let room = |shown: usize| SHOWN_MAX.saturating_sub(shown);
        let rejected = read.first_rejected.into_iter();
        let rejected = rejected.take(room(self.first_rejected.len()));
        self.first_rejected.extend(rejected);
        let warnings = read.first_warnings.into_iter();
        let warnings = warnings.take(room(self.first_warnings.len()));
        self.first_warnings.extend(warnings);
    }
}
