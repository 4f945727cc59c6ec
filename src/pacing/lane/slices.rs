//! Time slices of a shared lane granted to this consumer: stretches of a fast lane's time.
//!
//! In: stretches from the store, the passing of time. Out: whether something may go in them. Always: a
//! permit starts and is paid for within one stretch; what was not used in its time is gone. Of a slow lane there are
//! none: what needs one asks for a start (`starts`).

use std::collections::VecDeque;
use std::num::NonZeroU32;

use super::ask::{FOREVER, LaneAsk, LaneRefusal};
use super::limiter::{Charge, Limiter};
use crate::pacing::Nanos;

/// A stretch of a lane's time, the end not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slice {
    from: Nanos,
    to: Nanos,
}

/// How long demand is counted before it says how much is asked for.
const DEMAND_FOR: Nanos = 1_000_000_000;

/// How far what is known of the store's clock may move between two stretches that are joined.
const CLOCK_MOVES_MAX: Nanos = 5_000_000;

/// What went through a lane of late, in slots.
#[derive(Clone, Copy, Debug, Default)]
struct Demand {
    /// The number of the stretch of time that is being counted.
    counting: Nanos,
    count: u64,
    /// The count of the one before.
    before: u64,
}

impl Demand {
    fn at(mut self, now: Nanos) -> Self {
        let counting = now / DEMAND_FOR;
        if counting > self.counting {
            let is_next = counting == self.counting + 1;
            self = Self {
                counting,
                count: 0,
                before: if is_next { self.count } else { 0 },
            };
        }
        self
    }
}

/// Our part of one lane.
#[derive(Clone, Debug, Default)]
pub(in crate::pacing) struct Slices {
    /// In order, none overlapping another.
    slices: VecDeque<Slice>,
    /// The store has been asked and has not answered.
    pub(in crate::pacing) is_asked: bool,
    /// The store said that there is nothing before.
    not_before: Nanos,
    /// A 429 that the store is to know of.
    pub(in crate::pacing) rest: Option<Nanos>,
    /// Starts that were not used, of which the store is to know: how many slots, and when the last one ends.
    pub(in crate::pacing) unused: Vec<(u64, Nanos)>,
    demand: Demand,
    /// When something last went through.
    used_at: Nanos,
}

impl Slices {
    /// Asks whether `cost` may go now.
    ///
    /// # Errors
    ///
    /// When to ask again, or that the store has to be asked.
    pub(in crate::pacing) fn ask(
        &self,
        limiter: &Limiter,
        cost: NonZeroU32,
        ask: &LaneAsk,
    ) -> Result<Charge, LaneRefusal> {
        let needs = limiter.period().saturating_mul(cost.get().into());
        for slice in &self.slices {
            let due = limiter.due(cost).max(slice.from);
            if due > ask.now {
                if due.saturating_add(needs) <= slice.to {
                    return Err(LaneRefusal::Until(due));
                }
                continue;
            }
            let as_of = ask.as_of.max(due);
            if let Ok(charge) = limiter.ask(cost, as_of, ask.now)
                && charge.end() <= slice.to
            {
                return Ok(charge);
            }
        }
        if self.is_asked {
            return Err(LaneRefusal::Until(FOREVER));
        }
        if self.not_before > ask.now {
            return Err(LaneRefusal::AskAgain(self.not_before));
        }
        Err(LaneRefusal::Ask(limiter.period()))
    }

    /// How many slots of a fast lane are in hand.
    pub(in crate::pacing) fn slots(&self, limiter: &Limiter, now: Nanos) -> u64 {
        let begun = limiter.due(NonZeroU32::MIN).max(now);
        let left = |it: &Slice| it.to.saturating_sub(it.from.max(begun)) / limiter.period();
        self.slices.iter().map(left).sum()
    }

    /// Counts what goes through at `now`.
    pub(in crate::pacing) fn count(&mut self, slots: u64, now: Nanos) {
        self.demand = self.demand.at(now);
        self.demand.count += slots;
        self.used_at = now;
    }

    /// When something last went through; 0 before the first.
    pub(in crate::pacing) fn used_at(&self) -> Nanos {
        self.used_at
    }

    /// How many slots are likely to be used within `lasts`, by what was of late: those who come while the store is
    /// asked are not here yet.
    pub(in crate::pacing) fn demand(&self, lasts: Nanos, now: Nanos) -> u64 {
        let demand = self.demand.at(now);
        let a_second = demand.count.max(demand.before);
        a_second.saturating_mul(lasts) / DEMAND_FOR
    }

    /// Whether what is in hand ends within `low`.
    pub(super) fn is_low(&self, now: Nanos, low: Nanos) -> bool {
        let end = self.slices.back().map_or(0, |last| last.to);
        end < now.saturating_add(low)
    }

    /// Takes a stretch that the store gave, of a lane of this period.
    pub(in crate::pacing) fn give(&mut self, from: Nanos, to: Nanos, period: Nanos) {
        self.not_before = 0;
        // Between the two there is no room for anybody else's slot, whatever the clocks' readings are off by: a permit
        // may begin late in one and end in the other.
        if let Some(before) = self.slices.back_mut()
            && from < before.to.saturating_add(period / 2)
        {
            // A clock that was read anew meanwhile must not cost the last slot.
            let moved = (period / 32).min(CLOCK_MOVES_MAX);
            let as_long = before.to.saturating_add(to.saturating_sub(from));
            before.to = before.to.max(to).max(as_long.min(to.saturating_add(moved)));
            return;
        }
        self.slices.push_back(Slice { from, to });
    }

    /// Takes the store's word that there is nothing before `at`.
    pub(in crate::pacing) fn refuse(&mut self, at: Nanos) {
        self.not_before = at;
    }

    /// Forgets stretches that are over.
    pub(in crate::pacing) fn prune(&mut self, now: Nanos) {
        while self.slices.front().is_some_and(|it| it.to <= now) {
            self.slices.pop_front();
        }
    }

    /// Whether the store has not said that there is nothing yet.
    pub(super) fn may_ask(&self, now: Nanos) -> bool {
        !self.is_asked && self.not_before <= now
    }

    /// Lets go of what is in hand, and of what the store said of it: its quota is another one.
    pub(in crate::pacing) fn forget(&mut self) {
        self.slices.clear();
        self.not_before = 0;
    }

    /// Whether the store knows all there is to know.
    pub(in crate::pacing) fn is_forgettable(&self) -> bool {
        !self.is_asked && self.unused.is_empty() && self.rest.is_none()
    }

    /// From when on the store is to be asked again; not later than `now`: it may be asked.
    pub(in crate::pacing) fn not_before(&self) -> Nanos {
        self.not_before
    }

    /// When the lane is free for whoever comes now, as far as the store told.
    pub(in crate::pacing) fn free_at(&self) -> Nanos {
        let end = self.slices.back().map_or(0, |last| last.to);
        end.max(self.not_before)
    }
}
