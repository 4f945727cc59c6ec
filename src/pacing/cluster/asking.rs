//! This consumer's requests to the store of shared lanes, and what it does with the answers.
//!
//! In: the waiters for shared lanes. Out: a request to the store; its answers become time slices and starts. Always:
//! a slice is asked for only if the waiter's other lanes grant by then, and by one request at a time; a failed request
//! counts as not made.

use std::collections::BTreeMap;

use super::shared::{self, LaneAnswers, LaneRequest, SliceAnswer, SliceWant, UnusedStart};
use super::store_clock::StoreClock;
use crate::pacing::Nanos;
use crate::pacing::lane::ask::LaneRefusal;
use crate::pacing::lane::track::{LaneRef, Track};
use crate::pacing::line::Schedule;
use crate::pacing::line::starts::AskedStart;

/// For how many waiters one request asks for slices at most; the others are in the next one.
const GROUPS_MAX: usize = 512;

/// A shared lane that grants no waiter here for this time, and for several of its turns, is unserved.
const UNSERVED_AFTER: Nanos = 10_000_000_000;

/// How many turns these are. In one turn, each consumer takes one slot.
const UNSERVED_TURNS: u64 = 5;

/// A request that is under way.
#[derive(Debug)]
pub(in crate::pacing) struct PendingRequest {
    /// With times on this consumer's clock: nanoseconds since the pacer began.
    pub(in crate::pacing) request: LaneRequest,
    /// The lanes of its wants and of its rests, in their order.
    wanted: Vec<LaneRef>,
    rested: Vec<LaneRef>,
    starts: Vec<AskedStart>,
}

/// One waiter's need of a shared lane. Costs are in slots.
struct Demanded {
    /// The waiter's cost.
    cost: u64,
    /// The cost of all waiters for the lane.
    waiting: u64,
    /// The most that is asked for at once.
    most: u64,
    /// The slice has to last until then at least.
    until: Nanos,
}

/// A request in the making.
#[derive(Default)]
struct Draft {
    request: LaneRequest,
    wanted: Vec<LaneRef>,
    by_lane: BTreeMap<usize, usize>,
}

impl<W> Schedule<W> {
    /// Gathers what the store is to be told and asked; none: there is nothing.
    pub(in crate::pacing) fn next_request(&mut self, now: Nanos) -> Option<PendingRequest> {
        let mut draft = Draft::default();
        let mut asked = PendingRequest {
            request: LaneRequest::default(),
            wanted: Vec::new(),
            rested: Vec::new(),
            starts: Vec::new(),
        };
        for id in std::mem::take(&mut self.asking) {
            if draft.request.groups.len() >= GROUPS_MAX {
                self.asking.insert(id);
                continue;
            }
            self.tell(id, now, &mut draft.request, &mut asked);
            self.want_starts(id, now, &mut draft.request, &mut asked.starts);
            self.want(id, now, &mut draft);
        }
        asked.request = LaneRequest {
            way: self.table.distance.round_trip(),
            ahead: self.table.distance.ahead(),
            ..draft.request
        };
        asked.wanted = draft.wanted;
        (!asked.request.is_empty()).then_some(asked)
    }

    /// Tells the store of a lane's unused starts and of its rest.
    fn tell(
        &mut self,
        id: usize,
        now: Nanos,
        request: &mut LaneRequest,
        asked: &mut PendingRequest,
    ) {
        let Some(track) = self.table.tracks.get_mut(id) else {
            return;
        };
        let lane_ref = track.lane_ref(id);
        let Some(slices) = &mut track.slices else {
            return;
        };
        slices.prune(now);
        if let Some(until) = slices.rest.take() {
            request.rests.push((track.lane.key(), until));
            asked.rested.push(lane_ref);
        }
        for (slots, end) in slices.unused.drain(..) {
            let lane = track.lane.key();
            request.unused.push(UnusedStart { lane, slots, end });
        }
    }

    /// Asks for the slices that the oldest waiter of a lane needs, unless it has to wait for another lane first.
    fn want(&mut self, id: usize, now: Nanos, draft: &mut Draft) {
        let track = self.table.tracks.get(id);
        let Some(&(_, class)) = track.and_then(|track| track.parked.first()) else {
            return;
        };
        let lanes = self.classes[class].lanes.clone();
        if self.is_by_starts(&lanes) {
            return;
        }
        let ask = self.ask_of(class, now);
        let (lead, low) = (self.table.distance.lead(), self.table.distance.low());
        let mut members = Vec::new();
        let mut until = now;
        for lane in lanes.iter() {
            let track = &self.table.tracks[*lane];
            match track.ask(&ask) {
                Err(LaneRefusal::Ask(_)) => members.push(*lane),
                // There is a slice, but it ends soon.
                Ok(_) | Err(LaneRefusal::Until(_)) if track.is_to_ask(now, low) => {
                    members.push(*lane);
                }
                // The slices that are asked for have to last as long as this one.
                Ok(_) => until = until.max(track.slice_end(now)),
                Err(LaneRefusal::Until(due)) if due <= now.saturating_add(lead) => {
                    until = until.max(due).max(track.slice_end(now));
                }
                Err(_) => {
                    // It waits for that lane first, and is parked there.
                    self.wake(id, now);
                    return;
                }
            }
        }
        if members.is_empty() {
            return;
        }
        let cost = ask.cost;
        let mut group = Vec::new();
        for lane in members {
            let cost = u64::from(self.table.tracks[lane].lane.charge(cost).get());
            let waiting = self.waiting_at(lane).max(cost);
            let distance = &self.table.distance;
            let track = &mut self.table.tracks[lane];
            let most = distance.slots_max(track.period());
            let reach = distance.reach();
            let slices = track.slices.as_ref();
            let demand = slices.map_or(0, |slices| slices.demand(reach, now));
            let waiting = waiting.max(demand.min(distance.in_hand_max(track.period())));
            if let Some(n) = draft.want(
                lane,
                track,
                &Demanded {
                    cost,
                    waiting,
                    most,
                    until,
                },
                now,
            ) {
                group.push(n);
            }
        }
        draft.request.groups.push(group);
    }

    /// The cost of the waiters that are parked at this lane, up to one slice, and only as many of them as their other
    /// lanes grant meanwhile.
    fn waiting_at(&self, lane: usize) -> u64 {
        let (track, distance) = (&self.table.tracks[lane], &self.table.distance);
        let period = |id: &usize| {
            let limiter = self.table.tracks[*id].limiter.as_ref();
            limiter.map_or(0, crate::pacing::lane::limiter::Limiter::period)
        };
        let most = distance.in_hand_max(period(&lane));
        let mut sum = 0;
        for (_, class) in &track.parked {
            let class = &self.classes[*class];
            let slowest = class.lanes.iter().map(period).max().unwrap_or(0);
            let pass = usize::try_from(distance.in_hand_max(slowest)).unwrap_or(usize::MAX);
            for waiter in class.waiters.values().take(pass) {
                sum += u64::from(track.lane.charge(waiter.cost).get());
                // Checked after each message: a part of a message is of no use.
                if sum >= most {
                    return sum;
                }
            }
        }
        sum
    }

    /// How long a shared lane's oldest waiter has been waiting, if that is longer than the lane's quota explains, or if
    /// the store is too far away for its starts to keep up with the quota.
    pub(in crate::pacing) fn unserved(&self, lane: usize, now: Nanos) -> Option<Nanos> {
        let track = &self.table.tracks[lane];
        let (_, class) = track.parked.first()?;
        let (Some(slices), Some(limiter)) = (&track.slices, &track.limiter) else {
            return None;
        };
        let (cost, since) = self.classes[*class].oldest()?;
        let since = since.max(slices.used_at()).max(track.rest.until);
        let waited = now.saturating_sub(since);
        let charge = u64::from(track.lane.charge(cost).get());
        let turn = track.slot(self.table.consumers)?.saturating_mul(charge);
        let is_late = waited > UNSERVED_AFTER.saturating_add(turn.saturating_mul(UNSERVED_TURNS));
        let period = limiter.period();
        let is_too_far = shared::is_slow(period) && self.table.distance.round_trip() > period;
        (is_late || is_too_far).then_some(waited)
    }

    /// Applies the store's answers; none: the store did not answer.
    pub(in crate::pacing) fn answered(
        &mut self,
        asked: &PendingRequest,
        answers: Option<&LaneAnswers>,
        now: Nanos,
    ) {
        if answers.is_none() {
            self.tell_again(asked);
        }
        let starts = answers.map(|answers| answers.starts.as_slice());
        self.starts_answered(&asked.starts, starts, now);
        for (n, lane) in asked.wanted.iter().enumerate() {
            let track = self.table.find(*lane);
            let Some(slices) = track.and_then(|track| track.slices.as_mut()) else {
                continue;
            };
            slices.is_asked = false;
            match answers.and_then(|answers| answers.wants.get(n)) {
                Some(SliceAnswer::Slice { from, to }) => {
                    slices.add(*from, *to, asked.request.wants[n].period);
                }
                Some(SliceAnswer::Later(at)) => slices.refuse(*at),
                Some(SliceAnswer::Open) | None => {}
            }
            self.wake(lane.id, now);
        }
    }

    /// Has the store told of rests again, which it may not know. An unused start is not told again: if the store knows
    /// it, its slots would come back twice.
    fn tell_again(&mut self, asked: &PendingRequest) {
        for (lane, (_, until)) in asked.rested.iter().zip(&asked.request.rests) {
            if let Some(track) = self.table.find(*lane)
                && let Some(slices) = &mut track.slices
            {
                slices.rest = Some(slices.rest.unwrap_or(0).max(*until));
                self.asking.insert(lane.id);
            }
        }
    }
}

impl Draft {
    /// Asks for slots of this lane, or adds the waiter to a want for it. Returns the want's index in the request.
    fn want(
        &mut self,
        id: usize,
        track: &mut Track,
        demanded: &Demanded,
        now: Nanos,
    ) -> Option<usize> {
        let Demanded {
            cost,
            waiting,
            most,
            until,
        } = *demanded;
        let (Some(slices), Some(limiter)) = (&mut track.slices, &track.limiter) else {
            return None;
        };
        let period = limiter.period();
        if let Some(n) = self.by_lane.get(&id) {
            let want = &mut self.request.wants[*n];
            want.slots = want.slots.saturating_add(cost).min(most.max(cost));
            want.until = want.until.max(until);
            return Some(*n);
        }
        let missing = waiting.saturating_sub(slices.slots(limiter, now));
        let slots = missing.min(most).max(cost);
        slices.is_asked = true;
        let n = self.request.wants.len();
        self.request.wants.push(SliceWant {
            lane: track.lane.key(),
            period,
            slots,
            until,
        });
        self.wanted.push(track.lane_ref(id));
        self.by_lane.insert(id, n);
        Some(n)
    }
}

impl PendingRequest {
    /// The request with its times on the store's clock.
    pub(in crate::pacing) fn request(&self, clock: &StoreClock) -> LaneRequest {
        self.request.clone().shifted(|at| clock.to_store(at))
    }
}

impl LaneAnswers {
    /// The answers with their times on this consumer's clock. The store's rows behind them must be durable before they
    /// are used.
    pub(in crate::pacing) fn on_consumer_clock(&self, clock: &StoreClock) -> Self {
        self.shifted(|at| clock.to_consumer(at))
    }
}
