//! What an import counted, for whoever looks at it.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::intake::Warning;
use crate::ledger::RejectedRow;

/// How many rejected rows and warnings a summary shows.
pub(super) const SHOWN_MAX: usize = 10;

/// What an import counted: the whole file, with the rows that an import before it accounts for.
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
    /// What was imported of the same file before.
    pub before: Option<Before>,
}

/// What was imported before of the same file, read the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// All of it: nothing was read and nothing changed.
    Whole { ended_at: Timestamp },
    /// So many rows, by an import that died: this one went on after them.
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

    /// Adds what was read after it.
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
