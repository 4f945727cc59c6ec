//! A simulation in pure time: campaigns with more messages than their lanes grant, consumers that come and go, settings
//! that change, with a ledger, queues and a store of shared lanes that answer at once.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU32;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::booking::{Arrival, Expectation, Needs, book};
use super::campaign::{PlayedCampaign, PlayedMessage, sender};
use super::name::backlog_name;
use super::{CallResult, PutOff};
use crate::pacing::cluster::shared::{LaneTime, hand_out};
use crate::pacing::cluster::store_clock::{ClockReading, StoreClock};
use crate::pacing::line::table::LaneTable;
use crate::pacing::line::{Granted, Schedule, Seat};
use crate::pacing::{Lane, Margin, Nanos, PacingSettings};

pub(in crate::pacing) const SECOND: Nanos = 1_000_000_000;

const ONE: NonZeroU32 = NonZeroU32::MIN;
const HOLD: Duration = Duration::from_secs(30);
const LOOK_EVERY: Nanos = SECOND / 2;
const READ_EVERY: Nanos = 2 * SECOND;

/// How many deliveries of a campaign a consumer has in hand at most.
const PREFETCH: usize = 200;

/// The time of the store's clock when the simulation begins.
const EPOCH: Nanos = 1_800_000_000 * SECOND;

struct Consumer {
    schedule: Schedule<(usize, i64)>,
    clock: StoreClock,
    looks_at: Nanos,
    read_at: Option<Nanos>,
    held: BTreeMap<(usize, i64), (PlayedMessage, Seat)>,
}

pub(in crate::pacing) struct Play {
    pub(in crate::pacing) random: StdRng,
    pub(in crate::pacing) now: Nanos,
    pub(super) campaigns: Vec<PlayedCampaign>,
    rows: BTreeMap<String, LaneTime>,
    consumers: Vec<Consumer>,
    sender_quota: &'static str,
    agent_quota: Option<&'static str>,
    numbers: i64,
    is_shared: bool,
    /// How many of a hundred messages that are called up never arrive.
    pub(in crate::pacing) lost: u32,
    /// How often a message was put off.
    pub(in crate::pacing) put_off: usize,
}

impl Play {
    pub(in crate::pacing) fn new(
        seed: u64,
        sender_quota: &'static str,
        agent_quota: Option<&'static str>,
        is_shared: bool,
    ) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            now: 0,
            campaigns: Vec::new(),
            rows: BTreeMap::new(),
            consumers: Vec::new(),
            sender_quota,
            agent_quota,
            numbers: 0,
            is_shared,
            lost: 0,
            put_off: 0,
        }
    }

    /// Applies a campaign with this many agents; 0: its messages name no agent.
    pub(super) fn apply(&mut self, weight: u32, agents: usize) -> usize {
        self.campaigns.push(PlayedCampaign {
            id: format!("campaign-{}", self.campaigns.len()).into(),
            weight,
            quota: None,
            is_paused: false,
            agents,
            queue: VecDeque::new(),
            backlogs: BTreeMap::new(),
            begun: Vec::new(),
            order: Vec::new(),
        });
        self.campaigns.len() - 1
    }

    /// Puts messages on a campaign's queue until `count` of its messages wait.
    pub(super) fn fill(&mut self, index: usize, count: usize) {
        let campaign = &mut self.campaigns[index];
        while campaign.waiting() < count {
            self.numbers += 1;
            let agents = campaign.agents;
            let agent = (agents > 0).then(|| self.random.random_range(0..agents));
            campaign.queue.push_back(PlayedMessage {
                number: self.numbers,
                agent,
                called_from: None,
            });
        }
    }

    /// Puts messages for one agent on a campaign's queue. They are older than all others.
    pub(super) fn recall(&mut self, index: usize, agent: usize, count: i64) {
        for n in 0..count {
            self.campaigns[index].queue.push_back(PlayedMessage {
                number: n - 1_000_000,
                agent: Some(agent),
                called_from: None,
            });
        }
    }

    pub(in crate::pacing) fn join(&mut self) {
        let settings = PacingSettings {
            shared: self.is_shared,
            margin: Margin::percent(2.0).expect("a margin"),
            ..PacingSettings::default()
        };
        let mut table = LaneTable::new(settings);
        let _ = table.set_quota(
            &sender(),
            Some(self.sender_quota.parse().expect("one")),
            self.now,
        );
        self.consumers.push(Consumer {
            schedule: Schedule::new(table),
            clock: StoreClock::default(),
            looks_at: self.now,
            read_at: None,
            held: BTreeMap::new(),
        });
        self.tell_all();
    }

    /// A consumer ends or dies: the messages that it has in hand return to their queue.
    pub(in crate::pacing) fn leave(&mut self, consumer: usize) {
        let left = self.consumers.remove(consumer);
        for ((campaign, _), (message, _)) in left.held.into_iter().rev() {
            self.campaigns[campaign].queue.push_front(message);
        }
        self.tell_all();
    }

    /// How many of a campaign's messages each consumer has in hand.
    pub(in crate::pacing) fn in_hand(&self, index: usize) -> Vec<usize> {
        let held = |it: &Consumer| {
            it.held
                .keys()
                .filter(|(campaign, _)| *campaign == index)
                .count()
        };
        self.consumers.iter().map(held).collect()
    }

    pub(in crate::pacing) fn consumers(&self) -> usize {
        self.consumers.len()
    }

    /// Applies the present settings at every consumer.
    pub(super) fn tell_all(&mut self) {
        let (now, others) = (self.now, self.consumers.len());
        let agent_quota = self.agent_quota.map(|text| text.parse().expect("a quota"));
        for consumer in &mut self.consumers {
            let table = &mut consumer.schedule.table;
            table.consumers = u64::try_from(others).expect("a few");
            let mut changed = Vec::new();
            for campaign in &self.campaigns {
                let quota = campaign.quota.map(|text| text.parse().expect("a quota"));
                changed.extend(table.set_quota(&Lane::campaign(&campaign.id), quota, now));
                changed.extend(table.set_agents(&campaign.id, agent_quota, now));
            }
            for id in changed {
                consumer.schedule.changed(id, now);
            }
            let paused = |index: usize| self.campaigns[index].is_paused;
            let (paused_waiters, kept) = std::mem::take(&mut consumer.held)
                .into_iter()
                .partition(|((index, _), _)| paused(*index));
            consumer.held = kept;
            let paused_waiters: BTreeMap<(usize, i64), (PlayedMessage, Seat)> = paused_waiters;
            for ((index, _), (message, seat)) in paused_waiters.into_iter().rev() {
                consumer.schedule.leave(seat, now);
                self.campaigns[index].queue.push_front(message);
            }
        }
    }

    /// Removes about one in `one_of` of a campaign's messages that are put off.
    pub(super) fn bury(&mut self, index: usize, one_of: u32) {
        let random = &mut self.random;
        for backlog in self.campaigns[index].backlogs.values_mut() {
            backlog.retain(|_| random.random_range(0..one_of) > 0);
        }
    }

    pub(in crate::pacing) fn run(&mut self, lasts: Nanos) {
        let end = self.now + lasts;
        loop {
            let alarms = self.consumers.iter().map(|consumer| {
                let alarm = consumer.schedule.next_alarm().unwrap_or(Nanos::MAX);
                alarm.min(consumer.looks_at)
            });
            // While lanes are shared, timers fire a little late.
            let soonest = self.now + if self.is_shared { 2_000_000 } else { 0 };
            let next = alarms.min().unwrap_or(Nanos::MAX).max(soonest);
            if next >= end {
                self.now = end;
                return;
            }
            self.now = next;
            // The order in which the consumers' requests reach the store is random.
            let first = self.random.random_range(0..self.consumers.len().max(1));
            for n in 0..self.consumers.len() {
                let n = (first + n) % self.consumers.len();
                self.advance(n);
                if self.consumers[n].looks_at <= self.now {
                    self.look(n);
                }
            }
            self.deliver();
        }
    }

    /// Begins the messages that the lanes grant, and asks the store for lanes.
    fn advance(&mut self, n: usize) {
        let (now, consumer) = (self.now, &mut self.consumers[n]);
        let mut granted: Vec<Granted<(usize, i64)>> = Vec::new();
        consumer.schedule.advance(now, &mut granted);
        // The store answers at once, up to four times in one moment.
        for _ in 0..4 {
            let Some(asked) = consumer.schedule.next_request(now) else {
                break;
            };
            consumer.clock.read(ClockReading {
                sent: now,
                store: EPOCH + now,
                received: now,
            });
            let (rows, clock) = (&mut self.rows, &consumer.clock);
            let request = asked.request(clock);
            let answers = hand_out(&request, rows, EPOCH + now);
            let given = answers.on_consumer_clock(clock);
            consumer.schedule.answered(&asked, Some(&given), now);
            consumer.schedule.advance(now, &mut granted);
        }
        for granted in granted {
            consumer.held.remove(&granted.wake);
            self.campaigns[granted.wake.0].begun.push(now);
            self.campaigns[granted.wake.0].order.push(granted.wake.1);
        }
    }

    /// Calls backlogs up, as the worker does twice a second.
    fn look(&mut self, n: usize) {
        let (now, consumer) = (self.now, &mut self.consumers[n]);
        consumer.looks_at = now + LOOK_EVERY;
        let in_hand = consumer.schedule.in_hand();
        let Schedule {
            table, backlogs, ..
        } = &mut consumer.schedule;
        let running = self.campaigns.iter().filter(|campaign| !campaign.is_paused);
        let weights: BTreeMap<_, _> = running
            .clone()
            .map(|it| (it.id.clone(), NonZeroU32::new(it.weight).expect("one")))
            .collect();
        if consumer.read_at.is_none_or(|at| now >= at + READ_EVERY) {
            consumer.read_at = Some(now);
            for campaign in running {
                for (name, messages) in &campaign.backlogs {
                    if let Some((oldest, _)) = messages.first() {
                        let key = (campaign.id.clone(), name.as_str().into());
                        backlogs.note(table, key, *oldest, now);
                    }
                }
            }
        }
        for call in backlogs.call_up(table, &in_hand, &weights, 500, now) {
            let found = self.campaigns.iter_mut().find(|it| it.id == call.campaign);
            let campaign = found.expect("it is one of them");
            let messages = campaign.backlogs.entry(call.backlog.to_string());
            let messages = messages.or_default();
            let mut called = 0;
            while called < call.messages
                && let Some((number, agent)) = messages.pop_first()
            {
                called += 1;
                if self.random.random_range(0..100) >= self.lost {
                    campaign.queue.push_back(PlayedMessage {
                        number,
                        agent,
                        called_from: Some(call.backlog.to_string()),
                    });
                }
            }
            let oldest = messages.first().map(|(oldest, _)| *oldest);
            let key = (call.campaign.clone(), call.backlog.clone());
            backlogs.called_up(
                table,
                &key,
                call.messages,
                Some(CallResult {
                    messages: called,
                    oldest,
                }),
                now,
            );
        }
    }

    /// Delivers the messages on the queues to random consumers that have room.
    fn deliver(&mut self) {
        for index in 0..self.campaigns.len() {
            loop {
                let held = self.in_hand(index).into_iter().enumerate();
                let with_room: Vec<usize> = held
                    .filter(|(_, held)| *held < PREFETCH)
                    .map(|(n, _)| n)
                    .collect();
                if with_room.is_empty() || self.campaigns[index].is_paused {
                    break;
                }
                let Some(message) = self.campaigns[index].queue.pop_front() else {
                    break;
                };
                let to = with_room[self.random.random_range(0..with_room.len())];
                self.turn(to, index, message);
            }
        }
    }

    /// A consumer receives a message, which waits for its lanes or is put off.
    fn turn(&mut self, n: usize, index: usize, message: PlayedMessage) {
        let (now, campaign) = (self.now, &mut self.campaigns[index]);
        let (lanes, schedule) = (
            campaign.lanes(message.agent),
            &mut self.consumers[n].schedule,
        );
        let mut turn = Arrival::First;
        if let Some(backlog) = &message.called_from {
            turn = Arrival::CalledUp;
            let key = (campaign.id.clone(), backlog.as_str().into());
            let Schedule {
                table, backlogs, ..
            } = &mut *schedule;
            backlogs.arrived(table, &key, now);
        }
        let needs = Needs {
            lanes: &lanes,
            cost: ONE,
        };
        if book(schedule, needs, HOLD, turn, now) == Expectation::Soon {
            let wake = (index, message.number);
            match schedule.enter(&lanes, ONE, now, || wake) {
                Ok(_) => {
                    campaign.begun.push(now);
                    campaign.order.push(message.number);
                }
                Err(seat) => {
                    self.consumers[n].held.insert(wake, (message, seat));
                    self.advance(n);
                }
            }
            return;
        }
        self.put_off += 1;
        let name = backlog_name(&lanes);
        let backlog = campaign.backlogs.entry(name.clone()).or_default();
        backlog.insert((message.number, message.agent));
        let put_off = PutOff {
            lanes,
            cost: ONE,
            since: message.number,
        };
        let key = (campaign.id.clone(), name.into());
        let Schedule {
            table, backlogs, ..
        } = schedule;
        backlogs.put_off(table, key, put_off, now);
    }

    /// How many messages of a campaign were begun from `from` on, within `lasts`.
    pub(in crate::pacing) fn begun(&self, index: usize, from: Nanos, lasts: Nanos) -> usize {
        let within = |at: &&Nanos| (from..from + lasts).contains(*at);
        self.campaigns[index].begun.iter().filter(within).count()
    }
}
