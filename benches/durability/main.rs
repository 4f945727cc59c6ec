//! What durability costs: the whole consumer with its ledger in a file and with its ledger in memory.
//!
//! `make bench`, or `cargo bench --bench durability`. Worker, engine, queue (in memory) and simulator
//! (in process, no latency, no limits) are the same on both sides; the ledger is SQLite in a file
//! (WAL, synchronous FULL, commits on a thread of its own) or SQLite in memory (the same statements,
//! run where they are called, nothing synced). The sides take turns, and so does who is first.
//! Arguments, all optional: messages a run (3000), rounds (7), a part of the pairs' names.
//!
//! Ends with an error when a result is wrong, never because of speed.

mod counted;
mod disk;
mod stage;

use std::time::Duration;

use stage::{Pair, Run, Side};

/// In flight, and the least that the file is to reach of what memory does there.
const WANTED: [(u16, f64); 2] = [(64, 0.65), (256, 0.8)];

/// How long the disk's syncs are counted before each round.
const SYNCS_FOR: Duration = Duration::from_millis(300);

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut numbers = arguments.iter().filter_map(|text| text.parse().ok());
    let messages = numbers.next().unwrap_or(3_000);
    let rounds = numbers.next().unwrap_or(7);
    // Cargo adds a flag of its own.
    let is_part = |text: &&String| text.starts_with(|first: char| first.is_ascii_alphabetic());
    let part = arguments.iter().find(is_part).map_or("", String::as_str);
    // As `flexcast work` has it.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(measure(messages, rounds, part))
}

async fn measure(messages: u32, rounds: u32, part: &str) -> anyhow::Result<()> {
    say_setting(messages, rounds);
    let mut syncs = Vec::new();
    let mut is_met = true;
    for pair in stage::PAIRS
        .into_iter()
        .filter(|pair| pair.name.contains(part))
    {
        for (in_flight, wanted) in WANTED {
            let mut measured = Vec::new();
            for round in 0..rounds {
                syncs.push(disk::syncs_a_second(SYNCS_FOR)?);
                measured.push(round_of(pair, messages, in_flight, round % 2 == 0).await?);
            }
            is_met &= report(pair, in_flight, wanted, &measured);
        }
    }
    println!();
    println!(
        "disk: {:.0} appends of 4 KiB a second, each synced (median; least {:.0})",
        median(syncs.iter().copied()),
        syncs.iter().copied().fold(f64::INFINITY, f64::min)
    );
    let met = if is_met { "met" } else { "NOT met" };
    println!("wanted: 0.65 of memory's messages/s at 64 in flight, 0.80 at 256: {met}");
    Ok(())
}

fn say_setting(messages: u32, rounds: u32) {
    let build = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "durability: {build} build, {cores} cores for everything, {messages} messages a run, \
         {rounds} rounds"
    );
    println!("medians of the rounds; the ratio is taken round by round, its range in brackets");
    println!();
    println!(
        "pair                         | in flight | file, msg/s | memory, msg/s | ratio              \
         | wanted | CPU ms a message: file, memory | other work, cores"
    );
}

/// Both sides once; `file` and then memory, or the other way round.
async fn round_of(
    pair: Pair,
    messages: u32,
    in_flight: u16,
    file_first: bool,
) -> anyhow::Result<(Run, Run)> {
    let run = |side| stage::run(pair, side, messages, in_flight);
    Ok(if file_first {
        let file = run(Side::File).await?;
        (file, run(Side::Memory).await?)
    } else {
        let memory = run(Side::Memory).await?;
        (run(Side::File).await?, memory)
    })
}

/// Prints a row; whether it is what is wanted.
fn report(pair: Pair, in_flight: u16, wanted: f64, rounds: &[(Run, Run)]) -> bool {
    let ratios = || {
        rounds
            .iter()
            .map(|(file, memory)| file.per_second / memory.per_second)
    };
    let ratio = median(ratios());
    let (least, most) = (
        ratios().fold(f64::INFINITY, f64::min),
        ratios().fold(0.0, f64::max),
    );
    println!(
        "{:<28} | {in_flight:>9} | {:>11.0} | {:>13.0} | {ratio:.2} ({least:.2} to {most:.2}) | \
         {wanted:>6.2} | {:>23.3}, {:.3} | {:.1}",
        pair.name,
        median(rounds.iter().map(|(file, _)| file.per_second)),
        median(rounds.iter().map(|(_, memory)| memory.per_second)),
        median(rounds.iter().map(|(file, _)| file.cpu_ms)),
        median(rounds.iter().map(|(_, memory)| memory.cpu_ms)),
        median(
            rounds
                .iter()
                .flat_map(|(file, memory)| [file.others, memory.others])
        ),
    );
    ratio >= wanted
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
