//! A lane's concurrency: how many calls may be under way at once.

use super::account_calls::AccountCalls;
use super::ceiling::{Ceiling, Level};
use crate::pacing::Nanos;

/// One consumer's share of the account's concurrency, as the shared store granted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConcurrencyShare {
    /// How many calls this consumer may have under way at once.
    pub concurrency: u32,
    /// How many consumers share the account.
    pub consumers: u32,
}

/// How many calls may be under way at once, and how many are.
#[derive(Clone, Copy, Debug)]
pub(in crate::pacing) struct Concurrency {
    /// How many the operator, or this consumer's share, allows.
    most: u32,
    /// How many of them Twilio accepts; none on a lane where that is not tried out.
    ceiling: Option<Ceiling>,
    account_calls: AccountCalls,
    /// How many are under way.
    taken: u32,
}

impl Concurrency {
    pub(in crate::pacing) fn new(most: u32) -> Self {
        Self {
            most,
            ceiling: None,
            account_calls: AccountCalls::default(),
            taken: 0,
        }
    }

    /// A concurrency of which Twilio may accept less: the ceiling is found by trying.
    pub(in crate::pacing) fn with_ceiling(most: u32) -> Self {
        Self {
            ceiling: Some(Ceiling::new(most)),
            ..Self::new(most)
        }
    }

    /// How many may be under way now: at most the ceiling.
    pub(in crate::pacing) fn max(&self) -> u32 {
        self.ceiling.map_or(self.most, |ceiling| ceiling.limit())
    }

    /// How many are allowed, without the ceiling.
    pub(in crate::pacing) fn most(&self) -> u32 {
        self.most
    }

    pub(in crate::pacing) fn taken(&self) -> u32 {
        self.taken
    }

    /// How many more may begin now.
    pub(in crate::pacing) fn free(&self) -> u32 {
        self.max().saturating_sub(self.taken)
    }

    /// Allows another number. Calls that are under way go on.
    pub(in crate::pacing) fn allow(&mut self, most: u32) {
        self.most = most;
        if let Some(ceiling) = &mut self.ceiling {
            ceiling.allow(most);
        }
    }

    /// One more call is under way.
    pub(in crate::pacing) fn take(&mut self) -> Level {
        self.taken += 1;
        match &self.ceiling {
            Some(ceiling) => ceiling.level(self.taken),
            None => Level::of(self.taken),
        }
    }

    /// A call is over.
    pub(in crate::pacing) fn release(&mut self) {
        self.taken = self.taken.saturating_sub(1);
    }

    /// Takes note of a reply to a call that left at `level`: too many at once, or accepted. Returns whether a refusal
    /// is believed to be about concurrency.
    pub(in crate::pacing) fn replied(
        &mut self,
        level: Level,
        is_too_many: bool,
        now: Nanos,
    ) -> bool {
        let Some(ceiling) = &mut self.ceiling else {
            return false;
        };
        if !is_too_many {
            ceiling.answered(level, now);
        }
        is_too_many && ceiling.refused(level, now)
    }

    /// Takes note of how many calls of the account a reply told of, as [`AccountCalls::note`].
    pub(in crate::pacing) fn note_account_calls(
        &mut self,
        level: Level,
        concurrent: u32,
        is_too_many: bool,
        allowed: u32,
        now: Nanos,
    ) {
        if let Some(ceiling) = &mut self.ceiling
            && self
                .account_calls
                .note(concurrent, is_too_many, allowed, now)
        {
            ceiling.is_full(level);
        }
    }
}
