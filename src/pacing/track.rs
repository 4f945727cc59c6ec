//! Everything we keep about one lane.
//!
//! In: who asks, and when. Out: yes, or the moment to ask again. Always: asking changes nothing.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use super::calendar::Calendar;
use super::cooldown::Rest;
use super::limiter::{Charge, Limiter};
use super::usage::Usage;
use super::{Lane, Nanos};

/// The order of arrival: whoever came first has the lower one.
pub(super) type Ticket = u64;

/// No time brings it: a place has to be freed.
pub(super) const FOREVER: Nanos = Nanos::MAX;

/// The longest that a place is kept free for a waiter who was passed over too often.
const PLACE_CLAIM_MAX: Nanos = 1_000_000_000;

/// Who asks, for how much, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    pub(super) ticket: Ticket,
    /// What the whole permit costs; a lane charges its part.
    pub(super) cost: NonZeroU32,
    /// The moment the lanes are charged from: at most `now`.
    pub(super) as_of: Nanos,
    pub(super) now: Nanos,
}

/// How many may be under way at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    pub(super) max: NonZeroU32,
    pub(super) taken: u32,
    /// When one was last freed while all were taken.
    pub(super) freed: Nanos,
}

/// A lane kept for one waiter, who was passed over too often.
#[derive(Clone, Copy, Debug)]
struct Claim {
    ticket: Ticket,
    until: Nanos,
}

/// One lane.
pub(super) struct Track {
    pub(super) lane: Lane,
    /// Tells a lane from the one that had its place before.
    pub(super) serial: u64,
    pub(super) limiter: Option<Limiter>,
    pub(super) places: Option<Places>,
    pub(super) rest: Rest,
    claim: Option<Claim>,
    /// The classes that wait for this lane, by their oldest waiter.
    pub(super) parked: BTreeSet<(Ticket, usize)>,
    /// When the oldest of them is asked again.
    pub(super) alarm: Option<Nanos>,
    /// Waiters that need this lane, wherever they are parked, and what they cost here.
    pub(super) waiting: u32,
    pub(super) waiting_cost: u64,
    pub(super) calendar: Calendar,
    pub(super) usage: Usage,
    pub(super) last_used: Nanos,
}

impl Track {
    pub(super) fn new(lane: Lane, serial: u64, now: Nanos) -> Self {
        Self {
            lane,
            serial,
            limiter: None,
            places: None,
            rest: Rest::default(),
            claim: None,
            parked: BTreeSet::new(),
            alarm: None,
            waiting: 0,
            waiting_cost: 0,
            calendar: Calendar::default(),
            usage: Usage::default(),
            last_used: now,
        }
    }

    /// Asks whether this lane lets go now.
    ///
    /// # Errors
    ///
    /// When to ask again; [`FOREVER`] when something has to happen first.
    pub(super) fn ask(&self, ask: &Ask) -> Result<Option<Charge>, Nanos> {
        if self.rest.until > ask.now {
            return Err(self.rest.until);
        }
        // First come, first served: even when a smaller one behind an older one could go.
        if self
            .parked
            .first()
            .is_some_and(|(head, _)| *head < ask.ticket)
        {
            return Err(self.alarm.unwrap_or(FOREVER));
        }
        let claim = self
            .claim
            .filter(|claim| claim.until > ask.now && claim.ticket < ask.ticket);
        if let Some(places) = &self.places {
            let kept = u32::from(claim.is_some() && self.limiter.is_none());
            if places.taken >= places.max.get() {
                return Err(FOREVER);
            }
            if places.taken + kept >= places.max.get() {
                return Err(claim.map_or(FOREVER, |claim| claim.until));
            }
        }
        let Some(limiter) = &self.limiter else {
            return Ok(None);
        };
        if let Some(claim) = claim {
            return Err(claim.until);
        }
        let cost = self.lane.charge(ask.cost);
        limiter.ask(cost, ask.as_of, ask.now).map(Some)
    }

    /// When this lane let go, or will, as far as it knows.
    pub(super) fn due(&self, ask: &Ask) -> Nanos {
        let cost = self.lane.charge(ask.cost);
        let paced = self.limiter.as_ref().map_or(0, |limiter| limiter.due(cost));
        let freed = self.places.map_or(0, |places| places.freed);
        paced.max(freed).max(self.rest.until)
    }

    /// Takes what [`Self::ask`] offered.
    pub(super) fn take(&mut self, ask: &Ask, charge: Option<Charge>) {
        if let (Some(limiter), Some(charge)) = (&mut self.limiter, charge) {
            limiter.charge(charge);
        }
        if let Some(places) = &mut self.places {
            places.taken += 1;
        }
        if self.claim.is_some_and(|claim| claim.ticket == ask.ticket) {
            self.claim = None;
        }
        self.usage.add(ask.now, self.lane.charge(ask.cost).get());
        self.last_used = ask.now;
    }

    /// Keeps this lane for a waiter until another lane lets go at `due`, if that costs the lane one
    /// slot at most.
    pub(super) fn claim(&mut self, ask: &Ask, due: Nanos) {
        let bound = match &self.limiter {
            Some(limiter) => limiter.period(),
            None if self.places.is_some() => PLACE_CLAIM_MAX,
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

    /// Gives up the claim of a waiter who left.
    pub(super) fn unclaim(&mut self, ticket: Ticket) {
        if self.claim.is_some_and(|claim| claim.ticket == ticket) {
            self.claim = None;
        }
    }

    /// When somebody who comes now would be let go, after everybody who waits.
    pub(super) fn expected(&self, now: Nanos) -> Nanos {
        let queued = self.limiter.as_ref().map_or(0, |limiter| {
            let free = limiter.due(NonZeroU32::MIN).max(now);
            free.saturating_add(self.waiting_cost.saturating_mul(limiter.period()))
        });
        queued.max(self.rest.until).max(now)
    }

    /// How long the lane is taken by something of `cost`; none without a limit.
    pub(super) fn slot(&self, cost: NonZeroU32) -> Option<Nanos> {
        let cost = u64::from(self.lane.charge(cost).get());
        let limiter = self.limiter.as_ref()?;
        Some(limiter.period().saturating_mul(cost))
    }

    /// Counts a waiter in or out.
    pub(super) fn count(&mut self, cost: NonZeroU32, comes: bool) {
        let cost = u64::from(self.lane.charge(cost).get());
        if comes {
            self.waiting += 1;
            self.waiting_cost += cost;
        } else {
            self.waiting -= 1;
            self.waiting_cost -= cost;
        }
    }

    /// Whether anything would be lost if the lane were forgotten, its rest and age apart.
    pub(super) fn is_forgettable(&self, now: Nanos) -> bool {
        self.waiting == 0
            && self.parked.is_empty()
            && self.places.is_none_or(|places| places.taken == 0)
            && self
                .limiter
                .as_ref()
                .is_none_or(|limiter| limiter.is_fresh(now))
            && self.calendar.is_empty()
    }
}
