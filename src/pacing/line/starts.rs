//! Starts: a start is one moment that the store grants on all lanes of a waiter, one of which is slow and shared.
//!
//! In: classes of waiters, the store's answers. Out: granted permits. Always: a class with a start that is asked for or
//! granted is not parked, unless it wants another one; a start is used at its moment, or given back.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::hold::LaneHold;
use crate::pacing::Nanos;
use crate::pacing::cluster::shared::{LaneRequest, StartAnswer, StartLane, StartWant};
use crate::pacing::lane::LaneKind;
use crate::pacing::lane::ask::{FOREVER, LaneAsk, LaneRefusal, Ticket};
use crate::pacing::lane::track::{LaneRef, Track};
use crate::pacing::line::{Granted, Schedule, ShutLane};

/// How many classes that are parked on one lane ask for starts at once at least. They are more than the lane has slots,
/// since the other lanes of some classes are busy with other consumers.
const ASKED_MIN: u64 = 16;

/// How many of these classes ask at once for each slot that the lane has until the next answer.
const ASKED_A_SLOT: u64 = 4;

/// How many starts one request asks for at most; the others are in the next one.
const STARTS_MAX: usize = 512;

/// A start that the store granted.
#[derive(Clone, Copy, Debug)]
struct GrantedStart {
    at: Nanos,
    /// The cost that it was asked for: a waiter that costs more cannot use it.
    cost: NonZeroU32,
}

/// The starts of one class of waiters.
#[derive(Debug, Default)]
pub(in crate::pacing) struct Starts {
    /// How many the store is being asked for.
    asked: u64,
    /// Those that it granted.
    granted: Vec<GrantedStart>,
}

impl Starts {
    fn count(&self) -> u64 {
        self.asked + self.granted.len() as u64
    }
}

/// A start that the store is asked for.
#[derive(Clone, Debug)]
pub(in crate::pacing) struct AskedStart {
    class: usize,
    /// Distinguishes the class from an earlier one with the same index.
    serial: Ticket,
    cost: NonZeroU32,
    /// The lanes of the start, in the request's order.
    lanes: Vec<LaneRef>,
}

impl<W> Schedule<W> {
    /// Whether waiters of these lanes ask for starts.
    pub(in crate::pacing) fn is_by_starts(&self, lanes: &[usize]) -> bool {
        let mut tracks = lanes.iter().map(|lane| &self.table.tracks[*lane]);
        tracks.any(Track::is_by_starts)
    }

    /// Whether one of these lanes is slow and shared.
    pub(in crate::pacing) fn is_slow(&self, lanes: &[usize]) -> bool {
        let mut tracks = lanes.iter().map(|lane| &self.table.tracks[*lane]);
        tracks.any(Track::is_slow_and_shared)
    }

    /// The lane that a class that asks for starts waits for.
    pub(super) fn start_refusal(&self, lanes: &[usize], ask: &LaneAsk) -> ShutLane {
        let answers = ask.now.saturating_add(self.table.distance.lead());
        let refused = |lane: usize| {
            let track = &self.table.tracks[lane];
            if let Err(until) = track.bars_start(ask.ticket, ask.now) {
                return LaneRefusal::Until(until);
            }
            match (&track.slices, &track.limiter) {
                (Some(slices), Some(_)) if slices.not_before() > ask.now => {
                    LaneRefusal::AskAgain(slices.not_before())
                }
                _ => LaneRefusal::Ask(track.period()),
            }
        };
        // Of the lanes that only the store can grant, the one with the most waiters: its classes ask together.
        let rank = |lane: usize| {
            let refused = refused(lane);
            let (class, due) = refused.rank(answers);
            let track = &self.table.tracks[lane];
            match refused {
                LaneRefusal::Ask(period) => (class, u64::from(track.waiting), period),
                _ => (class, due, 0),
            }
        };
        let limited = |lane: &usize| {
            let track = &self.table.tracks[*lane];
            track.limiter.is_some() || track.concurrency.is_some() || track.rest.until > ask.now
        };
        let last = lanes
            .iter()
            .copied()
            .filter(limited)
            .max_by_key(|lane| rank(*lane));
        let lane = last.or_else(|| lanes.first().copied()).unwrap_or(0);
        let mut refused = refused(lane);
        if let LaneRefusal::Until(due) = refused
            && due != FOREVER
        {
            // Asked again a lead earlier, so that the store's answer is there in time.
            let lead = self.table.distance.lead();
            refused = LaneRefusal::Until(due.saturating_sub(lead).max(ask.now + 1));
        }
        ShutLane { lane, refused }
    }

    /// How many starts a class may have at once, asked for or granted.
    fn starts_max(&self, class: usize) -> u64 {
        let class = &self.classes[class];
        let period = |lane: &usize| self.table.tracks[*lane].period();
        let slowest = class.lanes.iter().map(period).max().unwrap_or(0);
        let waiting = class.waiters.len() as u64;
        self.table.distance.in_hand_max(slowest).min(waiting)
    }

    /// Parks a class that is not parked, if one of its waiters has no start yet.
    pub(super) fn settle(&mut self, class: usize, now: Nanos) {
        let Some(settled) = self.classes.get(class) else {
            return;
        };
        if settled.parked.is_some() || settled.starts.count() >= self.starts_max(class) {
            return;
        }
        let lanes = settled.lanes.clone();
        let ask = self.ask_of(class, now);
        match self.ask_all(&lanes, &ask) {
            // Its permit is granted when the lane is next served.
            Ok(()) => {
                let lane = lanes.first().copied().unwrap_or(0);
                let refused = LaneRefusal::Until(now);
                self.park(class, ask.ticket, ShutLane { lane, refused });
            }
            Err(refusal) => self.park(class, ask.ticket, refusal),
        }
    }

    /// Asks for starts for the classes that are parked on a lane, the oldest first.
    pub(in crate::pacing) fn want_starts(
        &mut self,
        lane: usize,
        now: Nanos,
        request: &mut LaneRequest,
        asked: &mut Vec<AskedStart>,
    ) {
        let Some(track) = self.table.tracks.get(lane) else {
            return;
        };
        let slots = self.table.distance.in_hand_max(track.period());
        let most = slots.saturating_mul(ASKED_A_SLOT).max(ASKED_MIN);
        let mut left = usize::try_from(most).unwrap_or(usize::MAX);
        let parked: Vec<_> = track.parked.iter().copied().collect();
        for (ticket, class) in parked {
            let lanes = self.classes[class].lanes.clone();
            if !self.is_by_starts(&lanes) {
                continue;
            }
            if left == 0 || request.starts.len() >= STARTS_MAX {
                self.asking.insert(lane);
                return;
            }
            let ask = self.ask_of(class, now);
            let refusal = self.start_refusal(&lanes, &ask);
            self.unpark(class, ticket);
            if !matches!(refusal.refused, LaneRefusal::Ask(_)) {
                self.park(class, ticket, refusal);
                continue;
            }
            self.classes[class].parked = None;
            left -= 1;
            let wanted = self.starts_max(class);
            let waiters = &self.classes[class].waiters;
            let begun = self.classes[class].starts.count();
            let costs = waiters.values().map(|waiter| waiter.cost);
            let costs: Vec<_> = costs
                .skip(usize::try_from(begun).unwrap_or(usize::MAX))
                .take(usize::try_from(wanted.saturating_sub(begun)).unwrap_or(usize::MAX))
                .collect();
            for cost in costs {
                self.ask_for_start(class, &lanes, cost, request, asked);
            }
        }
    }

    fn ask_for_start(
        &mut self,
        class: usize,
        lanes: &Arc<[usize]>,
        cost: NonZeroU32,
        request: &mut LaneRequest,
        asked: &mut Vec<AskedStart>,
    ) {
        let mut start = StartWant {
            lanes: Vec::new(),
            not_before: 0,
        };
        let mut lane_refs = Vec::new();
        for lane in lanes.iter() {
            let track = &self.table.tracks[*lane];
            start.not_before = start.not_before.max(track.rest.until);
            if let (Some(_), Some(limiter)) = (&track.slices, &track.limiter) {
                start.lanes.push(StartLane {
                    lane: track.lane.key(),
                    period: limiter.period(),
                    slots: track.lane.charge(cost).get().into(),
                    credit: limiter.credit(),
                });
                lane_refs.push(self.table.lane_ref(*lane));
            }
        }
        request.starts.push(start);
        self.classes[class].starts.asked += 1;
        asked.push(AskedStart {
            class,
            serial: self.classes[class].serial,
            cost,
            lanes: lane_refs,
        });
    }

    /// Applies the store's answers about starts; none: the store did not answer.
    pub(in crate::pacing) fn starts_answered(
        &mut self,
        asked: &[AskedStart],
        answers: Option<&[StartAnswer]>,
        now: Nanos,
    ) {
        for (n, start) in asked.iter().enumerate() {
            let answer = answers.and_then(|answers| answers.get(n));
            let class = self.classes.get_mut(start.class);
            let class = class.filter(|class| class.serial == start.serial);
            let is_wanted = class.is_some();
            if let Some(class) = class {
                class.starts.asked -= 1;
                if let Some(StartAnswer::At(at)) = answer {
                    class.starts.granted.push(GrantedStart {
                        at: *at,
                        cost: start.cost,
                    });
                    self.starts.insert((*at, start.class));
                }
            }
            match answer {
                Some(StartAnswer::At(at)) if !is_wanted => {
                    let lanes = self.still_there(&start.lanes);
                    self.give_back(&lanes, start.cost, *at);
                }
                Some(StartAnswer::Later { lane, at }) => {
                    if let Some(track) = self.table.find(start.lanes[*lane])
                        && let Some(slices) = &mut track.slices
                    {
                        slices.refuse(*at);
                    }
                }
                _ => {}
            }
        }
        for start in asked {
            self.settle(start.class, now);
        }
    }

    /// The indices of those lanes that were not forgotten since.
    fn still_there(&mut self, lanes: &[LaneRef]) -> Vec<usize> {
        let is_there = |lane: &&LaneRef| self.table.find(**lane).is_some();
        let there = lanes.iter().filter(is_there);
        there.map(|lane| lane.id).collect()
    }

    /// Gives a start on these lanes back.
    fn give_back(&mut self, lanes: &[usize], cost: NonZeroU32, at: Nanos) {
        for lane in lanes {
            if self.table.tracks[*lane].unused(cost, at) {
                self.asking.insert(*lane);
            }
        }
    }

    /// Gives all starts of a class without a waiter back.
    pub(super) fn forget_starts(&mut self, class: usize) {
        let starts = std::mem::take(&mut self.classes[class].starts.granted);
        let lanes = self.classes[class].lanes.clone();
        for start in starts {
            self.starts.remove(&(start.at, class));
            self.give_back(&lanes, start.cost, start.at);
        }
    }

    /// Grants the permits whose start is due.
    pub(super) fn grant_starts(&mut self, now: Nanos, granted: &mut Vec<Granted<W>>) {
        while let Some(&(at, class)) = self.starts.first().filter(|(at, _)| *at <= now) {
            self.starts.pop_first();
            let starts = &mut self.classes[class].starts.granted;
            let Some(n) = starts.iter().position(|start| start.at == at) else {
                continue;
            };
            let start = starts.remove(n);
            let lanes = self.classes[class].lanes.clone();
            let ask = self.ask_of(class, now);
            if self.is_usable(&lanes, &ask, start) {
                granted.extend(self.grant_start(class, &lanes, &ask, at));
            } else {
                self.give_back(&lanes, start.cost, at);
            }
            self.settle(class, now);
        }
    }

    fn is_usable(&mut self, lanes: &[usize], ask: &LaneAsk, start: GrantedStart) -> bool {
        if ask.cost > start.cost {
            return false;
        }
        let bars = |lane: &usize| {
            self.table.tracks[*lane]
                .bars_start(ask.ticket, ask.now)
                .is_err()
        };
        if lanes.iter().any(bars) {
            // Concurrency that is free by then is kept for the next start.
            for lane in lanes {
                let track = &mut self.table.tracks[*lane];
                if track.concurrency.is_some() {
                    track.claim(ask, FOREVER);
                }
            }
            return false;
        }
        !lanes
            .iter()
            .any(|lane| self.table.tracks[*lane].is_too_late(start.at, ask.now))
    }

    fn grant_start(
        &mut self,
        class: usize,
        lanes: &[usize],
        ask: &LaneAsk,
        at: Nanos,
    ) -> Option<Granted<W>> {
        let mut held = Vec::new();
        for lane in lanes {
            let track = &mut self.table.tracks[*lane];
            let (charge, level) = track.start(ask, at);
            held.push(LaneHold {
                lane: track.lane_ref(*lane),
                charge,
                amount: track.lane.charge(ask.cost).get(),
                level,
                start: charge.is_some().then_some(at),
            });
        }
        let slowest = lanes
            .iter()
            .max_by_key(|lane| self.table.tracks[**lane].period());
        let last = slowest.map_or(LaneKind::Account, |lane| {
            self.table.tracks[*lane].lane.kind()
        });
        let waiter = self.unseat(class, ask.ticket)?;
        Some(Granted {
            waited: ask.now - waiter.since,
            wake: waiter.wake,
            held,
            last,
        })
    }
}
