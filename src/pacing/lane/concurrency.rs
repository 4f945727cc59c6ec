//! A lane's concurrency: how many may be under way at once.

use super::account_calls::AccountCalls;
use super::ceiling::{Ceiling, Level};
use crate::pacing::Nanos;

/// What several consumers' store gave one of them of the account's calls at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConcurrencyShare {
    /// How many calls it may have under way.
    pub concurrency: u32,
    /// How many consumers there are.
    pub consumers: u32,
}

/// How many may be under way at once, and how many are.
#[derive(Clone, Copy, Debug)]
pub(in crate::pacing) struct Concurrency {
    most: u32,
    /// What Twilio takes of them, where that is found out.
    ceiling: Option<Ceiling>,
    told: AccountCalls,
    taken: u32,
}

impl Concurrency {
    pub(in crate::pacing) fn new(most: u32) -> Self {
        Self {
            most,
            ceiling: None,
            told: AccountCalls::default(),
            taken: 0,
        }
    }

    /// Concurrency of which Twilio may take fewer than are allowed.
    pub(in crate::pacing) fn felt_out(most: u32) -> Self {
        Self {
            ceiling: Some(Ceiling::new(most)),
            ..Self::new(most)
        }
    }

    /// How many there are at the moment.
    pub(in crate::pacing) fn max(&self) -> u32 {
        self.ceiling.map_or(self.most, |ceiling| ceiling.limit())
    }

    /// How many are allowed.
    pub(in crate::pacing) fn most(&self) -> u32 {
        self.most
    }

    pub(in crate::pacing) fn taken(&self) -> u32 {
        self.taken
    }

    /// How many are free.
    pub(in crate::pacing) fn free(&self) -> u32 {
        self.max().saturating_sub(self.taken)
    }

    /// Allows another number; what is under way stays so.
    pub(in crate::pacing) fn allow(&mut self, most: u32) {
        self.most = most;
        if let Some(ceiling) = &mut self.ceiling {
            ceiling.allow(most);
        }
    }

    /// Takes one.
    pub(in crate::pacing) fn take(&mut self) -> Level {
        self.taken += 1;
        match &self.ceiling {
            Some(ceiling) => ceiling.level(self.taken),
            None => Level::of(self.taken),
        }
    }

    /// Frees one.
    pub(in crate::pacing) fn release(&mut self) {
        self.taken = self.taken.saturating_sub(1);
    }

    /// Takes note of a reply to what left at `level`: too many at once, or carried out. Whether the first
    /// is believed.
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

    /// Takes note of how many calls of the account the reply told of: [`AccountCalls::note`].
    pub(in crate::pacing) fn told(
        &mut self,
        level: Level,
        concurrent: u32,
        is_too_many: bool,
        ours: u32,
        now: Nanos,
    ) {
        if let Some(ceiling) = &mut self.ceiling
            && self.told.note(concurrent, is_too_many, ours, now)
        {
            ceiling.is_full(level);
        }
    }
}
