//! Time slices of a shared fast lane that are granted to this consumer.
//!
//! In: time slices from the store, the passing of time. Out: whether a permit fits into them. Always: a permit begins
//! and its charge ends within one slice; an unused slice is lost when its time is over. A slow lane has no slices: its
//! waiters ask for starts (`starts`).

use std::collections::VecDeque;
use std::num::NonZeroU32;

use super::ask::{FOREVER, LaneAsk, LaneRefusal};
use super::limiter::{Charge, Limiter};
use crate::pacing::Nanos;

/// A time slice: a span of a lane's time, the end not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slice {
    from: Nanos,
    to: Nanos,
}

/// The window in which demand is counted.
const DEMAND_FOR: Nanos = 1_000_000_000;

/// How far the estimate of the store's clock may move between two slices that are joined.
const CLOCK_MOVES_MAX: Nanos = 5_000_000;

/// What a lane granted lately, in slots.
#[derive(Clone, Copy, Debug, Default)]
struct Demand {
    /// The number of the window that is being counted.
    counting: Nanos,
    count: u64,
    /// The count of the window before.
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

/// This consumer's time slices of one lane.
#[derive(Clone, Debug, Default)]
pub(in crate::pacing) struct Slices {
    /// In order, none overlapping another.
    slices: VecDeque<Slice>,
    /// Whether a request to the store is under way.
    pub(in crate::pacing) is_asked: bool,
    /// The store grants nothing before this moment; 0: it did not say so.
    not_before: Nanos,
    /// The end of a rest after a 429 that the store is to be told of.
    pub(in crate::pacing) rest: Option<Nanos>,
    /// Unused starts that the store is to be told of: how many slots, and when the last one ends.
    pub(in crate::pacing) unused: Vec<(u64, Nanos)>,
    demand: Demand,
    /// When the lane last granted a permit.
    used_at: Nanos,
}

impl Slices {
    /// Asks whether a slice holds `cost` now. The limiter decides within the slice.
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

    /// How many unused slots the slices hold.
    pub(in crate::pacing) fn slots(&self, limiter: &Limiter, now: Nanos) -> u64 {
        let begun = limiter.due(NonZeroU32::MIN).max(now);
        let left = |it: &Slice| it.to.saturating_sub(it.from.max(begun)) / limiter.period();
        self.slices.iter().map(left).sum()
    }

    /// Counts slots that the lane grants at `now`.
    pub(in crate::pacing) fn count(&mut self, slots: u64, now: Nanos) {
        self.demand = self.demand.at(now);
        self.demand.count += slots;
        self.used_at = now;
    }

    /// When the lane last granted a permit; 0: never.
    pub(in crate::pacing) fn used_at(&self) -> Nanos {
        self.used_at
    }

    /// How many slots are likely to be used within `lasts`, by the demand of the last second or two. It includes
    /// waiters that come while the store is asked.
    pub(in crate::pacing) fn demand(&self, lasts: Nanos, now: Nanos) -> u64 {
        let demand = self.demand.at(now);
        let a_second = demand.count.max(demand.before);
        a_second.saturating_mul(lasts) / DEMAND_FOR
    }

    /// Whether the last slice ends within `low`.
    pub(super) fn is_low(&self, now: Nanos, low: Nanos) -> bool {
        let end = self.slices.back().map_or(0, |last| last.to);
        end < now.saturating_add(low)
    }

    /// Adds a slice that the store granted, of a lane of this period.
    pub(in crate::pacing) fn add(&mut self, from: Nanos, to: Nanos, period: Nanos) {
        self.not_before = 0;
        // No other consumer's slot fits between the two, however wrong the estimate of the clock is: they are joined,
        // so that a permit may begin in one and end in the other.
        if let Some(before) = self.slices.back_mut()
            && from < before.to.saturating_add(period / 2)
        {
            // A new reading of the store's clock must not cost the last slot.
            let moved = (period / 32).min(CLOCK_MOVES_MAX);
            let as_long = before.to.saturating_add(to.saturating_sub(from));
            before.to = before.to.max(to).max(as_long.min(to.saturating_add(moved)));
            return;
        }
        self.slices.push_back(Slice { from, to });
    }

    /// The store grants nothing before `at`.
    pub(in crate::pacing) fn refuse(&mut self, at: Nanos) {
        self.not_before = at;
    }

    /// Forgets slices that are over.
    pub(in crate::pacing) fn prune(&mut self, now: Nanos) {
        while self.slices.front().is_some_and(|it| it.to <= now) {
            self.slices.pop_front();
        }
    }

    /// Whether no request is under way and the store did not refuse one until later.
    pub(super) fn may_ask(&self, now: Nanos) -> bool {
        !self.is_asked && self.not_before <= now
    }

    /// Forgets all slices and the store's refusal, since the lane has another quota.
    pub(in crate::pacing) fn forget(&mut self) {
        self.slices.clear();
        self.not_before = 0;
    }

    /// Whether the store has nothing to answer and nothing to be told.
    pub(in crate::pacing) fn is_forgettable(&self) -> bool {
        !self.is_asked && self.unused.is_empty() && self.rest.is_none()
    }

    /// When the store may be asked again; 0: at once.
    pub(in crate::pacing) fn not_before(&self) -> Nanos {
        self.not_before
    }

    /// When the last slice ends, or when the store may be asked again if that is later.
    pub(in crate::pacing) fn free_at(&self) -> Nanos {
        let end = self.slices.back().map_or(0, |last| last.to);
        end.max(self.not_before)
    }
}
