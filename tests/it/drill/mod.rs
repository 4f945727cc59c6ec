//! The drill: whole campaigns from a seed, with faults, crashes, duplicates and lost leases.
//!
//! A failing seed prints the command that plays it again; the same seed gives the same log.

mod dice;
mod verdict;

use std::time::Duration;

use bytes::Bytes;
use flexcast::queue::Outgoing;
use flexcast::shutdown::Stopper;
use flexcast::simulator::Settings;
use flexcast::worker::Until;
use serde_json::{Value, json};

use super::saga::stage::{PAIRS, Stage, settings};
use super::saga::trap::Side;
use dice::Dice;

/// How many seeds the suite plays; `DRILL_SEEDS` says otherwise.
const SEEDS: u64 = 200;

/// No plan takes so long: a message that is open then was lost.
const LONG: Duration = Duration::from_secs(2 * 3_600);

/// Longer than any lease.
const FROZEN: Duration = Duration::from_secs(130);

/// Everything a seed decides.
struct Plan {
    settings: Settings,
    faults: Value,
    count: u32,
    blows: Vec<Blow>,
}

/// What befalls the consumer, and at which of its calls.
#[derive(Clone, Copy, Debug)]
enum Blow {
    Killed(u64, Side),
    /// Stopped past its leases with a call under way, then going on.
    Frozen(u64),
}

fn plan(dice: &mut Dice) -> Plan {
    let settings = Settings {
        seed: dice.next(),
        latency: Duration::from_millis(dice.below(200)),
        // A late effect and a late list together stay within the settle time.
        listing_delay: Duration::from_millis(dice.one_in(2) * dice.below(2_500)),
        interaction_setup: Duration::from_millis(dice.below(2_000)),
        ..settings()
    };
    let mut rate = |percent| f64::from(u32::try_from(dice.below(percent)).unwrap_or(0)) / 100.0;
    let rules = json!([
        {"operation": "changing", "rate": rate(8), "kind": "lost_reply"},
        {"operation": "changing", "rate": rate(5), "kind": "server_error", "when": "after"},
        {"operation": "changing", "rate": rate(5), "kind": "late_effect", "ms": 2_000},
        {"operation": "*", "rate": rate(6), "kind": "server_error"},
        {"operation": "*", "rate": rate(6), "kind": "too_many_requests"},
        {"operation": "*", "rate": rate(4), "kind": "reset"},
        {"operation": "changing", "rate": rate(2), "kind": "error", "code": 20001},
    ]);
    let faults = json!({"seed": dice.next(), "rules": rules});
    let count = 10 + u32::try_from(dice.below(21)).unwrap_or(0);
    let blow = |dice: &mut Dice| {
        let nth = 1 + dice.below(90);
        match dice.below(5) {
            0 => Blow::Frozen(nth),
            1 | 2 => Blow::Killed(nth, Side::Before),
            _ => Blow::Killed(nth, Side::After),
        }
    };
    let blows = (0..dice.below(6)).map(|_| blow(dice)).collect();
    Plan {
        settings,
        faults,
        count,
        blows,
    }
}

/// Plays a seed: the log of all that happened, or what went wrong.
async fn play(seed: u64) -> Result<String, String> {
    let mut dice = Dice::new(seed);
    let pair = *dice.pick(&PAIRS);
    let plan = plan(&mut dice);
    let stage = Stage::with(pair, plan.settings.clone(), "").await;
    let faults = serde_json::from_value(plan.faults).expect("faults");
    stage.simulator.set_faults(faults).expect("valid faults");
    stage.accept(plan.count).await;
    for blow in plan.blows {
        publish_again(&stage, plan.count, &mut dice).await;
        match blow {
            Blow::Killed(nth, side) => {
                stage.killed_at(nth, side).await;
            }
            Blow::Frozen(nth) => frozen_at(&stage, nth, plan.count, &mut dice).await,
        }
    }
    publish_again(&stage, plan.count, &mut dice).await;
    let working = tokio::time::timeout(LONG, stage.run());
    if working.await.is_err() {
        return Err(format!("it does not end: {:?}", stage.books().await));
    }
    verdict::judge(&stage, plan.count).await?;
    Ok(verdict::log(&stage, plan.count).await)
}

/// Puts some messages on the queue once more, as a publisher in doubt does.
async fn publish_again(stage: &Stage, count: u32, dice: &mut Dice) {
    let mut again = Vec::new();
    for n in 0..count {
        if dice.below(5) == 0 {
            let message = stage.message(n);
            again.push(Outgoing {
                id: message.id(),
                body: Bytes::from(message.to_json()),
            });
        }
    }
    let publishing = stage.queue.publish(&stage.campaign.id, &again);
    publishing.await.expect("they are on the queue");
}

/// The consumer is stopped with a call under way; the clock goes past its leases, and it goes on.
async fn frozen_at(stage: &Stage, nth: u64, count: u32, dice: &mut Dice) {
    stage.trap.set(nth, Side::After);
    let worker = stage.worker(16).await;
    let stop = Stopper::new();
    let mut running = Box::pin(worker.run(&[], Until::Idle, &stop));
    let is_frozen = tokio::select! {
        biased;
        () = stage.trap.sprung() => true,
        _ = &mut running => false,
    };
    stage.trap.clear();
    if is_frozen {
        stage.trap.freeze(true);
        publish_again(stage, count, dice).await;
        // Twilio is not stopped: what it had read takes effect and shows in its time.
        tokio::time::sleep(Duration::from_secs(10)).await;
        tokio::time::advance(FROZEN).await;
        stage.trap.freeze(false);
        stage.trap.go_on();
        let _ = running.await;
    }
}

/// Plays one seed on a clock of its own.
fn play_alone(seed: u64) -> Result<String, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(play(seed))
}

fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn no_seed_doubles_or_loses_a_message() {
    if let Some(seed) = asked("DRILL_SEED") {
        match play_alone(seed) {
            Ok(log) => return println!("{log}"),
            Err(wrong) => panic!("seed {seed}: {wrong}"),
        }
    }
    let seeds = asked("DRILL_SEEDS").unwrap_or(SEEDS);
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let played: Vec<_> = (0..threads)
            .map(|first| {
                scope.spawn(move || {
                    let seeds = (first..seeds).step_by(usize::try_from(threads).unwrap_or(1));
                    let failed = |seed| Some((seed, play_alone(seed).err()?));
                    seeds.filter_map(failed).collect::<Vec<_>>()
                })
            })
            .collect();
        let played = played
            .into_iter()
            .flat_map(|one| one.join().expect("no panic"));
        played
            .map(|(seed, wrong)| {
                format!("seed {seed}: {wrong}\n  DRILL_SEED={seed} cargo test --test it drill::")
            })
            .collect()
    });
    assert!(
        wrong.is_empty(),
        "{} of {seeds}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn the_same_seed_gives_the_same_log() {
    for seed in 0..8 {
        let (first, second) = (play_alone(seed), play_alone(seed));
        assert!(first == second, "seed {seed} was played in two ways");
    }
}
