//! Who is next: waiters by age, each as soon as all of its lanes grant at the same moment.
//!
//! In: arrivals, departures, the passing of time. Out: granted permits. Always: the schedule reads no clock (`driver`
//! does); of the waiters whose lanes grant now, the oldest is next; a waiter takes nothing from a lane while it waits
//! for another one. The exception is a claim: a waiter that was passed over too often has the lanes that grant kept for
//! it, each for one of its slots at most. A lane with a concurrency alone is kept for a second at most.
//!
//! Waiters that need the same lanes form a class (`classes`). Only the oldest waiter of a class asks, and the class is
//! parked on the one lane that is expected to grant last. So a crowd on one lane costs the other lanes nothing, and one
//! alarm per lane is enough.

pub(super) mod table;
pub(super) mod classes;
pub(super) mod hold;
pub(super) mod starts;
pub(super) mod permit;
pub(super) mod driver;
pub(super) mod view;

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroU32;
use std::sync::Arc;

use slab::Slab;

use self::classes::{Class, Waiter};
use self::hold::LaneHold;
use self::table::LaneTable;
use super::backlog::Backlogs;
use super::lane::ask::{FOREVER, LaneAsk, LaneRefusal, Ticket};
use super::lane::track::Track;
use super::{Lane, LaneKind, Nanos};

/// How often a waiter may be passed over, when one of its lanes grants and another refuses, before it claims the
/// lanes that grant.
const PATIENCE: u32 = 8;

/// A permit that was granted to a waiter.
pub(super) struct Granted<W> {
    pub(super) wake: W,
    pub(super) held: Vec<LaneHold>,
    pub(super) waited: Nanos,
    /// The kind of the lane that granted last; of a start, that of its slowest lane.
    pub(super) last: LaneKind,
}

/// A waiter's class, and its ticket in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seat {
    class: usize,
    ticket: Ticket,
}

/// The lane to wait for, and why it refuses.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShutLane {
    pub(super) lane: usize,
    pub(super) refused: LaneRefusal,
}

/// All lanes, and the waiters for them. `W` is how a waiter is woken.
pub(super) struct Schedule<W> {
    pub(super) table: LaneTable,
    pub(super) classes: Slab<Class<W>>,
    pub(super) by_lanes: HashMap<Arc<[usize]>, usize>,
    alarms: BTreeSet<(Nanos, usize)>,
    /// Starts that the store granted, and the classes that have them.
    pub(super) starts: BTreeSet<(Nanos, usize)>,
    tickets: Ticket,
    pub(super) patience: u32,
    /// Shared lanes about which the store is to be asked or told something.
    pub(super) asking: BTreeSet<usize>,
    /// Messages that are put off.
    pub(super) backlogs: Backlogs,
}

impl<W> Schedule<W> {
    pub(super) fn new(table: LaneTable) -> Self {
        Self {
            table,
            classes: Slab::new(),
            by_lanes: HashMap::new(),
            alarms: BTreeSet::new(),
            starts: BTreeSet::new(),
            tickets: 0,
            patience: PATIENCE,
            asking: BTreeSet::new(),
            backlogs: Backlogs::default(),
        }
    }

    /// Grants a permit at once, or seats a waiter, for which it calls `wake`.
    ///
    /// [`Self::advance`] must have been called with `now` before.
    pub(super) fn enter(
        &mut self,
        lanes: &[Lane],
        cost: NonZeroU32,
        now: Nanos,
        wake: impl FnOnce() -> W,
    ) -> Result<Vec<LaneHold>, Seat> {
        self.table.sweep(now);
        let lanes = self.table.ids(lanes, now);
        self.tickets += 1;
        let ask = LaneAsk {
            ticket: self.tickets,
            cost,
            as_of: now,
            now,
        };
        let known = self.by_lanes.get(lanes.as_slice()).copied();
        let refusal = match known {
            Some(_) => None,
            None => match self.ask_all(&lanes, &ask) {
                Ok(()) => return Ok(self.take_all(&lanes, &ask)),
                Err(refusal) => Some(refusal),
            },
        };
        let class = known.unwrap_or_else(|| self.new_class(lanes, ask.ticket));
        self.count(class, cost, true);
        let waiter = Waiter {
            cost,
            since: now,
            passed_over: 0,
            wake: wake(),
        };
        self.classes[class].waiters.insert(ask.ticket, waiter);
        match refusal {
            Some(refusal) => self.park(class, ask.ticket, refusal),
            None => self.settle(class, now),
        }
        Err(Seat {
            class,
            ticket: ask.ticket,
        })
    }

    /// Grants all permits that are due, the oldest first.
    pub(super) fn advance(&mut self, now: Nanos, granted: &mut Vec<Granted<W>>) {
        self.grant_starts(now, granted);
        let mut open: BTreeSet<(Ticket, usize)> = BTreeSet::new();
        loop {
            while let Some(&(_, lane)) = self.alarms.first().filter(|(due, _)| *due <= now) {
                self.alarms.pop_first();
                self.table.tracks[lane].alarm = None;
                open.extend(self.head(lane).map(|(ticket, _)| (ticket, lane)));
            }
            let Some((ticket, lane)) = open.pop_first() else {
                return;
            };
            // An older waiter may have been parked on this lane since: it goes first.
            let next = match self.head(lane) {
                Some((head, class)) if head == ticket => self.serve(lane, class, now, granted),
                other => other.map(|(head, _)| head),
            };
            open.extend(next.map(|ticket| (ticket, lane)));
        }
    }

    fn head(&self, lane: usize) -> Option<(Ticket, usize)> {
        self.table.tracks[lane].parked.first().copied()
    }

    /// Asks for the class at the head of `lane`. Returns the ticket of the class to ask next there; none: the lane
    /// refuses.
    fn serve(
        &mut self,
        lane: usize,
        class: usize,
        now: Nanos,
        granted: &mut Vec<Granted<W>>,
    ) -> Option<Ticket> {
        let lanes = self.classes[class].lanes.clone();
        let ask = self.ask_of(class, now);
        match self.ask_all(&lanes, &ask) {
            Ok(()) => {
                let held = self.take_all(&lanes, &ask);
                let waiter = self.unseat(class, ask.ticket)?;
                granted.push(Granted {
                    wake: waiter.wake,
                    held,
                    waited: now - waiter.since,
                    last: self.table.tracks[lane].lane.kind(),
                });
            }
            Err(refusal) if refusal.lane == lane => {
                self.await_lane(refusal);
                return None;
            }
            Err(refusal) => {
                if !self.is_by_starts(&lanes) && self.table.tracks[lane].ask(&ask).is_ok() {
                    self.passed_over(class, &lanes, &ask, refusal);
                }
                self.unpark(class, ask.ticket);
                self.park(class, ask.ticket, refusal);
            }
        }
        self.head(lane).map(|(ticket, _)| ticket)
    }

    pub(super) fn ask_all(&self, lanes: &[usize], ask: &LaneAsk) -> Result<(), ShutLane> {
        let refusals = lanes.iter().filter_map(|lane| {
            let refused = self.table.tracks[*lane].ask(ask).err()?;
            Some(ShutLane {
                lane: *lane,
                refused,
            })
        });
        let lead = self.table.distance.lead();
        let answers = ask.now.saturating_add(lead);
        let mut last: Option<ShutLane> = None;
        let mut is_store_needed = false;
        for refusal in refusals {
            is_store_needed |= matches!(refusal.refused, LaneRefusal::Ask(_));
            let rank = |it: ShutLane| it.refused.rank(answers);
            if last.is_none_or(|last| rank(last) <= rank(refusal)) {
                last = Some(refusal);
            }
        }
        let Some(mut last) = last else { return Ok(()) };
        if self.is_by_starts(lanes) {
            return Err(self.start_refusal(lanes, ask));
        }
        // Asked again a lead earlier, so that the store's answer for its lane is there in time.
        if let (true, LaneRefusal::Until(due)) = (is_store_needed, last.refused)
            && due != FOREVER
        {
            last.refused = LaneRefusal::Until(due.saturating_sub(lead).max(ask.now + 1));
        }
        Err(last)
    }

    fn take_all(&mut self, lanes: &[usize], ask: &LaneAsk) -> Vec<LaneHold> {
        let low = self.table.distance.low();
        let take = |id: &usize| {
            let track: &mut Track = &mut self.table.tracks[*id];
            let charge = track.ask(ask).ok().flatten();
            let level = track.take(ask, charge);
            if track.is_to_ask(ask.now, low) {
                self.asking.insert(*id);
            }
            LaneHold {
                lane: track.lane_ref(*id),
                charge,
                amount: track.lane.charge(ask.cost).get(),
                level,
                start: None,
            }
        };
        lanes.iter().map(take).collect()
    }

    /// Counts that one lane of a waiter grants while another refuses. From the limit on, claims the lanes that grant.
    fn passed_over(&mut self, class: usize, lanes: &[usize], ask: &LaneAsk, refusal: ShutLane) {
        let waiter = self.classes[class].waiters.get_mut(&ask.ticket);
        let Some(waiter) = waiter else { return };
        waiter.passed_over += 1;
        if waiter.passed_over < self.patience {
            return;
        }
        for lane in lanes {
            let track = &mut self.table.tracks[*lane];
            if track.ask(ask).is_ok() {
                track.claim(ask, refusal.refused.due());
            }
        }
    }

    /// Sets the alarm at which a lane's oldest waiter asks again, or has the store asked.
    pub(super) fn await_lane(&mut self, refusal: ShutLane) {
        if let LaneRefusal::Ask(_) = refusal.refused {
            self.asking.insert(refusal.lane);
        }
        self.set_alarm(refusal.lane, refusal.refused.due());
    }

    /// Removes a waiter. False if its permit was granted already.
    ///
    /// [`Self::advance`] must be called afterwards.
    pub(super) fn leave(&mut self, seat: Seat, now: Nanos) -> bool {
        let Some(class) = self.classes.get(seat.class) else {
            return false;
        };
        if !class.waiters.contains_key(&seat.ticket) {
            return false;
        }
        let lanes = class.lanes.clone();
        let low = self.table.distance.low();
        self.unseat(seat.class, seat.ticket);
        for lane in lanes.iter() {
            let track = &mut self.table.tracks[*lane];
            track.unclaim(seat.ticket);
            if track.is_to_ask(now, low) {
                self.asking.insert(*lane);
            }
            self.wake(*lane, now);
        }
        true
    }

    /// Has a lane's oldest waiter ask again at once.
    pub(super) fn wake(&mut self, lane: usize, now: Nanos) {
        if !self.table.tracks[lane].parked.is_empty() {
            self.set_alarm(lane, now);
        }
    }

    /// The next moment at which a permit may be granted; none: nothing is due until something happens.
    pub(super) fn next_alarm(&self) -> Option<Nanos> {
        let alarm = self.alarms.first().map(|(due, _)| *due);
        let start = self.starts.first().map(|(at, _)| *at);
        alarm.into_iter().chain(start).min()
    }

    fn set_alarm(&mut self, lane: usize, due: Nanos) {
        let alarm = &mut self.table.tracks[lane].alarm;
        if due == FOREVER || alarm.is_some_and(|set| set <= due) {
            return;
        }
        if let Some(set) = alarm.replace(due) {
            self.alarms.remove(&(set, lane));
        }
        self.alarms.insert((due, lane));
    }
}
