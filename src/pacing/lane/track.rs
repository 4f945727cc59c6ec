//! The state of one lane.
//!
//! In: a waiter's request. Out: a charge, or why the lane refuses and when to ask again. Always: asking changes
//! nothing.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use super::ask::{FOREVER, LaneAsk, LaneRefusal, Ticket};
use super::ceiling::Level;
use super::concurrency::Concurrency;
use super::cooldown::Rest;
use super::limiter::{Charge, Limiter};
use super::slices::Slices;
use super::usage::Usage;
use crate::pacing::backlog::coming::Coming;
use crate::pacing::cluster::shared;
use crate::pacing::{Lane, Nanos};

/// How long one call of a lane's concurrency is kept free at most for a waiter that was passed over too often.
const CONCURRENCY_CLAIM_MAX: Nanos = 1_000_000_000;

/// A claim: the lane is kept for one waiter that was passed over too often.
#[derive(Clone, Copy, Debug)]
struct Claim {
    ticket: Ticket,
    until: Nanos,
}

/// A lane's index in the table. The serial number distinguishes the lane from a later one with the same index, once it
/// is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pacing) struct LaneRef {
    pub(in crate::pacing) id: usize,
    pub(in crate::pacing) serial: u64,
}

/// One lane.
pub(in crate::pacing) struct Track {
    pub(in crate::pacing) lane: Lane,
    /// Distinguishes the lane from an earlier one with the same index in the table.
    pub(in crate::pacing) serial: u64,
    pub(in crate::pacing) limiter: Option<Limiter>,
    /// The time slices that are granted to this consumer; none: no other consumer uses the lane.
    pub(in crate::pacing) slices: Option<Slices>,
    /// How many waiters need this lane together with a slow one. While there are any, all waiters of this lane ask for
    /// starts.
    pub(in crate::pacing) wait_for_starts: u32,
    pub(in crate::pacing) concurrency: Option<Concurrency>,
    pub(in crate::pacing) rest: Rest,
    claim: Option<Claim>,
    /// The classes that are parked on this lane, by their oldest waiter.
    pub(in crate::pacing) parked: BTreeSet<(Ticket, usize)>,
    /// When the oldest of them asks again.
    pub(in crate::pacing) alarm: Option<Nanos>,
    /// How many waiters need this lane, wherever they are parked, and what they cost here.
    pub(in crate::pacing) waiting: u32,
    pub(super) waiting_cost: u64,
    /// The messages that were called up or are put off.
    pub(in crate::pacing) coming: Coming,
    pub(in crate::pacing) usage: Usage,
    pub(in crate::pacing) last_used: Nanos,
}

impl Track {
    pub(in crate::pacing) fn new(lane: Lane, serial: u64, now: Nanos) -> Self {
        Self {
            lane,
            serial,
            limiter: None,
            slices: None,
            wait_for_starts: 0,
            concurrency: None,
            rest: Rest::default(),
            claim: None,
            parked: BTreeSet::new(),
            alarm: None,
            waiting: 0,
            waiting_cost: 0,
            coming: Coming::default(),
            usage: Usage::default(),
            last_used: now,
        }
    }

    /// A reference to this lane, which is at `id` in the table.
    pub(in crate::pacing) fn lane_ref(&self, id: usize) -> LaneRef {
        LaneRef {
            id,
            serial: self.serial,
        }
    }

    /// Asks whether this lane grants a permit now. Returns its charge, none without a limit.
    ///
    /// # Errors
    ///
    /// When to ask again, or what has to happen first.
    pub(in crate::pacing) fn ask(&self, ask: &LaneAsk) -> Result<Option<Charge>, LaneRefusal> {
        if self.rest.until > ask.now {
            return Err(LaneRefusal::Until(self.rest.until));
        }
        // First come, first served, even if the older waiter costs more and the lane could grant the younger one now.
        if self
            .parked
            .first()
            .is_some_and(|(head, _)| *head < ask.ticket)
        {
            return Err(LaneRefusal::Until(self.alarm.unwrap_or(FOREVER)));
        }
        let claim = self
            .claim
            .filter(|claim| claim.until > ask.now && claim.ticket < ask.ticket);
        if let Some(concurrency) = &self.concurrency {
            let kept = u32::from(claim.is_some() && self.limiter.is_none());
            if concurrency.free() == 0 {
                return Err(LaneRefusal::Until(FOREVER));
            }
            if concurrency.free() <= kept {
                let until = claim.map_or(FOREVER, |claim| claim.until);
                return Err(LaneRefusal::Until(until));
            }
        }
        let Some(limiter) = &self.limiter else {
            return Ok(None);
        };
        if let Some(claim) = claim {
            return Err(LaneRefusal::Until(claim.until));
        }
        let cost = self.lane.charge(ask.cost);
        let charge = match &self.slices {
            Some(slices) => slices.ask(limiter, cost, ask),
            None => limiter
                .ask(cost, ask.as_of.max(limiter.due(cost)), ask.now)
                .map_err(LaneRefusal::Until),
        };
        charge.map(Some)
    }

    /// Grants a permit with the charge that [`Self::ask`] returned.
    pub(in crate::pacing) fn take(
        &mut self,
        ask: &LaneAsk,
        charge: Option<Charge>,
    ) -> Option<Level> {
        if let (Some(limiter), Some(charge)) = (&mut self.limiter, charge) {
            limiter.charge(charge);
            if let Some(slices) = &mut self.slices {
                slices.count(self.lane.charge(ask.cost).get().into(), ask.now);
            }
        }
        let level = self.concurrency.as_mut().map(Concurrency::take);
        if self.claim.is_some_and(|claim| claim.ticket == ask.ticket) {
            self.claim = None;
        }
        self.usage.add(ask.now, self.lane.charge(ask.cost).get());
        self.last_used = ask.now;
        level
    }

    /// Whether the store is to be asked for another time slice, since the last one ends within `low`.
    pub(in crate::pacing) fn is_to_ask(&self, now: Nanos, low: Nanos) -> bool {
        let (Some(slices), Some(limiter)) = (&self.slices, &self.limiter) else {
            return false;
        };
        !shared::is_slow(limiter.period())
            && self.waiting > 0
            && self.wait_for_starts == 0
            && slices.may_ask(now)
            && slices.is_low(now, low)
    }

    /// The duration of one slot; 0 without a limit.
    pub(in crate::pacing) fn period(&self) -> Nanos {
        self.limiter.as_ref().map_or(0, Limiter::period)
    }

    /// When the last time slice of a shared lane ends; `now` for any other lane.
    pub(in crate::pacing) fn slice_end(&self, now: Nanos) -> Nanos {
        match (&self.slices, &self.limiter) {
            (Some(slices), Some(_)) => slices.free_at().max(now),
            _ => now,
        }
    }

    /// Whether waiters of this lane ask for starts, since it is slow itself or is needed together with a slow lane.
    pub(in crate::pacing) fn is_by_starts(&self) -> bool {
        self.is_slow_and_shared()
            || (self.wait_for_starts > 0 && self.slices.is_some() && self.limiter.is_some())
    }

    /// Whether the lane is slow and other consumers use it too.
    pub(in crate::pacing) fn is_slow_and_shared(&self) -> bool {
        self.slices.is_some() && shared::is_slow(self.period())
    }

    /// Asks whether a rest, a claim or the concurrency prevents a start at `now`.
    ///
    /// # Errors
    ///
    /// When to ask again.
    pub(in crate::pacing) fn bars_start(&self, ticket: Ticket, now: Nanos) -> Result<(), Nanos> {
        if self.rest.until > now {
            return Err(self.rest.until);
        }
        let claim = self.claim;
        let claim = claim.filter(|claim| claim.until > now && claim.ticket < ticket);
        let kept = u32::from(claim.is_some() && self.limiter.is_none());
        match &self.concurrency {
            Some(concurrency) if concurrency.free() == 0 => Err(FOREVER),
            Some(concurrency) if concurrency.free() <= kept => {
                Err(claim.map_or(FOREVER, |claim| claim.until))
            }
            _ => Ok(()),
        }
    }

    /// Grants a start that the store granted for `at`.
    pub(in crate::pacing) fn start(
        &mut self,
        ask: &LaneAsk,
        at: Nanos,
    ) -> (Option<Charge>, Option<Level>) {
        let cost = self.lane.charge(ask.cost);
        let charge = self.limiter.as_ref().map(|it| it.start(cost, at));
        let level = self.take(ask, charge);
        (charge, level)
    }

    /// Whether `now` is too late for a start at `at` to be charged from `at`.
    pub(in crate::pacing) fn is_too_late(&self, at: Nanos, now: Nanos) -> bool {
        let is_late = |limiter: &Limiter| limiter.credited(now) > at;
        self.slices.is_some() && self.limiter.as_ref().is_some_and(is_late)
    }

    /// Takes note that a start of `cost`, which the store granted for `at`, is not used. Returns whether the store is
    /// to be told.
    pub(in crate::pacing) fn unused(&mut self, cost: NonZeroU32, at: Nanos) -> bool {
        let slots = u64::from(self.lane.charge(cost).get());
        let end = at.saturating_add(slots.saturating_mul(self.period()));
        let (Some(slices), Some(_)) = (&mut self.slices, &self.limiter) else {
            return false;
        };
        slices.unused.push((slots, end));
        true
    }

    /// Keeps this lane for a waiter until another lane grants at `due`, if that costs this lane one slot at most.
    pub(in crate::pacing) fn claim(&mut self, ask: &LaneAsk, due: Nanos) {
        let bound = match &self.limiter {
            Some(limiter) => limiter.period(),
            None if self.concurrency.is_some() => CONCURRENCY_CLAIM_MAX,
            None => return,
        };
        let until = if due == FOREVER {
            ask.now.saturating_add(bound)
        } else {
            due
        };
        let older = |claim: Claim| claim.until > ask.now && claim.ticket < ask.ticket;
        if until - ask.now <= bound && !self.claim.is_some_and(older) {
            let ticket = ask.ticket;
            self.claim = Some(Claim { ticket, until });
        }
    }

    /// Drops the claim of a waiter that left.
    pub(in crate::pacing) fn unclaim(&mut self, ticket: Ticket) {
        if self.claim.is_some_and(|claim| claim.ticket == ticket) {
            self.claim = None;
        }
    }

    /// When the lane grants a waiter that comes now: after all that wait here, and as many at each other consumer of
    /// `consumers`.
    pub(in crate::pacing) fn expected(&self, now: Nanos, consumers: u64) -> Nanos {
        let period = self.slot(consumers).unwrap_or(0);
        let queued = self.waiting_cost.saturating_mul(period);
        let free = self.limited_until().max(now).saturating_add(queued);
        free.max(self.rest.until)
    }

    /// When the lane grants the next message if no other message waits for it.
    pub(in crate::pacing) fn free_at(&self, now: Nanos) -> Nanos {
        self.limited_until().max(self.rest.until).max(now)
    }

    fn limited_until(&self) -> Nanos {
        self.limiter.as_ref().map_or(0, |limiter| {
            let sliced = self.slices.as_ref().map_or(0, Slices::free_at);
            limiter.due(NonZeroU32::MIN).max(sliced)
        })
    }

    /// The cost of the waiters and of the messages that were called up.
    pub(in crate::pacing) fn in_hand(&self) -> u64 {
        self.waiting_cost.saturating_add(self.coming.reserved())
    }

    /// As [`Self::expected`], also after the messages that were called up.
    pub(in crate::pacing) fn expected_after_called(&self, now: Nanos, consumers: u64) -> Nanos {
        self.expected_after(self.coming.reserved(), now, consumers)
    }

    /// As [`Self::expected`], also after all messages that were called up or are put off.
    pub(in crate::pacing) fn expected_after_all(&self, now: Nanos, consumers: u64) -> Nanos {
        self.expected_after(self.coming.all(), now, consumers)
    }

    fn expected_after(&self, cost: u64, now: Nanos, consumers: u64) -> Nanos {
        let expected = self.expected(now, consumers);
        let slot = self.slot(consumers).unwrap_or(0);
        expected.saturating_add(cost.saturating_mul(slot))
    }

    /// The duration of one slot for this consumer, where each of `consumers` takes one in turn; none without a limit.
    pub(in crate::pacing) fn slot(&self, consumers: u64) -> Option<Nanos> {
        let period = self.limiter.as_ref()?.period();
        Some(period.saturating_mul(self.sharing(consumers)))
    }

    /// How many of `consumers` use this lane.
    fn sharing(&self, consumers: u64) -> u64 {
        if self.slices.is_some() { consumers } else { 1 }
    }

    /// Counts a waiter that comes or goes.
    pub(in crate::pacing) fn count(&mut self, cost: NonZeroU32, comes: bool) {
        let cost = u64::from(self.lane.charge(cost).get());
        if comes {
            self.waiting += 1;
            self.waiting_cost += cost;
        } else {
            self.waiting -= 1;
            self.waiting_cost -= cost;
        }
    }

    /// Whether the lane can be forgotten without a loss, apart from its rest and its age.
    pub(in crate::pacing) fn is_forgettable(&self, now: Nanos) -> bool {
        self.waiting == 0
            && self.parked.is_empty()
            && self
                .concurrency
                .is_none_or(|concurrency| concurrency.taken() == 0)
            && self
                .limiter
                .as_ref()
                .is_none_or(|limiter| limiter.is_fresh(now))
            && self.coming.is_empty()
            && self.slices.as_ref().is_none_or(Slices::is_forgettable)
    }
}
