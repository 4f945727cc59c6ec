//! The schedule compared with a brute force: plain GCRA, where every waiter asks at every tick, the oldest first.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::line::hold::LaneHold;
use super::line::table::LaneTable;
use super::line::{Granted, Schedule, Seat};
use super::{CoolDown, Lane, Margin, Nanos, PacingSettings, Quota};

const MS: Nanos = 1_000_000;
const ONE: NonZeroU32 = NonZeroU32::MIN;

/// Quotas of lanes `l0`, `l1` and so on.
const QUOTAS: [&str; 6] = ["10/s", "100/s", "7/s", "30/s, burst 4", "120/min", "1/s"];

fn lane(n: usize) -> Lane {
    Lane::campaign(&format!("l{n}"))
}

fn schedule(quotas: &[&str]) -> Schedule<usize> {
    let settings = PacingSettings {
        margin: Margin::NONE,
        ..PacingSettings::default()
    };
    let mut table = LaneTable::new(settings);
    for (n, quota) in quotas.iter().enumerate() {
        let _ = table.set_quota(&lane(n), Some(quota.parse().expect("a quota")), 0);
    }
    Schedule::new(table)
}

/// One lane, as a textbook describes GCRA.
struct Plain {
    period: Nanos,
    spare: Nanos,
    tat: Nanos,
}

impl Plain {
    fn new(quota: Quota) -> Self {
        let period = super::nanos(quota.period());
        let spare = u64::from(quota.burst().get() - 1) * period;
        let empty = quota.period().as_secs_f64() <= 1.0;
        let tat = spare + if empty { period } else { 0 };
        Self { period, spare, tat }
    }

    fn grants(&self, now: Nanos) -> bool {
        self.tat.saturating_sub(self.spare) <= now
    }
}

/// The brute force.
struct Oracle {
    lanes: Vec<Plain>,
    waiting: BTreeMap<usize, Vec<usize>>,
}

impl Oracle {
    fn tick(&mut self, now: Nanos) -> Vec<usize> {
        let mut served = Vec::new();
        for (waiter, needs) in &self.waiting {
            if needs.iter().all(|n| self.lanes[*n].grants(now)) {
                for n in needs {
                    let plain = &mut self.lanes[*n];
                    // Charged from the moment when it was due: oracle and schedule have the same ticks.
                    plain.tat = plain.tat.max(now) + plain.period;
                }
                served.push(*waiter);
            }
        }
        for waiter in &served {
            self.waiting.remove(waiter);
        }
        served
    }
}

fn needs(random: &mut StdRng) -> Vec<usize> {
    let mut needs: Vec<usize> = (0..QUOTAS.len())
        .filter(|_| random.random_range(0..3) == 0)
        .collect();
    if needs.is_empty() {
        needs.push(random.random_range(0..QUOTAS.len()));
    }
    needs
}

/// Runs both on the same arrivals and departures, and compares each tick. Returns how many permits were granted.
fn compare(seed: u64) -> usize {
    let mut random = StdRng::seed_from_u64(seed);
    let mut schedule = schedule(&QUOTAS);
    // The brute force has no claims.
    schedule.patience = u32::MAX;
    let mut oracle = Oracle {
        lanes: QUOTAS
            .map(|q| Plain::new(q.parse().expect("a quota")))
            .into(),
        waiting: BTreeMap::new(),
    };
    let mut seats: BTreeMap<usize, Seat> = BTreeMap::new();
    let busy = random.random_range(5..60);
    let mut total = 0;
    for tick in 0..6_000_u64 {
        let now = tick * MS;
        let mut granted: Vec<Granted<usize>> = Vec::new();
        schedule.advance(now, &mut granted);
        let mut served: Vec<usize> = granted.drain(..).map(|granted| granted.wake).collect();
        let mut expected = oracle.tick(now);
        if random.random_range(0..busy) == 0 {
            let waiter = usize::try_from(tick).expect("small");
            let needs = needs(&mut random);
            let lanes: Vec<Lane> = needs.iter().map(|n| lane(*n)).collect();
            match schedule.enter(&lanes, ONE, now, || waiter) {
                Ok(_) => served.push(waiter),
                Err(seat) => {
                    seats.insert(waiter, seat);
                }
            }
            oracle.waiting.insert(waiter, needs);
            expected.extend(oracle.tick(now));
        }
        if random.random_range(0..busy * 4) == 0
            && let Some(waiter) = oracle.waiting.keys().next_back().copied()
        {
            oracle.waiting.remove(&waiter);
            assert!(schedule.leave(seats[&waiter], now));
            schedule.advance(now, &mut granted);
            assert!(
                granted.is_empty(),
                "a waiter that left takes nothing and frees nothing"
            );
        }
        served.sort_unstable();
        expected.sort_unstable();
        assert_eq!(served, expected, "seed {seed}, at {tick} ms");
        total += served.len();
    }
    total
}

#[test]
fn the_schedule_grants_exactly_what_a_brute_force_grants() {
    let total: usize = (0..60).map(compare).sum();
    assert!(total > 3_000, "{total}");
}

#[test]
fn with_claims_and_permits_given_back_no_lane_is_exceeded_and_every_waiter_is_granted() {
    for seed in 0..20 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut schedule = schedule(&QUOTAS);
        schedule.patience = 2;
        let mut needed: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut log: Vec<(Nanos, usize)> = Vec::new();
        let mut now = 0;
        for waiter in 0..400 {
            now += random.random_range(0..40) * MS / 3;
            let needs = needs(&mut random);
            let lanes: Vec<Lane> = needs.iter().map(|n| lane(*n)).collect();
            needed.insert(waiter, needs);
            let mut granted = Vec::new();
            schedule.advance(now, &mut granted);
            log.extend(granted.iter().map(|g| (now, g.wake)));
            let Ok(held) = schedule.enter(&lanes, ONE, now, || waiter) else {
                continue;
            };
            if random.random_range(0..3) == 0 {
                schedule.release(&held, true, now);
                let mut freed = Vec::new();
                schedule.advance(now, &mut freed);
                log.extend(freed.iter().map(|g| (now, g.wake)));
                needed.remove(&waiter);
            } else {
                log.push((now, waiter));
            }
        }
        log.extend(
            run(&mut schedule, 2_000_000 * MS)
                .iter()
                .map(|(at, waiter, _)| (*at, *waiter)),
        );
        assert_eq!(log.len(), needed.len(), "seed {seed}: every waiter once");
        let mut plain = QUOTAS.map(|q| Plain::new(q.parse().expect("a quota")));
        for (at, waiter) in log {
            for n in &needed[&waiter] {
                assert!(plain[*n].grants(at), "seed {seed}: lane {n} at {at}");
                plain[*n].tat = plain[*n].tat.max(at) + plain[*n].period;
            }
        }
    }
}

/// Runs until `until`, at the schedule's own alarms. Returns each granted permit: when, for which waiter, what it
/// holds.
fn run(schedule: &mut Schedule<usize>, until: Nanos) -> Vec<(Nanos, usize, Vec<LaneHold>)> {
    let mut served = Vec::new();
    while let Some(now) = schedule.next_alarm().filter(|at| *at <= until) {
        let mut granted = Vec::new();
        schedule.advance(now, &mut granted);
        served.extend(granted.into_iter().map(|g| (now, g.wake, g.held)));
    }
    served
}

#[test]
fn a_waiter_of_two_busy_lanes_out_of_step_is_not_passed_over_for_ever() {
    // Slots at 7 and 11 a second are out of phase and never free together, and each lane has its crowd.
    let mut schedule = schedule(&["7/s", "11/s"]);
    let shift = std::time::Duration::from_millis(1_051);
    let rules = CoolDown {
        shortest: shift,
        longest: shift,
    };
    schedule.table.throttled(&lane(1), rules, None, 0);
    for waiter in 0..400 {
        let needs: &[Lane] = match waiter % 2 {
            0 => &[lane(0)],
            _ => &[lane(1)],
        };
        assert!(schedule.enter(needs, ONE, 0, || waiter).is_err());
    }
    assert!(
        schedule
            .enter(&[lane(0), lane(1)], ONE, 0, || 1_000)
            .is_err()
    );
    // A crowd keeps coming behind it.
    for waiter in 2_000..3_000 {
        assert!(
            schedule
                .enter(&[lane(waiter % 2)], ONE, 0, || waiter)
                .is_err()
        );
    }
    let served = run(&mut schedule, 60_000 * MS);
    let at = |wanted: usize| served.iter().position(|(_, waiter, _)| *waiter == wanted);
    let both = served[at(1_000).expect("granted")].0;
    let last_before = served[at(398).expect("granted")]
        .0
        .max(served[at(399).expect("granted")].0);
    assert!(
        both < last_before + 3_000 * MS,
        "{both} after {last_before}"
    );
}

#[test]
fn a_crowd_for_one_agent_asks_once_per_slot() {
    let mut schedule = schedule(&["100/s", "10/min"]);
    for waiter in 0..5_000 {
        let _ = schedule.enter(&[lane(0), lane(1)], ONE, 0, || waiter);
    }
    for waiter in 5_000..5_100 {
        let _ = schedule.enter(&[lane(0)], ONE, 0, || waiter);
    }
    let served = run(&mut schedule, 1_100 * MS);
    let others = served
        .iter()
        .filter(|(_, waiter, _)| *waiter >= 5_000)
        .count();
    assert!(
        others >= 99,
        "{others} of 100 were granted beside the crowd"
    );
}

#[test]
fn concurrency_is_freed_in_order_and_never_exceeded() {
    let mut schedule = schedule(&["1000/s"]);
    let id = schedule.table.set_concurrency(&Lane::Account, Some(3), 0);
    let mut held = Vec::new();
    for waiter in 0..50 {
        if let Ok(permit) = schedule.enter(&[Lane::Account, lane(0)], ONE, MS * 2, || waiter) {
            held.push(permit);
        }
    }
    let mut order: Vec<usize> = Vec::new();
    let mut now = 2 * MS;
    for _ in 0..200 {
        now += MS;
        let mut granted = Vec::new();
        schedule.advance(now, &mut granted);
        order.extend(granted.iter().map(|g| g.wake));
        held.extend(granted.into_iter().map(|g| g.held));
        let taken = schedule.table.tracks[id]
            .concurrency
            .expect("concurrency")
            .taken();
        assert_eq!(usize::try_from(taken).expect("small"), held.len());
        assert!(taken <= 3);
        if !held.is_empty() {
            let first = held.remove(0);
            schedule.release(&first, false, now);
        }
    }
    assert_eq!(order.len() + 1, 50, "the first went at once");
    assert!(order.is_sorted(), "{order:?}");
}
