//! The pacer on a paused clock: its guarantees to callers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;

use super::*;

pub(super) const ONE: NonZeroU32 = NonZeroU32::MIN;

/// How a lane rests after a 429.
const RATE: CoolDown = CoolDown {
    shortest: Duration::from_millis(100),
    longest: Duration::from_secs(60),
};

pub(super) fn quota(text: &str) -> Option<Quota> {
    Some(text.parse().expect("a quota"))
}

pub(super) fn pacer() -> Pacer {
    let start = "2026-11-22T12:00:00Z".parse().expect("a timestamp");
    Pacer::new(PacingSettings::default(), Clock::starting_at(start))
}

fn endpoint(pacer: &Pacer, name: &str, text: &str) -> Lane {
    let lane = Lane::endpoint(name);
    pacer.set_quota(&lane, quota(text));
    lane
}

pub(super) fn millis(from: tokio::time::Instant) -> u64 {
    u64::try_from(from.elapsed().as_millis()).expect("a test is short")
}

/// The most in any window of a second, its end not included.
fn worst_second(times: &[u64]) -> usize {
    let in_window = |from: &u64| {
        times
            .iter()
            .filter(|t| (*from..*from + 1_000).contains(*t))
            .count()
    };
    times.iter().map(in_window).max().unwrap_or(0)
}

/// Lets `count` waiters of one lane arrive, with the pauses that `gap` returns. Returns when each was granted, in the
/// order of arrival.
async fn arrive(
    pacer: &Pacer,
    lane: &Lane,
    count: usize,
    mut gap: impl FnMut() -> u64,
) -> Vec<u64> {
    let start = tokio::time::Instant::now();
    let mut waiters = JoinSet::new();
    for waiter in 0..count {
        let (pacer, lane) = (pacer.clone(), lane.clone());
        waiters.spawn(async move {
            let _permit = pacer.permit(&[lane], ONE).await;
            (waiter, millis(start))
        });
        // Each takes its turn in the line before the next one arrives.
        tokio::task::yield_now().await;
        match gap() {
            0 => {}
            wait => tokio::time::sleep(Duration::from_millis(wait)).await,
        }
    }
    let mut times: Vec<(usize, u64)> = waiters.join_all().await;
    times.sort_unstable();
    times.into_iter().map(|(_, at)| at).collect()
}

#[tokio::test(start_paused = true)]
async fn no_second_holds_more_than_the_quota_whatever_the_arrivals() {
    for seed in 0..12 {
        let mut random = StdRng::seed_from_u64(seed);
        let per_second = [10_u32, 100, 333][random.random_range(0..3)];
        let pacer = pacer();
        let lane = endpoint(&pacer, "x", &format!("{per_second}/s"));
        let gap_max = random.random_range(1..40);
        let times = arrive(&pacer, &lane, 600, || {
            random.random_range(0..=gap_max) * u64::from(random.random_range(0..4) == 0)
        })
        .await;
        assert!(times.is_sorted(), "first come, first served: seed {seed}");
        let worst = worst_second(&times);
        assert!(
            worst <= per_second as usize,
            "seed {seed}: {worst} of {per_second}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_lane_is_used_up_to_its_margin() {
    for (per_second, seconds) in [(10_u32, 30_u32), (100, 30), (1_000, 10)] {
        let pacer = pacer();
        let lane = endpoint(&pacer, "x", &format!("{per_second}/s"));
        let count = (per_second * seconds) as usize;
        let times = arrive(&pacer, &lane, count, || 0).await;
        let took = f64::from(u32::try_from(times[count - 1]).expect("short")) / 1_000.0;
        let used = f64::from(seconds) / took;
        assert!((0.975..=0.985).contains(&used), "{per_second}/s: {used}");
        assert!(worst_second(&times) <= per_second as usize);
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_process_allows_for_what_a_previous_one_used() {
    let pacer = pacer();
    let fast = endpoint(&pacer, "x", "10/s, burst 10");
    let start = tokio::time::Instant::now();
    let _first = pacer.permit(&[fast], ONE).await;
    assert_eq!(millis(start), 102);
    let agent = Lane::agent("spring", "alice");
    pacer.set_agent_quota("spring", quota("1/min"));
    let _slow = pacer.permit(&[agent], ONE).await;
    assert_eq!(
        millis(start),
        102,
        "a slow lane grants its first permit at once"
    );
}

#[tokio::test(start_paused = true)]
async fn a_lane_at_its_limit_delays_no_waiter_that_does_not_need_it() {
    let pacer = pacer();
    let shared = endpoint(&pacer, "x", "100/s");
    pacer.set_agent_quota("spring", quota("1/hr"));
    let mut busy = JoinSet::new();
    for _ in 0..200 {
        let (pacer, lanes) = (
            pacer.clone(),
            [shared.clone(), Lane::agent("spring", "alice")],
        );
        busy.spawn(async move { pacer.permit(&lanes, ONE).await });
        tokio::task::yield_now().await;
    }
    let start = tokio::time::Instant::now();
    let times = arrive(&pacer, &shared, 50, || 0).await;
    assert!(times[49] <= 600, "{} after {:?}", times[49], start);
    let waiting: BTreeMap<Lane, u32> = pacer
        .lanes()
        .into_iter()
        .map(|v| (v.lane, v.waiting))
        .collect();
    assert_eq!(waiting[&Lane::agent("spring", "alice")], 199);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_is_dropped_takes_nothing() {
    let pacer = pacer();
    let lane = endpoint(&pacer, "x", "1/s");
    let start = tokio::time::Instant::now();
    let mut waiters = Vec::new();
    for waiter in 0..20 {
        let (pacer, lane) = (pacer.clone(), lane.clone());
        waiters.push(tokio::spawn(async move {
            let _permit = pacer.permit(&[lane], ONE).await;
            waiter
        }));
        tokio::task::yield_now().await;
    }
    for waiter in waiters.drain(..19) {
        waiter.abort();
    }
    let last = waiters.remove(0).await.expect("not aborted");
    assert_eq!(
        (last, millis(start)),
        (19, 1_020),
        "the first slot is the last one's"
    );
    let view = pacer.lanes().remove(0);
    assert_eq!((view.waiting, view.used_last_minute), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_was_granted_but_never_taken_frees_its_slot_and_concurrency() {
    let pacer = pacer();
    let lane = endpoint(&pacer, "x", "1/s");
    pacer.set_concurrency(&Lane::Account, Some(1));
    let start = tokio::time::Instant::now();
    let lanes = [Lane::Account, lane];
    let mut waiting = Box::pin(pacer.permit(&lanes, ONE));
    assert!(futures::poll!(&mut waiting).is_pending());
    // The permit is granted in the meantime, and is not polled.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    drop(waiting);
    let permit = pacer.permit(&lanes, ONE).await;
    assert_eq!(millis(start), 1_500);
    permit.give_back();
    let _again = pacer.permit(&lanes, ONE).await;
    assert_eq!(millis(start), 1_500);
}

#[tokio::test(start_paused = true)]
async fn an_account_carries_so_many_calls_at_once() {
    let pacer = pacer();
    pacer.set_concurrency(&Lane::Account, Some(4));
    let under_way = Arc::new(Mutex::new((0, 0)));
    let mut calls = JoinSet::new();
    for _ in 0..40 {
        let (pacer, under_way) = (pacer.clone(), under_way.clone());
        calls.spawn(async move {
            let _permit = pacer.permit(&[Lane::Account], ONE).await;
            {
                let mut seen = under_way.lock().expect("no panic");
                seen.0 += 1;
                seen.1 = seen.1.max(seen.0);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            under_way.lock().expect("no panic").0 -= 1;
        });
    }
    let start = tokio::time::Instant::now();
    calls.join_all().await;
    assert_eq!(under_way.lock().expect("no panic").1, 4);
    assert_eq!(millis(start), 1_000);
}

#[tokio::test(start_paused = true)]
async fn segments_count_for_the_sender_and_calls_for_the_endpoint() {
    let pacer = pacer();
    let (sender, call) = (
        Lane::Sender(Sender::new("+12025550100", None)),
        endpoint(&pacer, "x", "10/s"),
    );
    pacer.set_quota(&sender, quota("1/s"));
    let start = tokio::time::Instant::now();
    let three = NonZeroU32::new(3).expect("not zero");
    let _long = pacer.permit(&[sender.clone(), call.clone()], three).await;
    assert_eq!(millis(start), 1_020);
    // The endpoint's lane was free long before: five milliseconds of its wait for the sender are made good.
    let _other = pacer.permit(&[call], ONE).await;
    assert_eq!(millis(start), 1_117);
    let _next = pacer.permit(&[sender], ONE).await;
    assert_eq!(millis(start), 4_080);
}

#[tokio::test(start_paused = true)]
async fn another_quota_applies_to_present_waiters() {
    let pacer = pacer();
    let lane = Lane::campaign("spring");
    pacer.set_quota(&lane, quota("1/hr"));
    drop(pacer.permit(std::slice::from_ref(&lane), ONE).await);
    let (other, theirs) = (pacer.clone(), lane.clone());
    let waiter = tokio::spawn(async move { other.permit(&[theirs], ONE).await });
    tokio::time::sleep(Duration::from_secs(60)).await;
    let start = tokio::time::Instant::now();
    pacer.set_quota(&lane, quota("10/s"));
    drop(waiter.await.expect("granted"));
    assert!(millis(start) <= 103, "{}", millis(start));
    pacer.set_quota(&lane, None);
    for _ in 0..100 {
        drop(pacer.permit(std::slice::from_ref(&lane), ONE).await);
    }
    assert!(millis(start) <= 103);
}

#[tokio::test(start_paused = true)]
async fn a_429_rests_its_lane_and_no_other() {
    let pacer = pacer();
    let (cooled, other) = (
        endpoint(&pacer, "x", "10/s, burst 10"),
        endpoint(&pacer, "y", "10/s"),
    );
    tokio::time::sleep(Duration::from_secs(10)).await;
    let start = tokio::time::Instant::now();
    pacer.throttled(&cooled, RATE, Some(Duration::from_secs(5)));
    // A lane without a quota rests too.
    pacer.throttled(&Lane::endpoint("fetch_conversation"), RATE, None);
    drop(pacer.permit(&[other], ONE).await);
    assert_eq!(millis(start), 0);
    drop(
        pacer
            .permit(&[Lane::endpoint("fetch_conversation")], ONE)
            .await,
    );
    assert_eq!(millis(start), 100);
    let times = arrive(&pacer, &cooled, 3, || 0).await;
    assert_eq!(times, [4_900, 5_002, 5_104].map(|t| t as u64));
}

#[tokio::test(start_paused = true)]
async fn idle_lanes_are_forgotten_and_come_back_with_their_quota() {
    let pacer = pacer();
    pacer.set_agent_quota("spring", quota("10/min"));
    for n in 0..1_000 {
        drop(
            pacer
                .permit(&[Lane::agent("spring", &format!("agent{n}"))], ONE)
                .await,
        );
    }
    assert_eq!(pacer.lanes().len(), 1_000);
    tokio::time::sleep(Duration::from_secs(300)).await;
    for _ in 0..1_000 {
        drop(
            pacer
                .permit(&[Lane::endpoint("fetch_conversation")], ONE)
                .await,
        );
    }
    assert_eq!(pacer.lanes().len(), 1);
    let start = tokio::time::Instant::now();
    for _ in 0..2 {
        drop(pacer.permit(&[Lane::agent("spring", "agent7")], ONE).await);
    }
    assert_eq!(millis(start), 6_120);
}

#[tokio::test(start_paused = true)]
async fn the_same_arrivals_give_the_same_log() {
    let mut logs = Vec::new();
    for _ in 0..2 {
        let pacer = pacer();
        let log = Arc::new(Mutex::new(Vec::new()));
        let mut random = StdRng::seed_from_u64(4);
        let start = tokio::time::Instant::now();
        let mut waiters = JoinSet::new();
        for waiter in 0..300 {
            let shared = endpoint(&pacer, "x", "50/s");
            let lanes = [
                shared,
                Lane::agent("spring", &format!("a{}", random.random_range(0..9))),
            ];
            pacer.set_agent_quota("spring", quota("3/s"));
            let (pacer, log) = (pacer.clone(), log.clone());
            waiters.spawn(async move {
                let _permit = pacer.permit(&lanes, ONE).await;
                log.lock().expect("no panic").push((millis(start), waiter));
            });
        }
        waiters.join_all().await;
        logs.push(log.lock().expect("no panic").clone());
    }
    assert_eq!(logs[0].len(), 300);
    assert_eq!(logs[0], logs[1]);
}
