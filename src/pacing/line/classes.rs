//! Classes: waiters that need the same lanes, by age, and the lane that each class is parked on.
//!
//! In: waiters that come and go. Out: a class's oldest waiter. Always: a class is parked on one lane, or on none while
//! it has starts or the store is asked for them; a class without a waiter is removed.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::starts::Starts;
use crate::pacing::Nanos;
use crate::pacing::lane::ask::{LaneAsk, Ticket};
use crate::pacing::line::{Schedule, ShutLane};

/// A call or message that waits for its permit.
pub(in crate::pacing) struct Waiter<W> {
    pub(in crate::pacing) cost: NonZeroU32,
    pub(in crate::pacing) since: Nanos,
    /// How often one of its lanes granted while another refused.
    pub(super) passed_over: u32,
    pub(in crate::pacing) wake: W,
}

/// Waiters that need the same lanes, by age.
pub(in crate::pacing) struct Class<W> {
    pub(in crate::pacing) lanes: Arc<[usize]>,
    /// Distinguishes the class from an earlier one with the same index.
    pub(in crate::pacing) serial: Ticket,
    pub(in crate::pacing) waiters: BTreeMap<Ticket, Waiter<W>>,
    /// The lane that refused its oldest waiter; none: it has starts, or the store is asked for them.
    pub(in crate::pacing) parked: Option<usize>,
    /// Whether one of its lanes is slow and shared.
    pub(in crate::pacing) is_slow: bool,
    pub(in crate::pacing) starts: Starts,
}

impl<W> Class<W> {
    /// What the oldest waiter costs, and since when it waits.
    pub(in crate::pacing) fn oldest(&self) -> Option<(NonZeroU32, Nanos)> {
        let (_, waiter) = self.waiters.first_key_value()?;
        Some((waiter.cost, waiter.since))
    }
}

impl<W> Schedule<W> {
    /// Adds a class of waiters that need these lanes.
    pub(super) fn new_class(&mut self, lanes: Vec<usize>, serial: Ticket) -> usize {
        let lanes: Arc<[usize]> = lanes.into();
        let class = self.classes.insert(Class {
            lanes: lanes.clone(),
            serial,
            waiters: BTreeMap::new(),
            parked: None,
            is_slow: self.is_slow(&lanes),
            starts: Starts::default(),
        });
        self.by_lanes.insert(lanes, class);
        class
    }

    /// Counts a waiter of a class that comes or goes, on all its lanes.
    pub(in crate::pacing) fn count(&mut self, class: usize, cost: NonZeroU32, comes: bool) {
        let class = &self.classes[class];
        for lane in class.lanes.iter() {
            let track = &mut self.table.tracks[*lane];
            track.count(cost, comes);
            match (class.is_slow, comes) {
                (false, _) => {}
                (true, true) => track.wait_for_starts += 1,
                (true, false) => track.wait_for_starts -= 1,
            }
        }
    }

    /// A lane has another quota: its waiters may ask for starts from now on, or no longer.
    pub(in crate::pacing) fn changed(&mut self, lane: usize, now: Nanos) {
        let with = |class: &(usize, &Class<W>)| class.1.lanes.contains(&lane);
        let with: Vec<_> = self.classes.iter().filter(with).map(|it| it.0).collect();
        for id in with {
            let lanes = self.classes[id].lanes.clone();
            let is_slow = self.is_slow(&lanes);
            let class = &mut self.classes[id];
            if class.is_slow == is_slow {
                continue;
            }
            class.is_slow = is_slow;
            let waiters = u32::try_from(class.waiters.len()).unwrap_or(u32::MAX);
            for lane in lanes.iter() {
                let counted = &mut self.table.tracks[*lane].wait_for_starts;
                *counted = match is_slow {
                    true => *counted + waiters,
                    false => counted.saturating_sub(waiters),
                };
            }
        }
        self.wake(lane, now);
    }

    /// The request of the class's oldest waiter to its lanes.
    pub(in crate::pacing) fn ask_of(&self, class: usize, now: Nanos) -> LaneAsk {
        let (ticket, waiter) = self.classes[class]
            .waiters
            .first_key_value()
            .expect("a class without a waiter is removed");
        LaneAsk {
            ticket: *ticket,
            cost: waiter.cost,
            as_of: waiter.since,
            now,
        }
    }

    /// Parks a class on the lane that refused it.
    pub(super) fn park(&mut self, class: usize, ticket: Ticket, refusal: ShutLane) {
        self.classes[class].parked = Some(refusal.lane);
        self.table.tracks[refusal.lane]
            .parked
            .insert((ticket, class));
        self.await_lane(refusal);
    }

    /// Takes a class off the lane that it is parked on, if any.
    pub(super) fn unpark(&mut self, class: usize, ticket: Ticket) {
        let Some(lane) = self.classes[class].parked else {
            return;
        };
        self.table.tracks[lane].parked.remove(&(ticket, class));
    }

    /// Removes a waiter from its class. The class stays parked on its lane with its next waiter, or is removed.
    pub(super) fn unseat(&mut self, class: usize, ticket: Ticket) -> Option<Waiter<W>> {
        let left = &mut self.classes[class];
        let head = left.waiters.first_key_value().map(|(head, _)| *head);
        let waiter = left.waiters.remove(&ticket)?;
        let next = left.waiters.first_key_value().map(|(next, _)| *next);
        let lane = left.parked;
        self.count(class, waiter.cost, false);
        if head == Some(ticket) {
            self.unpark(class, ticket);
            match (next, lane) {
                (Some(next), Some(lane)) => {
                    self.table.tracks[lane].parked.insert((next, class));
                }
                (Some(_), None) => {}
                (None, _) => {
                    self.forget_starts(class);
                    let class = self.classes.remove(class);
                    self.by_lanes.remove(&class.lanes);
                }
            }
        }
        Some(waiter)
    }
}
