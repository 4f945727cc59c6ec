//! Who goes next: waiters by age, each as soon as all of its lanes let go at the same moment.
//!
//! In: arrivals, departures, the passing of time. Out: who was let go. Always: pure in time, nothing
//! here reads a clock; nobody holds a lane while waiting for another, save that one who was passed
//! over too often keeps a lane for less than one of its slots; the oldest of those who can go goes.
//!
//! Waiters that need the same lanes form a class (`classes`) and stand in line in it. Only a class's oldest
//! waiter is ever asked about, and the class is parked on the one lane that lets it go last: a
//! crowd on one lane costs the others nothing, and one alarm per lane is all there is to wait for.

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
use self::table::{LaneRef, LaneTable};
use super::backlog::Backlogs;
use super::lane::ask::{FOREVER, LaneAsk, LaneRefusal, Ticket};
use super::lane::track::Track;
use super::{Lane, LaneKind, Nanos};

/// How often a waiter may find one lane open and another shut before it keeps the open one.
const PATIENCE: u32 = 8;

/// Somebody who was let go.
pub(super) struct Granted<W> {
    pub(super) wake: W,
    pub(super) held: Vec<LaneHold>,
    pub(super) waited: Nanos,
    /// The lane that let go last.
    pub(super) last: LaneKind,
}

/// Where somebody waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seat {
    class: usize,
    ticket: Ticket,
}

/// The lane that lets go last, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShutLane {
    pub(super) lane: usize,
    pub(super) refused: LaneRefusal,
}

/// Who waits for what.
pub(super) struct Schedule<W> {
    pub(super) table: LaneTable,
    pub(super) classes: Slab<Class<W>>,
    pub(super) by_lanes: HashMap<Arc<[usize]>, usize>,
    alarms: BTreeSet<(Nanos, usize)>,
    /// Starts that the store gave, and the classes that have them.
    pub(super) starts: BTreeSet<(Nanos, usize)>,
    tickets: Ticket,
    pub(super) patience: u32,
    /// Shared lanes about which the store is to be asked or told something.
    pub(super) asking: BTreeSet<usize>,
    /// Messages whose turn comes later.
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

    /// Lets somebody through at once, or seats them; `wake` is made only then.
    ///
    /// Time must have been advanced to `now` before.
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

    /// Lets go everybody whose time has come, the oldest first.
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
            // Somebody older may have come to this lane since: in order of age, then.
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

    /// Asks for the class at the head of `lane`; the ticket of the next to be asked there, unless the
    /// lane is shut.
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
        // The store is asked for the other lane in time.
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
                lane: LaneRef {
                    id: *id,
                    serial: track.serial,
                },
                charge,
                amount: track.lane.charge(ask.cost).get(),
                level,
                start: None,
            }
        };
        lanes.iter().map(take).collect()
    }

    /// Notes that a waiter's lane was open and another shut; too often, and what is open is kept.
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

    /// Has a lane's oldest waiter asked again when the lane may let go, or the store asked for some of it.
    pub(super) fn await_lane(&mut self, refusal: ShutLane) {
        if let LaneRefusal::Ask(_) = refusal.refused {
            self.asking.insert(refusal.lane);
        }
        self.set_alarm(refusal.lane, refusal.refused.due());
    }

    /// Somebody does not wait any more; false when they had been let go already.
    ///
    /// Time must be advanced after.
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

    /// Has a lane's oldest waiter asked again at once.
    pub(super) fn wake(&mut self, lane: usize, now: Nanos) {
        if !self.table.tracks[lane].parked.is_empty() {
            self.set_alarm(lane, now);
        }
    }

    /// The next moment at which somebody may be let go.
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
