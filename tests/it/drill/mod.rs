//! The drill: whole campaigns from a seed, with faults, crashes, duplicates, lost leases, strangers,
//! and stores that fail.
//!
//! A failing seed prints the command that plays it again; the same seed gives the same log.
//!
//! - `DRILL_SEED=7 cargo test --test it drill:: -- --nocapture` plays one seed and prints its log.
//! - `DRILL_SEEDS=5000 DRILL_FIRST=1000 cargo test --test it drill::` plays others than the suite's.

mod plan;
mod play;
mod steering;
mod tally;
mod verdict;

use std::ops::Range;

use play::play_alone;
use tally::Tally;

/// How many seeds the suite plays; `DRILL_SEEDS` says otherwise.
const SEEDS: u64 = 500;

/// So many seeds contain everything that has to happen.
const ALL_HAPPENS_IN: u64 = 200;

fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Plays every `step`th of these seeds: what they contained, and what went wrong in which.
fn play_some(seeds: Range<u64>, step: usize) -> (Tally, Vec<(u64, String)>) {
    let mut tally = Tally::default();
    let mut wrong = Vec::new();
    for seed in seeds.step_by(step) {
        match play_alone(seed) {
            Ok(played) => tally.merge(played.tally),
            Err(what) => wrong.push((seed, what)),
        }
    }
    (tally, wrong)
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
    let (tally, mut wrong) = std::thread::scope(|scope| {
        let playing: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || play_some(first + thread as u64..first + seeds, threads))
            })
            .collect();
        let mut all = (Tally::default(), Vec::new());
        for played in playing {
            let (tally, wrong) = played.join().expect("no panic");
            all.0.merge(tally);
            all.1.extend(wrong);
        }
        all
    });
    println!("{seeds} seeds:\n{tally}");
    wrong.sort();
    let lines: Vec<_> = wrong
        .iter()
        .map(|(seed, what)| {
            format!("seed {seed}: {what}\n  DRILL_SEED={seed} cargo test --test it drill::")
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {seeds} seeds failed:\n{}",
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
