//! The books: how many messages of a campaign are in each state.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::message::{DeadReason, RejectReason, SkipReason, WaitReason};

use crate::ledger::columns::{ALREADY_SENT, word};
use crate::ledger::{LedgerError, Result};

/// The counts of one campaign, or of all, from one snapshot of the ledger. As JSON this is the report that `send
/// --json` and `status --json` print.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Books {
    /// Rows read from files by all imports.
    pub rows: u64,
    /// Publishers' messages that were refused on arrival. They are not accepted, and are in no other term.
    pub refused: BTreeMap<DeadReason, u64>,
    /// Messages that the ledger has recorded.
    pub accepted: u64,
    /// Messages that imports have counted as accepted: all except publishers'.
    #[serde(skip)]
    pub imported: u64,
    /// Messages that are both open and over.
    #[serde(skip)]
    pub twice: u64,
    pub rejected: BTreeMap<RejectReason, u64>,
    /// Rows whose id or address the campaign already had.
    pub duplicate: u64,
    /// Rows whose customer has opted out.
    pub suppressed: u64,
    pub queued: u64,
    /// By the reasons [`WaitReason::NotBefore`] and [`WaitReason::Pace`].
    pub scheduled: BTreeMap<WaitReason, u64>,
    pub retrying: u64,
    /// By the reasons [`WaitReason::AgentUnavailable`], [`WaitReason::CustomerBusy`] and [`WaitReason::Paused`].
    pub held: BTreeMap<WaitReason, u64>,
    pub in_flight: u64,
    pub done: u64,
    /// Of the done messages, those that another ledger had carried out.
    pub already_sent: u64,
    pub skipped: BTreeMap<SkipReason, u64>,
    pub dead: BTreeMap<DeadReason, u64>,
    pub unknown: u64,
}

impl Books {
    /// Adds a count that a store made of its own records. `of` is the term, `reason` the reason within a term that has
    /// several.
    pub(in crate::ledger) fn add(&mut self, of: &str, reason: Option<&str>, n: u64) -> Result<()> {
        match of {
            "rows" => self.rows += n,
            "refused" => return add(&mut self.refused, reason, n),
            "accepted" => self.accepted += n,
            "imported" => self.imported += n,
            "twice" => self.twice += n,
            "rejected" => return add(&mut self.rejected, reason, n),
            "duplicate" => self.duplicate += n,
            "suppressed" => self.suppressed += n,
            "waiting" => self.queued += n,
            "deferred" => self.add_waits(word(reason.unwrap_or_default())?, n),
            "in_flight" => self.in_flight += n,
            "done" => {
                self.done += n;
                if reason == Some(ALREADY_SENT) {
                    self.already_sent += n;
                }
            }
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

    /// Adds messages that wait for a later time.
    fn add_waits(&mut self, reason: WaitReason, n: u64) {
        match reason {
            WaitReason::NotBefore | WaitReason::Pace => {
                *self.scheduled.entry(reason).or_default() += n;
            }
            WaitReason::Retry => self.retrying += n,
            WaitReason::CustomerBusy | WaitReason::AgentUnavailable | WaitReason::Paused => {
                *self.held.entry(reason).or_default() += n;
            }
        }
    }

    /// Messages that are open.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.queued + self.waits() + self.in_flight
    }

    /// Messages that wait for a later time: scheduled, retrying or held.
    #[must_use]
    pub fn waits(&self) -> u64 {
        self.scheduled_total() + self.retrying + self.held_total()
    }

    /// Messages that are over.
    #[must_use]
    pub fn over(&self) -> u64 {
        self.done + self.skipped_total() + self.dead_total() + self.unknown
    }

    /// `accepted` minus the messages in all states. If it is not 0, the books do not balance.
    #[must_use]
    pub fn imbalance(&self) -> i64 {
        let places = self.open() + self.over();
        i64::try_from(self.accepted).unwrap_or(i64::MAX) - i64::try_from(places).unwrap_or(0)
    }

    /// Messages that came from publishers.
    #[must_use]
    pub fn published(&self) -> u64 {
        self.accepted.saturating_sub(self.imported)
    }

    /// Rows of files that are not accounted for, or are counted twice, plus messages that an import has counted and the
    /// ledger has lost. If it is not 0, the books do not balance.
    #[must_use]
    pub fn rows_off(&self) -> u64 {
        let fates = self.imported + self.rejected_total() + self.duplicate + self.suppressed;
        self.rows.abs_diff(fates) + self.imported.saturating_sub(self.accepted)
    }

    /// Whether nothing is missing and nothing is counted twice.
    #[must_use]
    pub fn balance(&self) -> bool {
        self.imbalance() == 0 && self.twice == 0 && self.rows_off() == 0
    }

    /// The sum over all reasons.
    #[must_use]
    pub fn scheduled_total(&self) -> u64 {
        self.scheduled.values().sum()
    }

    /// The sum over all reasons.
    #[must_use]
    pub fn held_total(&self) -> u64 {
        self.held.values().sum()
    }

    /// The sum over all reasons.
    #[must_use]
    pub fn skipped_total(&self) -> u64 {
        self.skipped.values().sum()
    }

    /// The sum over all reasons.
    #[must_use]
    pub fn dead_total(&self) -> u64 {
        self.dead.values().sum()
    }

    /// The sum over all reasons.
    #[must_use]
    pub fn refused_total(&self) -> u64 {
        self.refused.values().sum()
    }

    /// The sum over all reasons.
    #[must_use]
    pub fn rejected_total(&self) -> u64 {
        self.rejected.values().sum()
    }
}

impl std::ops::AddAssign<&Books> for Books {
    fn add_assign(&mut self, other: &Self) {
        self.rows += other.rows;
        add_all(&mut self.refused, &other.refused);
        self.accepted += other.accepted;
        self.imported += other.imported;
        self.twice += other.twice;
        add_all(&mut self.rejected, &other.rejected);
        self.duplicate += other.duplicate;
        self.suppressed += other.suppressed;
        self.queued += other.queued;
        add_all(&mut self.scheduled, &other.scheduled);
        self.retrying += other.retrying;
        add_all(&mut self.held, &other.held);
        self.in_flight += other.in_flight;
        self.done += other.done;
        self.already_sent += other.already_sent;
        add_all(&mut self.skipped, &other.skipped);
        add_all(&mut self.dead, &other.dead);
        self.unknown += other.unknown;
    }
}

fn add_all<R: Ord + Copy>(terms: &mut BTreeMap<R, u64>, more: &BTreeMap<R, u64>) {
    for (reason, n) in more {
        *terms.entry(*reason).or_default() += n;
    }
}

fn add<R>(terms: &mut BTreeMap<R, u64>, reason: Option<&str>, n: u64) -> Result<()>
where
    R: Ord + for<'de> Deserialize<'de>,
{
    *terms.entry(word(reason.unwrap_or_default())?).or_default() += n;
    Ok(())
}

/// The due times of a campaign's messages that wait for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DueTimes {
    /// The earliest time.
    pub next: Timestamp,
    /// The latest time. Of messages that wait for their pace it is an estimate.
    pub last: Timestamp,
}

/// What the queue should hold of one campaign, according to the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OnQueue {
    /// Ready to be delivered: waiting messages, retries that are due, and messages whose holder's lease has expired.
    pub ready: u64,
    /// In the queue's own delay: short retries.
    pub delayed: u64,
    /// Delivered to a consumer whose lease is valid.
    pub held: u64,
}

impl OnQueue {
    /// How many messages that should be ready are not on the queue. `unsettled`: how many it has delivered, if it can
    /// tell.
    #[must_use]
    pub fn missing(&self, ready: u64, unsettled: u64) -> u64 {
        self.ready.saturating_sub(self.there(ready, unsettled))
    }

    /// How many ready messages of the queue the ledger does not know: publishers' messages that no consumer has taken
    /// yet, or copies of other messages.
    #[must_use]
    pub fn unread(&self, ready: u64, unsettled: u64) -> u64 {
        self.there(ready, unsettled).saturating_sub(self.ready)
    }

    /// Ready messages, and those that a dead consumer left unsettled.
    fn there(&self, ready: u64, unsettled: u64) -> u64 {
        ready + unsettled.saturating_sub(self.held)
    }
}
