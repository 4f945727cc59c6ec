//! Calling up: how many messages of which backlogs come back now.
//!
//! In: the backlogs, the weights of their campaigns. Out: calls, for which the lanes' time is reserved. Always: no more
//! messages are called up than their lanes grant soon. Of several campaigns on one sender, the next is the one with the
//! smallest portion for its weight. Of its backlogs, the next is the one whose agent is free first; if several agents
//! are free when the sender is, the one with the oldest message.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::num::NonZeroU32;
use std::sync::Arc;

use super::coming::UNIT;
use super::load::{InHand, Load};
use super::name::backlog_name;
use crate::pacing::backlog::{Backlogs, CallResult, Key, PutOff};
use crate::pacing::line::Schedule;
use crate::pacing::line::table::LaneTable;
use crate::pacing::{Nanos, Pacer};

/// How many messages of one campaign may be called up without having arrived: otherwise its queue would become its
/// backlog.
const CALLED_MAX: u32 = 1_000;

/// A call for the oldest messages of a backlog. The caller reports the result to
/// [`crate::pacing::Pacer::called_up`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BacklogCall {
    pub campaign: Arc<str>,
    /// The backlog's name.
    pub backlog: Arc<str>,
    /// How many of its oldest messages are to come back.
    pub messages: u32,
}

/// The campaigns that this consumer works on, and their weights.
pub(super) type Weights = BTreeMap<Arc<str>, NonZeroU32>;

/// The backlogs of one campaign on the same shared lanes.
#[derive(Default)]
struct Group {
    /// When its shared lanes grant one more message.
    free: Nanos,
    /// Its backlogs, by the moment at which their lanes are free, and then by the age of their oldest message.
    next: BinaryHeap<Reverse<(Nanos, i64, Key)>>,
    /// How many of its messages are called up now.
    called: u32,
}

/// A campaign, and its shared lanes.
type GroupKey = (Arc<str>, Vec<usize>);

impl Pacer {
    /// Takes note of a message that was put off, after the ledger recorded it in the backlog of its lanes
    /// ([`backlog_name`]).
    pub fn put_off(&self, campaign: &str, put_off: PutOff) {
        let key = (campaign.into(), backlog_name(&put_off.lanes).into());
        self.shared.with(|schedule, now| {
            let Schedule {
                table, backlogs, ..
            } = schedule;
            backlogs.put_off(table, key, put_off, now);
        });
    }

    /// Takes note of a backlog in the ledger. `oldest`: the age of its oldest message, as
    /// [`PutOff::since`].
    pub fn note_backlog(&self, campaign: &str, backlog: &str, oldest: i64) {
        let key = (campaign.into(), backlog.into());
        self.shared.with(|schedule, now| {
            let Schedule {
                table, backlogs, ..
            } = schedule;
            backlogs.note(table, key, oldest, now);
        });
    }

    /// Calls backlogs up: how many messages of which backlogs are to come back now, at most `most` in all. `weights`:
    /// the campaigns that this consumer works on. The caller reports the result of each call to [`Self::called_up`].
    #[must_use = "a call reserves its lanes' time until its messages arrive"]
    pub fn call_up(
        &self,
        weights: &BTreeMap<Arc<str>, NonZeroU32>,
        most: usize,
    ) -> Vec<BacklogCall> {
        self.shared.with(|schedule, now| {
            let in_hand = schedule.in_hand();
            let Schedule {
                table, backlogs, ..
            } = schedule;
            backlogs.call_up(table, &in_hand, weights, most, now)
        })
    }

    /// Takes the result of a call. None: the call failed.
    pub fn called_up(&self, call: &BacklogCall, result: Option<CallResult>) {
        let key = (call.campaign.clone(), call.backlog.clone());
        self.shared.with(|schedule, now| {
            let Schedule {
                table, backlogs, ..
            } = schedule;
            backlogs.called_up(table, &key, call.messages, result, now);
        });
    }

    /// Takes note of a message that was called up from this backlog, by this or another consumer, and has arrived here.
    pub fn arrived(&self, campaign: &str, backlog: &str) {
        let key = (campaign.into(), backlog.into());
        self.shared.with(|schedule, now| {
            let Schedule {
                table, backlogs, ..
            } = schedule;
            backlogs.arrived(table, &key, now);
        });
    }
}

impl Backlogs {
    /// Calls at most `most` messages up and reserves their lanes' time. Backlogs of campaigns without a weight are
    /// forgotten: a consumer that works on such a campaign knows its backlogs.
    pub(in crate::pacing) fn call_up(
        &mut self,
        table: &mut LaneTable,
        in_hand: &[InHand],
        weights: &Weights,
        most: usize,
        now: Nanos,
    ) -> Vec<BacklogCall> {
        self.forget(table, |key| !weights.contains_key(&key.0), now);
        self.expire(table, now);
        let mut groups = self.groups(table, now);
        share(table, &groups, weights);
        let mut load = Load::default();
        for waiters in in_hand {
            load.add(table, waiters);
        }
        let mut on_their_way = BTreeMap::<Arc<str>, u32>::new();
        for (key, backlog) in &self.all {
            let messages = backlog.on_their_way();
            *on_their_way.entry(key.0.clone()).or_default() += messages;
            if messages > 0 {
                let lanes = table.ids(&backlog.lanes, now);
                load.add(table, &InHand::of(lanes, messages, backlog.content.cost));
            }
        }
        let mut calls = BTreeMap::<Key, u32>::new();
        for _ in 0..most {
            groups.retain(|(campaign, _), group| {
                let is_much = on_their_way
                    .get(campaign)
                    .is_some_and(|it| *it >= CALLED_MAX);
                !is_much && self.has_next(table, &load, group, now)
            });
            let rank = |((campaign, shared), group): &(&GroupKey, &mut Group)| {
                let lead = |id: &usize| table.tracks[*id].coming.portions.lead(campaign);
                let weight = weights.get(campaign).map_or(1, |weight| weight.get());
                let called = u64::from(group.called) * UNIT / u64::from(weight);
                (shared.iter().map(lead).max().unwrap_or(0), called)
            };
            let Some(((campaign, _), group)) = groups.iter_mut().min_by_key(rank) else {
                break;
            };
            let Some(Reverse((_, oldest, key))) = group.next.pop() else {
                break;
            };
            let Some(backlog) = self.all.get_mut(&key) else {
                continue;
            };
            backlog.reserve(table, &key.0, now);
            let lanes = table.ids(&backlog.lanes, now);
            load.add(table, &InHand::of(lanes, 1, backlog.content.cost));
            group.called += 1;
            *on_their_way.entry(campaign.clone()).or_default() += 1;
            let messages = calls.entry(key.clone()).or_default();
            *messages += 1;
            if u64::from(*messages) < backlog.content.size {
                let ready = backlog.ready(table, now).0.max(group.free);
                group.next.push(Reverse((ready, oldest, key)));
            }
        }
        let call = |((campaign, backlog), messages)| BacklogCall {
            campaign,
            backlog,
            messages,
        };
        calls.into_iter().map(call).collect()
    }

    fn groups(&self, table: &mut LaneTable, now: Nanos) -> BTreeMap<GroupKey, Group> {
        let mut groups = BTreeMap::<GroupKey, Group>::new();
        for (key, backlog) in &self.all {
            let Some(oldest) = backlog.content.oldest else {
                continue;
            };
            let (agents, others) = backlog.ready(table, now);
            let group = groups.entry((key.0.clone(), backlog.shared(table, now)));
            let group = group.or_default();
            group.free = group.free.max(others);
            let ready = agents.max(others);
            group.next.push(Reverse((ready, oldest, key.clone())));
        }
        groups
    }

    /// Drops the backlogs at a group's head whose lanes have no room. Returns whether a backlog is left.
    fn has_next(&self, table: &mut LaneTable, load: &Load, group: &mut Group, now: Nanos) -> bool {
        while let Some(Reverse((_, _, key))) = group.next.peek() {
            let lanes = self.all.get(key).map(|it| table.ids(&it.lanes, now));
            if lanes.is_some_and(|lanes| load.has_room(table, &lanes, now)) {
                return true;
            }
            group.next.pop();
        }
        false
    }
}

/// Tells each shared lane which campaigns have messages that are put off for it.
fn share(table: &mut LaneTable, groups: &BTreeMap<GroupKey, Group>, weights: &Weights) {
    let mut by_lane = BTreeMap::<usize, Weights>::new();
    for (campaign, shared) in groups.keys() {
        let weight = weights.get(campaign).copied().unwrap_or(NonZeroU32::MIN);
        for id in shared {
            by_lane
                .entry(*id)
                .or_default()
                .insert(campaign.clone(), weight);
        }
    }
    for (id, weights) in by_lane {
        table.tracks[id].coming.portions.keep(&weights);
    }
}
