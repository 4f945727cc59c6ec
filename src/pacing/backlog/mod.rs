//! Backlogs: messages of one campaign whose turn comes later, and which wait in the ledger for the same lanes.
//!
//! In: messages that are put off, and for which lanes; messages that arrive. Out: backlogs. Always: a message that is
//! put off takes no time of any lane. A message that is called up reserves its lanes' time until it arrives, for ten
//! seconds at most.

pub(super) mod name;
pub(super) mod coming;
pub(super) mod load;
pub(super) mod booking;
pub(super) mod calling;
#[cfg(test)]
pub(super) mod campaign;
#[cfg(test)]
pub(super) mod play;
#[cfg(test)]
pub(super) mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::line::table::LaneTable;
use super::{Lane, LaneKind, Nanos, nanos};

/// How long the lanes' time is reserved for a message that was called up. After that, another consumer has received it.
const RESERVED_FOR: Duration = Duration::from_secs(10);

/// How long it is reserved while several consumers take from one queue. Most messages that one consumer calls up arrive
/// at the others, so its reservations are in vain: with ten seconds, a sender of three per second was idle with one
/// message in hand (measured in `backlog/tests.rs`).
const RESERVED_AMONG_SEVERAL: Duration = Duration::from_secs(2);

/// The assumed size of a backlog whose messages were put off by other consumers or an earlier process.
const UNKNOWN_SIZE: u64 = 8;

/// A campaign's id, and its backlog's name.
pub(super) type Key = (Arc<str>, Arc<str>);

/// A message that is put off: the lanes that it waits for, its cost and its age.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutOff {
    pub lanes: Vec<Lane>,
    /// As a permit's.
    pub cost: NonZeroU32,
    /// Its age: milliseconds since the epoch when it was accepted.
    pub since: i64,
}

/// The result of a call for the oldest messages of a backlog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallResult {
    /// How many messages were put on the queue.
    pub messages: u32,
    /// The age of the oldest message that is left, as [`PutOff::since`]; none: no message is left.
    pub oldest: Option<i64>,
}

/// What happens to the reserved time of a message's lanes.
#[derive(Clone, Copy, Debug)]
enum Time {
    /// The message is called up: its time is reserved.
    Reserved,
    /// The message has arrived, at this or another consumer.
    Used,
    /// The message was not in the backlog any more.
    Unused,
}

/// Messages that were called up together and have not arrived.
#[derive(Clone, Copy, Debug)]
struct Reserved {
    messages: u32,
    /// The cost of each.
    cost: NonZeroU32,
    until: Nanos,
}

/// The messages of one campaign that wait for the same lanes.
#[derive(Clone, Debug)]
pub(super) struct Backlog {
    pub(super) lanes: Vec<Lane>,
    pub(super) content: BacklogContent,
    /// Whether its size is exact: this consumer put off all of its messages.
    is_counted: bool,
    reserved: VecDeque<Reserved>,
}

/// A backlog's messages, as far as this consumer knows.
#[derive(Clone, Copy, Debug)]
pub(super) struct BacklogContent {
    /// The age of the oldest message ([`PutOff::since`]); none: the backlog is empty.
    pub(super) oldest: Option<i64>,
    /// How many messages: exact, or the least that is likely while only the ledger knows.
    pub(super) size: u64,
    /// The cost of the message that was put off last, as a permit's.
    pub(super) cost: NonZeroU32,
}

/// All backlogs, as far as this consumer knows of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Backlogs {
    pub(super) all: BTreeMap<Key, Backlog>,
}

impl Backlogs {
    /// Adds a message that was put off, which the ledger has recorded.
    pub(super) fn put_off(&mut self, table: &mut LaneTable, key: Key, put_off: PutOff, now: Nanos) {
        let PutOff { lanes, cost, since } = put_off;
        let backlog = self.entry(key, lanes);
        let before = backlog.content;
        let size = before.oldest.map_or(0, |_| before.size) + 1;
        let oldest = before.oldest.map_or(since, |oldest| oldest.min(since));
        let content = BacklogContent {
            oldest: Some(oldest),
            size,
            cost,
        };
        backlog.hold(table, content, now);
    }

    /// Takes note of a backlog in the ledger. One with an unknown name, such as a later version's, is ignored.
    pub(super) fn note(&mut self, table: &mut LaneTable, key: Key, oldest: i64, now: Nanos) {
        let Some(lanes) = self::name::lanes_of(&key.0, &key.1) else {
            return;
        };
        let backlog = self.entry(key, lanes);
        let before = backlog.content;
        let is_news = before.oldest.is_none();
        backlog.is_counted &= !is_news;
        let content = BacklogContent {
            oldest: Some(oldest),
            size: if is_news { UNKNOWN_SIZE } else { before.size },
            ..before
        };
        backlog.hold(table, content, now);
    }

    fn entry(&mut self, key: Key, lanes: Vec<Lane>) -> &mut Backlog {
        self.all.entry(key).or_insert_with(|| Backlog {
            lanes,
            content: BacklogContent {
                oldest: None,
                size: 0,
                cost: NonZeroU32::MIN,
            },
            is_counted: true,
            reserved: VecDeque::new(),
        })
    }

    /// Takes note of a message that was called up from this backlog and has arrived. If another consumer called it up,
    /// one that this consumer called up has arrived there, or will: the oldest reservation of the campaign ends.
    pub(super) fn arrived(&mut self, table: &mut LaneTable, key: &Key, now: Nanos) {
        if self.give_back(table, key, 1, Time::Used, now) > 0 {
            return;
        }
        let of_campaign = self.all.range((key.0.clone(), Arc::from(""))..);
        let of_campaign = of_campaign.take_while(|(other, _)| other.0 == key.0);
        let oldest = of_campaign
            .filter_map(|(other, backlog)| Some((backlog.reserved.front()?.until, other)))
            .min();
        if let Some((_, other)) = oldest {
            let other = other.clone();
            self.give_back(table, &other, 1, Time::Used, now);
        }
    }

    /// Gives back the lanes' time that was reserved for `messages`, or for as many as there are. Returns for how many.
    fn give_back(
        &mut self,
        table: &mut LaneTable,
        key: &Key,
        messages: u32,
        time: Time,
        now: Nanos,
    ) -> u32 {
        let mut given_back = 0;
        let Some(backlog) = self.all.get_mut(key) else {
            return given_back;
        };
        while given_back < messages
            // The newest first, so that reservations of messages that never arrive become old and expire.
            && let Some(newest) = backlog.reserved.back_mut()
        {
            let cost = newest.cost;
            newest.messages -= 1;
            if newest.messages == 0 {
                backlog.reserved.pop_back();
            }
            backlog.spend(table, &key.0, cost, time, now);
            given_back += 1;
        }
        self.tidy(key);
        given_back
    }

    /// Takes the result of a call for `asked` messages. None: the call failed.
    pub(super) fn called_up(
        &mut self,
        table: &mut LaneTable,
        key: &Key,
        asked: u32,
        result: Option<CallResult>,
        now: Nanos,
    ) {
        let known = self.all.get(key).and_then(|backlog| backlog.content.oldest);
        let CallResult { messages, oldest } = result.unwrap_or(CallResult {
            messages: 0,
            oldest: known,
        });
        let unused = asked.saturating_sub(messages);
        self.give_back(table, key, unused, Time::Unused, now);
        let Some(backlog) = self.all.get_mut(key) else {
            return;
        };
        let left = backlog.content.size.saturating_sub(messages.into());
        backlog.is_counted &= oldest.is_none() || left > 0;
        let size = match oldest {
            None => 0,
            Some(_) if backlog.is_counted => left,
            // There are more than was known: at least twice as many as came are assumed.
            Some(_) => left.max(2 * u64::from(messages)).max(UNKNOWN_SIZE),
        };
        backlog.is_counted |= oldest.is_none();
        let content = BacklogContent {
            oldest,
            size,
            ..backlog.content
        };
        backlog.hold(table, content, now);
        self.tidy(key);
    }

    /// Gives back the time of messages whose reservation is over.
    pub(super) fn expire(&mut self, table: &mut LaneTable, now: Nanos) {
        for (key, backlog) in &mut self.all {
            while let Some(late) = backlog.reserved.pop_front_if(|oldest| oldest.until <= now) {
                for _ in 0..late.messages {
                    backlog.spend(table, &key.0, late.cost, Time::Used, now);
                }
            }
        }
        self.all.retain(|_, backlog| !backlog.is_over());
    }

    /// Forgets the backlogs that `is_other` selects: this consumer does not work on their campaigns.
    pub(super) fn forget(
        &mut self,
        table: &mut LaneTable,
        is_other: impl Fn(&Key) -> bool,
        now: Nanos,
    ) {
        let others: Vec<_> = self
            .all
            .keys()
            .filter(|key| is_other(key))
            .cloned()
            .collect();
        for key in others {
            self.give_back(table, &key, u32::MAX, Time::Unused, now);
            if let Some(backlog) = self.all.get_mut(&key) {
                let content = BacklogContent {
                    oldest: None,
                    size: 0,
                    ..backlog.content
                };
                backlog.hold(table, content, now);
            }
            self.tidy(&key);
        }
    }

    fn tidy(&mut self, key: &Key) {
        if self.all.get(key).is_some_and(Backlog::is_over) {
            self.all.remove(key);
        }
    }
}

impl Backlog {
    /// Whether it is empty and no message of it is on its way.
    fn is_over(&self) -> bool {
        self.content.oldest.is_none() && self.reserved.is_empty()
    }

    /// Sets the content, and tells it to the lanes.
    fn hold(&mut self, table: &mut LaneTable, content: BacklogContent, now: Nanos) {
        let before = std::mem::replace(&mut self.content, content);
        let (was, is) = (before.oldest.is_some(), content.oldest.is_some());
        for id in table.ids(&self.lanes, now) {
            let track = &mut table.tracks[id];
            let costs = |it: &BacklogContent| {
                let cost = track.lane.charge(it.cost).get();
                it.size.saturating_mul(cost.into())
            };
            let (before, after) = (costs(&before), costs(&content));
            track.coming.put_off(before, after);
            if was != is {
                track.coming.count_backlog(is);
            }
        }
    }

    /// When its lanes grant one more message: the agent's lane, and all other lanes.
    pub(super) fn ready(&self, table: &mut LaneTable, now: Nanos) -> (Nanos, Nanos) {
        let consumers = table.consumers;
        let (mut agents, mut others) = (now, now);
        for id in table.ids(&self.lanes, now) {
            let track = &table.tracks[id];
            let expected = track.expected_after_called(now, consumers);
            match track.lane.kind() {
                LaneKind::Agent => agents = agents.max(expected),
                _ => others = others.max(expected),
            }
        }
        (agents, others)
    }

    /// The senders' lanes, which other campaigns use too.
    pub(super) fn shared(&self, table: &mut LaneTable, now: Nanos) -> Vec<usize> {
        let mut ids = table.ids(&self.lanes, now);
        ids.retain(|id| table.tracks[*id].lane.kind() == LaneKind::Sender);
        ids
    }

    /// How many of its messages were called up and have not arrived.
    pub(super) fn on_their_way(&self) -> u32 {
        self.reserved.iter().map(|it| it.messages).sum()
    }

    /// Reserves the lanes' time for one message.
    pub(super) fn reserve(&mut self, table: &mut LaneTable, campaign: &str, now: Nanos) {
        let reserved_for = match table.consumers {
            1 => RESERVED_FOR,
            _ => RESERVED_AMONG_SEVERAL,
        };
        let (cost, until) = (self.content.cost, now.saturating_add(nanos(reserved_for)));
        match self.reserved.back_mut() {
            Some(last) if last.until == until && last.cost == cost => last.messages += 1,
            _ => self.reserved.push_back(Reserved {
                messages: 1,
                cost,
                until,
            }),
        }
        self.spend(table, campaign, cost, Time::Reserved, now);
    }

    /// Accounts for the lanes' time of one message, and for its campaign's portion of it.
    fn spend(
        &self,
        table: &mut LaneTable,
        campaign: &str,
        cost: NonZeroU32,
        time: Time,
        now: Nanos,
    ) {
        for id in table.ids(&self.lanes, now) {
            let track = &mut table.tracks[id];
            let cost = u64::from(track.lane.charge(cost).get());
            let coming = &mut track.coming;
            match time {
                Time::Reserved => {
                    coming.reserve(cost);
                    coming.portions.serve(campaign, cost);
                }
                Time::Used => coming.give_back(cost),
                Time::Unused => {
                    coming.give_back(cost);
                    coming.portions.refund(campaign, cost);
                }
            }
        }
    }
}
