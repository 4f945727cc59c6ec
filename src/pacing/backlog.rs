//! Messages whose turn comes later: how many of which are called up when.
//!
//! In: what is put off, and for which lanes. Out: backlogs and how many of their oldest messages are to come
//! back now. Always: a message that is put off holds no time of any lane. What is called up holds a lane's time
//! until it arrives, for half a minute at most; only as much is called up as its lanes let go soon. Of several
//! campaigns on one lane the one is next that had least of it for its weight, of its backlogs the one with the
//! oldest message.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::table::Table;
use super::{Lane, LaneKind, Nanos, nanos};

/// How far ahead lanes are filled: a message that is called up has so long to come.
const AHEAD: Duration = Duration::from_secs(15);

/// How long the time of a message is kept that was called up: by then another consumer has it.
const RESERVED_FOR: Duration = Duration::from_secs(30);

/// The most messages of one campaign that are called up and have not arrived: its queue is not to become its
/// backlog.
const CALLED_MAX: u32 = 1_000;

/// How many messages a backlog is taken to have of which the ledger alone knows.
const UNKNOWN_SIZE: u64 = 8;

/// A campaign's id, and its backlog's name.
pub(super) type Key = (Arc<str>, Arc<str>);

/// How many messages of a backlog are to come back now: whoever has it tells [`super::Pacer::called_up`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub campaign: Arc<str>,
    /// The backlog's name.
    pub backlog: Arc<str>,
    /// How many of its oldest messages.
    pub messages: u32,
}

/// A message that is put off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutOff {
    pub lanes: Vec<Lane>,
    /// As a permit's.
    pub cost: NonZeroU32,
    /// Its age: milliseconds since the epoch when it was accepted.
    pub since: i64,
}

/// Messages that were called up together and have not arrived.
#[derive(Clone, Copy, Debug)]
struct Reserved {
    messages: u32,
    /// What each costs.
    cost: NonZeroU32,
    until: Nanos,
}

/// The messages of one campaign that wait for the same lanes.
#[derive(Clone, Debug)]
struct Backlog {
    lanes: Vec<Lane>,
    /// What the last one that was put off costs.
    cost: NonZeroU32,
    /// The age of the oldest; none when there is none.
    oldest: Option<i64>,
    /// How many, as far as is known.
    size: u64,
    reserved: VecDeque<Reserved>,
}

/// All backlogs, as far as this consumer knows of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Backlogs {
    all: BTreeMap<Key, Backlog>,
}

impl Backlogs {
    /// A message was put off, and that is recorded.
    pub(super) fn put_off(&mut self, table: &mut Table, key: Key, put_off: PutOff, now: Nanos) {
        let PutOff { lanes, cost, since } = put_off;
        let backlog = self.entry(key, lanes);
        let size = if backlog.oldest.is_some() {
            backlog.size
        } else {
            0
        };
        let oldest = backlog.oldest.map_or(since, |oldest| oldest.min(since));
        backlog.become_of(table, (Some(oldest), size + 1, cost), now);
    }

    /// What the ledger says of a backlog. One whose name is not understood is left to its time.
    pub(super) fn note(&mut self, table: &mut Table, key: Key, oldest: i64, now: Nanos) {
        let Some(lanes) = super::backlog_name::lanes_of(&key.0, &key.1) else {
            return;
        };
        let backlog = self.entry(key, lanes);
        let size = match backlog.oldest {
            Some(_) => backlog.size,
            None => UNKNOWN_SIZE,
        };
        let cost = backlog.cost;
        backlog.become_of(table, (Some(oldest), size, cost), now);
    }

    fn entry(&mut self, key: Key, lanes: Vec<Lane>) -> &mut Backlog {
        self.all.entry(key).or_insert_with(|| Backlog {
            lanes,
            cost: NonZeroU32::MIN,
            oldest: None,
            size: 0,
            reserved: VecDeque::new(),
        })
    }

    /// A message has arrived that was called up, or will not: the time of its lanes is free again.
    pub(super) fn arrived(&mut self, table: &mut Table, key: &Key, messages: u32, now: Nanos) {
        let Some(backlog) = self.all.get_mut(key) else {
            return;
        };
        for _ in 0..messages {
            let Some(first) = backlog.reserved.front_mut() else {
                break;
            };
            let cost = first.cost;
            first.messages -= 1;
            if first.messages == 0 {
                backlog.reserved.pop_front();
            }
            backlog.hold(table, &key.0, (cost, true), now);
        }
        self.tidy(key);
    }

    /// What came of a call: how many came, and the age of the oldest that is left. Nothing when it failed.
    pub(super) fn called_up(
        &mut self,
        table: &mut Table,
        key: &Key,
        (asked, came): (u32, Option<(u32, Option<i64>)>),
        now: Nanos,
    ) {
        let (messages, oldest) = match came {
            Some(came) => came,
            None => (0, self.all.get(key).and_then(|backlog| backlog.oldest)),
        };
        self.arrived(table, key, asked.saturating_sub(messages), now);
        let Some(backlog) = self.all.get_mut(key) else {
            return;
        };
        let left = backlog.size.saturating_sub(messages.into());
        let size = match (oldest, left) {
            (None, _) => 0,
            // There are more than was known.
            (Some(_), 0) => 2 * u64::from(messages.max(1)),
            (Some(_), left) => left,
        };
        let cost = backlog.cost;
        backlog.become_of(table, (oldest, size, cost), now);
        self.tidy(key);
    }

    /// Says how many of which backlogs are to come back now, at most `most`, and reserves their lanes' time.
    /// `weights`: the campaigns that are worked on, others' backlogs are forgotten.
    pub(super) fn call_up(
        &mut self,
        table: &mut Table,
        weights: &BTreeMap<Arc<str>, NonZeroU32>,
        most: usize,
        now: Nanos,
    ) -> Vec<Call> {
        self.forget(table, |key| !weights.contains_key(&key.0), now);
        self.expire(table, now);
        self.share(table, weights, now);
        let mut called = BTreeMap::<Arc<str>, u32>::new();
        for (key, backlog) in &self.all {
            let on_their_way: u32 = backlog.reserved.iter().map(|it| it.messages).sum();
            *called.entry(key.0.clone()).or_default() += on_their_way;
        }
        let mut next = BinaryHeap::new();
        for (key, backlog) in &self.all {
            if let Some(oldest) = backlog.oldest
                && backlog.has_room(table, now)
            {
                next.push(Reverse((
                    backlog.lead(table, &key.0, now),
                    oldest,
                    key.clone(),
                )));
            }
        }
        let mut calls = BTreeMap::<Key, u32>::new();
        for _ in 0..most {
            // Those whose lanes were filled by others meanwhile drop out.
            let Some((oldest, key)) = std::iter::from_fn(|| next.pop()).find_map(|Reverse(it)| {
                let on_their_way = called.get(&it.2.0).copied().unwrap_or_default();
                let is_next = on_their_way < CALLED_MAX && self.all[&it.2].has_room(table, now);
                is_next.then_some((it.1, it.2))
            }) else {
                break;
            };
            *called.entry(key.0.clone()).or_default() += 1;
            let messages = calls.entry(key.clone()).or_default();
            *messages += 1;
            let backlog = self.all.get_mut(&key).expect("it is one of them");
            backlog.reserve(table, &key.0, now);
            if u64::from(*messages) < backlog.size {
                next.push(Reverse((backlog.lead(table, &key.0, now), oldest, key)));
            }
        }
        let call = |((campaign, backlog), messages)| Call {
            campaign,
            backlog,
            messages,
        };
        calls.into_iter().map(call).collect()
    }

    /// Gives back the time of messages that have not arrived in theirs.
    fn expire(&mut self, table: &mut Table, now: Nanos) {
        let late = |backlog: &Backlog| {
            let late = backlog.reserved.iter().filter(|it| it.until <= now);
            late.map(|it| it.messages).sum::<u32>()
        };
        let late: Vec<_> = self
            .all
            .iter()
            .map(|(key, backlog)| (key.clone(), late(backlog)))
            .filter(|(_, messages)| *messages > 0)
            .collect();
        for (key, messages) in late {
            self.arrived(table, &key, messages, now);
        }
    }

    /// Forgets backlogs: those who work on their campaigns know of them.
    fn forget(&mut self, table: &mut Table, is_other: impl Fn(&Key) -> bool, now: Nanos) {
        let others: Vec<_> = self
            .all
            .keys()
            .filter(|key| is_other(key))
            .cloned()
            .collect();
        for key in others {
            self.arrived(table, &key, u32::MAX, now);
            if let Some(backlog) = self.all.get_mut(&key) {
                let cost = backlog.cost;
                backlog.become_of(table, (None, 0, cost), now);
            }
            self.tidy(&key);
        }
    }

    /// Tells each sender's lane which campaigns have messages put off for it.
    fn share(&mut self, table: &mut Table, weights: &BTreeMap<Arc<str>, NonZeroU32>, now: Nanos) {
        let mut of = BTreeMap::<usize, BTreeMap<Arc<str>, NonZeroU32>>::new();
        for (key, backlog) in &self.all {
            for id in backlog.shared(table, now) {
                let weight = weights.get(&key.0).copied().unwrap_or(NonZeroU32::MIN);
                of.entry(id).or_default().insert(key.0.clone(), weight);
            }
        }
        for (id, weights) in of {
            table.tracks[id].coming.portions().keep(&weights);
        }
    }

    fn tidy(&mut self, key: &Key) {
        let is_over = |it: &Backlog| it.oldest.is_none() && it.reserved.is_empty();
        if self.all.get(key).is_some_and(is_over) {
            self.all.remove(key);
        }
    }
}

impl Backlog {
    /// Has another oldest message (none: it is empty), size and cost from here on; its lanes are told.
    fn become_of(
        &mut self,
        table: &mut Table,
        (oldest, size, cost): (Option<i64>, u64, NonZeroU32),
        now: Nanos,
    ) {
        let (was, is) = (self.oldest.is_some(), oldest.is_some());
        for id in table.ids(&self.lanes, now) {
            let track = &mut table.tracks[id];
            let before = self
                .size
                .saturating_mul(track.lane.charge(self.cost).get().into());
            let after = size.saturating_mul(track.lane.charge(cost).get().into());
            track.coming.put_off(before, after);
            if was != is {
                track.coming.count_backlog(is);
            }
        }
        (self.oldest, self.size, self.cost) = (oldest, size, cost);
    }

    /// Whether all of its lanes let go of one more in time.
    fn has_room(&self, table: &mut Table, now: Nanos) -> bool {
        let (consumers, until) = (table.consumers, now.saturating_add(nanos(AHEAD)));
        let ids = table.ids(&self.lanes, now);
        ids.iter()
            .all(|id| table.tracks[*id].expected_after_called(now, consumers) <= until)
    }

    /// How much more than others its campaign had of the lanes that they share.
    fn lead(&self, table: &mut Table, campaign: &str, now: Nanos) -> u64 {
        let ids = self.shared(table, now).into_iter();
        let leads = ids.map(|id| table.tracks[id].coming.portions().lead(campaign));
        leads.max().unwrap_or(0)
    }

    /// The lanes that other campaigns use too.
    fn shared(&self, table: &mut Table, now: Nanos) -> Vec<usize> {
        let mut ids = table.ids(&self.lanes, now);
        ids.retain(|id| table.tracks[*id].lane.kind() == LaneKind::Sender);
        ids
    }

    /// Reserves the time of one message.
    fn reserve(&mut self, table: &mut Table, campaign: &str, now: Nanos) {
        let (cost, until) = (self.cost, now.saturating_add(nanos(RESERVED_FOR)));
        match self.reserved.back_mut() {
            Some(last) if last.until == until && last.cost == cost => last.messages += 1,
            _ => self.reserved.push_back(Reserved {
                messages: 1,
                cost,
                until,
            }),
        }
        self.hold(table, campaign, (cost, false), now);
    }

    /// Takes the lanes' time for one message, or gives it back.
    fn hold(
        &self,
        table: &mut Table,
        campaign: &str,
        (cost, back): (NonZeroU32, bool),
        now: Nanos,
    ) {
        for id in table.ids(&self.lanes, now) {
            let track = &mut table.tracks[id];
            let cost = u64::from(track.lane.charge(cost).get());
            match back {
                true => track.coming.give_back(cost),
                false => track.coming.reserve(cost),
            }
            track.coming.portions().charge(campaign, cost, back);
        }
    }
}
