//! A simulation in pure time of several consumers that share lanes, checked against one log of all grants: their clocks
//! differ, the store is slow or away, and consumers stall, die and come.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::asking::PendingRequest;
use super::shared::{LaneAnswers, LaneRequest, LaneTime, hand_out};
use super::store_clock::{ClockReading, StoreClock};
use crate::pacing::line::table::LaneTable;
use crate::pacing::line::{Granted, Schedule};
use crate::pacing::{Lane, Margin, Nanos, PacingSettings, Sender};

pub(in crate::pacing) const MS: Nanos = 1_000_000;
pub(in crate::pacing) const SECOND: Nanos = 1_000 * MS;

/// The time of the store's clock when the simulation begins.
pub(in crate::pacing) const EPOCH: Nanos = 1_800_000_000 * SECOND;

/// The store's answers and a reading of its clock; none: it is away.
type Back = Option<(LaneAnswers, ClockReading)>;

/// One consumer: its own schedule, on its own clock.
pub(in crate::pacing) struct Consumer {
    pub(in crate::pacing) schedule: Schedule<usize>,
    clock: StoreClock,
    /// The simulation's time at this consumer's zero.
    pub(in crate::pacing) began: Nanos,
    /// A request on its way: when it was sent, and when it arrives.
    on_its_way: Option<(Nanos, Nanos, PendingRequest, LaneRequest)>,
    /// An answer on its way: when it arrives.
    coming_back: Option<(Nanos, PendingRequest, Back)>,
    stalled_until: Nanos,
    is_dead: bool,
    waiting: usize,
}

pub(in crate::pacing) struct Play {
    random: StdRng,
    pub(in crate::pacing) rows: BTreeMap<String, LaneTime>,
    pub(in crate::pacing) consumers: Vec<Consumer>,
    quotas: Vec<(Lane, String)>,
    away: Vec<(Nanos, Nanos)>,
    /// The shortest and longest time that each way to the store or back takes.
    way: (Nanos, Nanos),
    /// When each lane granted, in the simulation's time, and at which cost.
    log: BTreeMap<Lane, Vec<(Nanos, u32)>>,
    pub(in crate::pacing) now: Nanos,
}

impl Play {
    pub(in crate::pacing) fn new(seed: u64, quotas: &[(Lane, &str)]) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            rows: BTreeMap::new(),
            consumers: Vec::new(),
            quotas: quotas
                .iter()
                .map(|(lane, text)| (lane.clone(), (*text).to_owned()))
                .collect(),
            away: Vec::new(),
            way: (MS / 2, 3 * MS),
            log: BTreeMap::new(),
            now: 0,
        }
    }

    /// Sets how far away the store is. Each way takes up to a quarter more or less.
    pub(in crate::pacing) fn far(mut self, round_trip: Nanos) -> Self {
        let one_way = round_trip / 2;
        self.way = (one_way * 3 / 4 + MS / 10, one_way * 5 / 4 + MS);
        self
    }

    fn way(&mut self) -> Nanos {
        self.random.random_range(self.way.0..self.way.1)
    }

    pub(in crate::pacing) fn join(&mut self) {
        let settings = PacingSettings {
            shared: true,
            margin: Margin::percent(2.0).expect("a margin"),
            ..PacingSettings::default()
        };
        let mut table = LaneTable::new(settings);
        for (lane, text) in &self.quotas {
            let _ = table.set_quota(lane, Some(text.parse().expect("a quota")), 0);
        }
        let mut schedule = Schedule::new(table);
        let mut clock = StoreClock::default();
        for _ in 0..3 {
            let (out, back) = (self.way(), self.way());
            clock.read(ClockReading {
                sent: 0,
                store: EPOCH + self.now + out,
                received: out + back,
            });
            schedule.table.distance.note(out + back);
        }
        self.consumers.push(Consumer {
            schedule,
            clock,
            began: self.now,
            on_its_way: None,
            coming_back: None,
            stalled_until: 0,
            is_dead: false,
            waiting: 0,
        });
    }

    /// Plays for `lasts`; each consumer always has `crowd` waiters, whose lanes and cost `needs` gives.
    pub(in crate::pacing) fn run(
        &mut self,
        lasts: Nanos,
        crowd: usize,
        needs: &dyn Fn(&mut StdRng) -> (Vec<Lane>, u32),
    ) {
        let end = self.now + lasts;
        while self.now < end {
            self.now += 500_000;
            for n in 0..self.consumers.len() {
                if self.consumers[n].is_dead {
                    continue;
                }
                self.store(n);
                self.look(n);
                if self.consumers[n].stalled_until > self.now {
                    continue;
                }
                if self.random.random_range(0..4_000) == 0 {
                    let stall = self.random.random_range(5..40) * MS;
                    self.consumers[n].stalled_until = self.now + stall;
                }
                self.step(n, crowd, needs);
            }
        }
    }

    /// The store carries out a request that has arrived, also while its consumer stalls.
    fn store(&mut self, n: usize) {
        let is_away = self
            .away
            .iter()
            .any(|(from, to)| (*from..*to).contains(&self.now));
        let back = self.now + self.way();
        let consumer = &mut self.consumers[n];
        let arrived = consumer.on_its_way.take_if(|(_, at, ..)| *at <= self.now);
        let Some((sent, _, asked, request)) = arrived else {
            return;
        };
        let given = (!is_away).then(|| {
            let at = EPOCH + self.now;
            let reading = ClockReading {
                sent: sent.saturating_sub(consumer.began),
                store: at,
                received: back.saturating_sub(consumer.began),
            };
            let answers = hand_out(&request, &mut self.rows, at);
            (answers, reading)
        });
        consumer.coming_back = Some((back, asked, given));
    }

    /// Renews the share of concurrency, twice a second: the answer reads the store's clock too.
    fn look(&mut self, n: usize) {
        if !(self.now - self.consumers[n].began).is_multiple_of(SECOND / 2) {
            return;
        }
        let (out, back) = (self.way(), self.way());
        let consumer = &mut self.consumers[n];
        let sent = (self.now - consumer.began).saturating_sub(out + back);
        consumer.clock.read(ClockReading {
            sent,
            store: EPOCH + consumer.began + sent + out,
            received: sent + out + back,
        });
    }

    fn step(&mut self, n: usize, crowd: usize, needs: &dyn Fn(&mut StdRng) -> (Vec<Lane>, u32)) {
        let way = self.way();
        let consumer = &mut self.consumers[n];
        let now = self.now - consumer.began;
        let mut granted: Vec<Granted<usize>> = Vec::new();
        if let Some((_, asked, given)) = consumer.coming_back.take_if(|(at, ..)| *at <= self.now) {
            let given = given.map(|(answers, reading)| {
                consumer.clock.read(reading);
                consumer
                    .schedule
                    .table
                    .distance
                    .note(reading.received - reading.sent);
                answers.on_consumer_clock(&consumer.clock)
            });
            let answers = given.as_ref();
            consumer.schedule.answered(&asked, answers, now);
        }
        consumer.schedule.advance(now, &mut granted);
        consumer.waiting -= granted.len();
        let mut granted_now: Vec<_> = granted.into_iter().map(|granted| granted.held).collect();
        while consumer.waiting < crowd {
            let (lanes, cost) = needs(&mut self.random);
            let cost = NonZeroU32::new(cost).expect("not zero");
            match consumer.schedule.enter(&lanes, cost, now, || 0) {
                Ok(held) => granted_now.push(held),
                Err(_) => consumer.waiting += 1,
            }
        }
        if consumer.on_its_way.is_none()
            && consumer.coming_back.is_none()
            && let Some(asked) = consumer.schedule.next_request(now)
        {
            let request = asked.request(&consumer.clock);
            consumer.on_its_way = Some((self.now, self.now + way, asked, request));
        }
        for held in granted_now {
            for (lane, cost) in consumer.schedule.used(&held) {
                self.log.entry(lane).or_default().push((self.now, cost));
            }
        }
    }

    /// The most that any window of `unit` holds.
    pub(in crate::pacing) fn worst(&self, lane: &Lane, unit: Nanos) -> u32 {
        let log = self.log.get(lane).map_or(&[][..], Vec::as_slice);
        let (mut worst, mut sum, mut first) = (0, 0, 0);
        for (at, cost) in log {
            sum += cost;
            while log[first].0 + unit <= *at {
                sum -= log[first].1;
                first += 1;
            }
            worst = worst.max(sum);
        }
        worst
    }

    /// How much of a lane was used between two times.
    pub(in crate::pacing) fn used(&self, lane: &Lane, from: Nanos, to: Nanos) -> u32 {
        let log = self.log.get(lane).map_or(&[][..], Vec::as_slice);
        let within = log.iter().filter(|(at, _)| (from..to).contains(at));
        within.map(|(_, cost)| cost).sum()
    }
}

#[test]
fn four_consumers_use_one_quota_and_no_second_holds_more() {
    for (quota, per_second) in [("10/s", 10), ("100/s", 100), ("1000/s", 1_000)] {
        for seed in 0..2 {
            let lane = Lane::endpoint("x");
            let mut play = Play::new(seed, &[(lane.clone(), quota)]);
            for _ in 0..4 {
                play.join();
            }
            play.run(20 * SECOND, 300, &|_| (vec![Lane::endpoint("x")], 1));
            let worst = play.worst(&lane, SECOND);
            assert!(worst <= per_second, "{quota}, seed {seed}: {worst}");
            let used = play.used(&lane, 2 * SECOND, 20 * SECOND);
            assert!(
                used * 100 >= 18 * per_second * 95,
                "{quota}, seed {seed}: {used}"
            );
        }
    }
}

#[test]
fn consumers_die_and_come_and_the_store_is_away_and_no_second_holds_more() {
    for (quota, per_second) in [("10/s", 10_u32), ("100/s", 100), ("1000/s", 1_000)] {
        for seed in 10..11 {
            let lane = Lane::endpoint("x");
            let mut play = Play::new(seed, &[(lane.clone(), quota)]);
            for _ in 0..4 {
                play.join();
            }
            play.away = vec![(20 * SECOND, 40 * SECOND)];
            let needs = |_: &mut StdRng| (vec![Lane::endpoint("x")], 1);
            play.run(5 * SECOND, 300, &needs);
            play.consumers[0].is_dead = true;
            play.run(3 * SECOND, 300, &needs);
            play.join();
            play.join();
            play.run(42 * SECOND, 300, &needs);
            assert!(
                play.worst(&lane, SECOND) <= per_second,
                "{quota}, seed {seed}"
            );
            let full = |from: u64, to: u64| {
                let used = play.used(&lane, from * SECOND, to * SECOND);
                used * 100 >= u32::try_from(to - from).expect("small") * per_second * 95
            };
            assert!(full(7, 20), "{quota}, seed {seed}");
            assert_eq!(play.used(&lane, 22 * SECOND, 40 * SECOND), 0, "{quota}");
            assert!(full(41, 50), "{quota}, seed {seed}");
        }
    }
}

#[test]
fn slow_lanes_that_are_needed_together_are_used_to_the_full() {
    // A campaign at ten a minute, whose agents could take five a minute each.
    for seed in 20..21 {
        let campaign = Lane::campaign("spring");
        let agents: Vec<Lane> = (0..4)
            .map(|n| Lane::agent("spring", &n.to_string()))
            .collect();
        let mut quotas: Vec<(Lane, &str)> = agents.iter().map(|it| (it.clone(), "5/min")).collect();
        quotas.push((campaign.clone(), "10/min"));
        let mut play = Play::new(seed, &quotas);
        for _ in 0..3 {
            play.join();
        }
        play.run(600 * SECOND, 30, &|random| {
            let agent = random.random_range(0..4).to_string();
            (
                vec![Lane::campaign("spring"), Lane::agent("spring", &agent)],
                1,
            )
        });
        assert!(play.worst(&campaign, 60 * SECOND) <= 10, "seed {seed}");
        for agent in &agents {
            assert!(play.worst(agent, 60 * SECOND) <= 5, "seed {seed}");
        }
        let used = play.used(&campaign, 0, 600 * SECOND);
        assert!(used >= 95, "seed {seed}: {used} of 100");
    }
}

#[test]
fn many_agents_beside_a_busy_campaign_are_all_served_at_their_pace() {
    let mut quotas = vec![(Lane::campaign("spring"), "20/s")];
    quotas.extend((0..60).map(|n| (Lane::agent("spring", &n.to_string()), "10/min")));
    let mut play = Play::new(30, &quotas);
    for _ in 0..4 {
        play.join();
    }
    play.run(120 * SECOND, 240, &|random| {
        let agent = random.random_range(0..60).to_string();
        (
            vec![Lane::campaign("spring"), Lane::agent("spring", &agent)],
            1,
        )
    });
    for (lane, _) in &quotas[1..] {
        assert!(play.worst(lane, 60 * SECOND) <= 10);
    }
    // Sixty agents at ten a minute are ten a second: the agents bind, not the campaign.
    let used = play.used(&quotas[0].0, 20 * SECOND, 120 * SECOND);
    assert!(used >= 950, "{used} of 1000");
}

#[test]
fn segments_count_and_a_message_of_several_is_not_divided() {
    for quota in ["1/s", "10/s", "100/s"] {
        let lane = Lane::Sender(Sender::new("+12025550100", None));
        let mut play = Play::new(40, &[(lane.clone(), quota), (Lane::endpoint("x"), "30/s")]);
        for _ in 0..3 {
            play.join();
        }
        play.run(60 * SECOND, 40, &|random| {
            let lanes = vec![
                Lane::Sender(Sender::new("+12025550100", None)),
                Lane::endpoint("x"),
            ];
            (lanes, random.random_range(1..4))
        });
        // Messages are spread evenly: one that starts in a window of ten seconds ends at most two segments after it.
        let per_second: u32 = quota.trim_end_matches("/s").parse().expect("a number");
        let worst = play.worst(&lane, 10 * SECOND);
        assert!(worst <= per_second * 10 + 2, "{quota}: {worst}");
        let used = play.used(&lane, 5 * SECOND, 60 * SECOND);
        let most = (55 * per_second).min(55 * 30 * 2);
        assert!(used * 100 >= most * 90, "{quota}: {used} of {most}");
    }
}
