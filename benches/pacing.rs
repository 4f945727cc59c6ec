//! What pacing costs: `cargo bench --bench pacing`. Figures are of this machine and this build.
//!
//! First the time of one decision with more and more lanes, with nothing limited and with everything
//! at its limit, and the memory per lane; then a crowd of waiters on one lane, and busy lanes, in real
//! time: how much of the quota is used, and the most that fell into one second.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::Duration;

use flexcast::clock::Clock;
use flexcast::pacing::{Arrival, Lane, Limits, Pacer, PacingSettings, Quota};
use tokio::task::JoinSet;
use tokio::time::Instant;

const ONE: NonZeroU32 = NonZeroU32::MIN;
const LANES: [usize; 3] = [100, 10_000, 100_000];
const DECISIONS: u32 = 200_000;
const CROWDS: [usize; 3] = [1_000, 5_000, 20_000];
const CROWD_RATE: u32 = 100;
const CROWD_FOR: Duration = Duration::from_secs(6);

fn quota(text: &str) -> Option<Quota> {
    Some(text.parse().expect("a quota"))
}

fn pacer() -> Pacer {
    let settings = PacingSettings {
        limits: Limits::lifted(),
        ..PacingSettings::default()
    };
    Pacer::new(settings, Clock::system())
}

fn agent(n: usize) -> Lane {
    Lane::agent("spring", &format!("agent-{n}"))
}

/// The memory this process holds, in bytes; 0 where `/proc` does not say.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok());
    kib.unwrap_or(0) * 1_024
}

/// The CPU time this process has used.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: Vec<f64> = after
        .split_whitespace()
        .skip(11)
        .take(2)
        .flat_map(str::parse)
        .collect();
    // Linux counts in hundredths of a second on every machine we run on.
    ticks.iter().sum::<f64>() / 100.0
}

fn nanos_each(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e9 / f64::from(DECISIONS)
}

/// One decision with `count` lanes in the table.
async fn decisions(count: usize) {
    let before = resident();
    let pacer = pacer();
    pacer.set_agent_quota("spring", quota("1/min"));
    let lanes: Vec<Lane> = (0..count).map(agent).collect();
    for lane in &lanes {
        drop(
            pacer
                .permit(&[Lane::campaign("spring"), lane.clone()], ONE)
                .await,
        );
    }
    let memory = resident().saturating_sub(before) / count;
    // A few lanes are lost in the pages that a process takes at once.
    let memory = if count < 1_000 {
        "-".to_owned()
    } else {
        memory.to_string()
    };

    let call = [Lane::Account, Lane::endpoint("create_flex_channel")];
    let start = Instant::now();
    for _ in 0..DECISIONS {
        drop(black_box(pacer.permit(&call, ONE).await));
    }
    let call_ns = nanos_each(start);

    let start = Instant::now();
    for n in 0..DECISIONS as usize {
        // An agent at its limit: asked, seated, and gone again.
        let needs = [Lane::campaign("spring"), lanes[n * 7_919 % count].clone()];
        let waiting = pacer.permit(&needs, ONE);
        tokio::pin!(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
    }
    let busy_ns = nanos_each(start);

    let start = Instant::now();
    for n in 0..DECISIONS as usize {
        let needs = [Lane::campaign("spring"), lanes[n * 7_919 % count].clone()];
        black_box(pacer.book(&needs, ONE, Duration::from_secs(30), Arrival::First));
    }
    let book_ns = nanos_each(start);

    let start = Instant::now();
    let seen = pacer.lanes().len();
    let view_ms = start.elapsed().as_secs_f64() * 1e3;
    println!(
        "{count:>8} | {call_ns:>10.0} | {busy_ns:>14.0} | {book_ns:>10.0} | {memory:>8} | {view_ms:>8.1} ({seen})"
    );
}

/// A crowd of `count` waiting for one lane.
async fn crowd(count: usize) {
    let pacer = pacer();
    let lane = Lane::campaign("crowd");
    pacer.set_quota(&lane, quota(&format!("{CROWD_RATE}/s")));
    let (told, mut order) = tokio::sync::mpsc::unbounded_channel();
    let mut waiters = JoinSet::new();
    for who in 0..count {
        let (pacer, lane, told) = (pacer.clone(), lane.clone(), told.clone());
        waiters.spawn(async move {
            let _permit = pacer.permit(&[lane], ONE).await;
            let _ = told.send(who);
        });
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut seen = Vec::new();
    while let Ok(who) = order.try_recv() {
        seen.push(who);
    }
    seen.clear();
    let (start, cpu_start) = (Instant::now(), cpu());
    tokio::time::sleep(CROWD_FOR).await;
    while let Ok(who) = order.try_recv() {
        seen.push(who);
    }
    let rate = f64::from(u32::try_from(seen.len()).expect("few")) / start.elapsed().as_secs_f64();
    let used = cpu() - cpu_start;
    let out_of_order = seen.windows(2).filter(|pair| pair[0] > pair[1]).count();
    println!("{count:>8} | {rate:>8.1} | {used:>8.2} | {out_of_order:>12}");
}

/// One busy lane of `per_second`, in real time.
async fn busy(per_second: u32) {
    let pacer = pacer();
    let lane = Lane::campaign("busy");
    pacer.set_quota(&lane, quota(&format!("{per_second}/s")));
    let (told, mut times) = tokio::sync::mpsc::unbounded_channel();
    let mut waiters = JoinSet::new();
    for _ in 0..64 {
        let (pacer, lane, told) = (pacer.clone(), [lane.clone()], told.clone());
        waiters.spawn(async move {
            loop {
                let _permit = pacer.permit(&lane, ONE).await;
                let _ = told.send(Instant::now());
            }
        });
    }
    tokio::time::sleep(CROWD_FOR).await;
    waiters.abort_all();
    let mut seen = Vec::new();
    while let Ok(at) = times.try_recv() {
        seen.push(at);
    }
    let second = Duration::from_secs(1);
    let most = (0..seen.len()).map(|n| {
        let rest = &seen[n..];
        rest.partition_point(|at| *at - seen[n] < second)
    });
    let span = (seen[seen.len() - 1] - seen[0]).as_secs_f64();
    let rate = f64::from(u32::try_from(seen.len() - 1).expect("few")) / span;
    let used = 100.0 * rate / f64::from(per_second);
    println!(
        "{per_second:>8} | {used:>8.1} | {:>12}",
        most.max().unwrap_or(0)
    );
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let build = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "pacing: {build} build, {cores} cores, one thread; margin 2 %, {DECISIONS} decisions each"
    );
    println!();
    println!("   lanes | ns, a call | ns, a busy one | ns, a book | B a lane | ms to list");
    for count in LANES {
        decisions(count).await;
    }
    println!();
    println!(
        "waiters on one lane of {CROWD_RATE}/s, {} s:",
        CROWD_FOR.as_secs()
    );
    println!(" waiters |   rate/s |    CPU s | out of order");
    for count in CROWDS {
        crowd(count).await;
    }
    println!();
    println!(" quota/s |   used % | worst second");
    for per_second in [10, 100, 1_000] {
        busy(per_second).await;
    }
}
