//! The drill: whole campaigns from a seed, with faults, crashes, duplicates, lost leases, strangers,
//! and stores that fail.
//!
//! A failing seed prints the command that plays it again; the same seed gives the same log.
//!
//! - `DRILL_SEED=7 cargo test --test it drill:: -- --nocapture` plays one seed and prints its log.
//! - `DRILL_SEEDS=5000 DRILL_FIRST=1000 cargo test --test it drill::` plays others than the suite's.

mod changes;
mod liveness;
mod plan;
mod play;
mod steering;
mod tally;
mod verdict;

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use play::play_alone;
use tally::Tally;

/// How many seeds the suite plays; `DRILL_SEEDS` says otherwise.
const SEEDS: u64 = 200;

/// So many seeds contain everything that has to happen.
const ALL_HAPPENS_IN: u64 = 200;

/// After so many seeds that failed no other is begun: one that does not end takes a thousand times as long as
/// one that does.
const FAILURES_MAX: usize = 10;

/// Seeds that were played: what they contained, and what went wrong in which.
#[derive(Default)]
struct Batch {
    played: u64,
    tally: Tally,
    wrong: Vec<(u64, String)>,
}

fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Plays every `step`th of these seeds; `failures`: how many failed, those of all threads.
fn play_some(seeds: Range<u64>, step: usize, failures: &AtomicUsize) -> Batch {
    let mut batch = Batch::default();
    for seed in seeds.step_by(step) {
        if failures.load(Ordering::Relaxed) >= FAILURES_MAX {
            break;
        }
        batch.played += 1;
        match play_alone(seed) {
            Ok(played) => batch.tally.merge(played.tally),
            Err(what) => {
                failures.fetch_add(1, Ordering::Relaxed);
                batch.wrong.push((seed, what));
            }
        }
    }
    batch
}

#[test]
fn no_seed_doubles_or_loses_a_message() {
    if let Some(seed) = asked("DRILL_SEED") {
        flexcast::telemetry::start("debug", None);
        match play_alone(seed) {
            Ok(played) => return println!("{}", played.log),
            Err(wrong) => panic!("seed {seed}: {wrong}"),
        }
    }
    let seeds = asked("DRILL_SEEDS").unwrap_or(SEEDS);
    let first = asked("DRILL_FIRST").unwrap_or(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let failures = &AtomicUsize::new(0);
    let Batch {
        played,
        tally,
        mut wrong,
    } = std::thread::scope(|scope| {
        let playing: Vec<_> = (0..threads)
            .map(|thread| {
                let seeds = first + thread as u64..first + seeds;
                scope.spawn(move || play_some(seeds, threads, failures))
            })
            .collect();
        let mut all = Batch::default();
        for played in playing {
            let batch = played.join().expect("no panic");
            all.played += batch.played;
            all.tally.merge(batch.tally);
            all.wrong.extend(batch.wrong);
        }
        all
    });
    println!("{played} seeds:\n{tally}");
    wrong.sort();
    let lines: Vec<_> = wrong
        .iter()
        .map(|(seed, what)| {
            format!("seed {seed}: {what}\n  DRILL_SEED={seed} cargo test --test it drill::")
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {played} seeds failed:\n{}",
        wrong.len(),
        lines.join("\n")
    );
    let missing = tally.missing();
    assert!(
        missing.is_empty() || seeds < ALL_HAPPENS_IN,
        "no seed contained: {missing:?}"
    );
}

fn log_of(seed: u64) -> String {
    match play_alone(seed) {
        Ok(played) => played.log,
        Err(wrong) => panic!("seed {seed}: {wrong}"),
    }
}

#[test]
fn the_same_seed_gives_the_same_log() {
    for seed in 0..16 {
        let (first, second) = (log_of(seed), log_of(seed));
        let mut lines = first.lines().zip(second.lines());
        let differs = lines.find(|(first, second)| first != second);
        assert!(differs.is_none(), "seed {seed} in two ways: {differs:#?}");
        assert!(first == second, "seed {seed}: one log is longer");
    }
}
