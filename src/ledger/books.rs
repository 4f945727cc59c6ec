//! The books: where every message of a campaign is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::message::{DeadReason, DeferReason, RejectReason, SkipReason};

use super::columns::word;
use super::{LedgerError, Result};

/// Counts of one campaign, or of all, from one snapshot of the ledger. As JSON it is the report
/// that `send --json` and `status --json` print.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Books {
    /// Rows read from files, all imports together.
    pub rows: u64,
    /// Messages the ledger has recorded.
    pub accepted: u64,
    pub rejected: BTreeMap<RejectReason, u64>,
    /// Rows whose id or address the campaign had already.
    pub duplicate: u64,
    /// Rows whose customer has opted out.
    pub suppressed: u64,
    pub waiting: u64,
    pub deferred: BTreeMap<DeferReason, u64>,
    pub in_flight: u64,
    pub done: u64,
    pub skipped: BTreeMap<SkipReason, u64>,
    pub dead: BTreeMap<DeadReason, u64>,
    pub unknown: u64,
}

impl Books {
    /// Adds a count that a store made of its own records: `of` a term, for a reason where it has
    /// several.
    pub(super) fn add(&mut self, of: &str, reason: Option<&str>, n: u64) -> Result<()> {
        match of {
            "rows" => self.rows += n,
            "accepted" => self.accepted += n,
            "rejected" => return add(&mut self.rejected, reason, n),
            "duplicate" => self.duplicate += n,
            "suppressed" => self.suppressed += n,
            "waiting" => self.waiting += n,
            "deferred" => return add(&mut self.deferred, reason, n),
            "in_flight" => self.in_flight += n,
            "done" => self.done += n,
            "skipped" => return add(&mut self.skipped, reason, n),
            "dead" => return add(&mut self.dead, reason, n),
            "unknown" => self.unknown += n,
            other => {
                return Err(LedgerError::Damaged(format!(
                    "the books have no term {other:?}"
                )));
            }
        }
        Ok(())
    }

    /// Messages whose turn is not over.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.waiting + self.deferred_total() + self.in_flight
    }

    /// Messages whose turn is over.
    #[must_use]
    pub fn over(&self) -> u64 {
        self.done + self.skipped_total() + self.dead_total() + self.unknown
    }

    /// `accepted` less every place a message can be: 0, or the books do not balance.
    #[must_use]
    pub fn imbalance(&self) -> i64 {
        let places = self.open() + self.over();
        i64::try_from(self.accepted).unwrap_or(i64::MAX) - i64::try_from(places).unwrap_or(0)
    }

    /// All reasons together.
    #[must_use]
    pub fn deferred_total(&self) -> u64 {
        self.deferred.values().sum()
    }

    /// All reasons together.
    #[must_use]
    pub fn skipped_total(&self) -> u64 {
        self.skipped.values().sum()
    }

    /// All reasons together.
    #[must_use]
    pub fn dead_total(&self) -> u64 {
        self.dead.values().sum()
    }

    /// All reasons together.
    #[must_use]
    pub fn rejected_total(&self) -> u64 {
        self.rejected.values().sum()
    }
}

fn add<R>(terms: &mut BTreeMap<R, u64>, reason: Option<&str>, n: u64) -> Result<()>
where
    R: Ord + for<'de> Deserialize<'de>,
{
    *terms.entry(word(reason.unwrap_or_default())?).or_default() += n;
    Ok(())
}

/// The report of one campaign: its name, then its books.
#[derive(Clone, Debug, Serialize)]
pub struct Report<'a> {
    pub campaign: &'a str,
    #[serde(flatten)]
    pub books: &'a Books,
}
