//! How much of a shared limit is used when the database is not next door, and whether it is exceeded.
//!
//! `cargo bench --bench distance`. Consumers whose messages always wait share one limit, each through a TCP
//! proxy of its own that delays every byte by half of the round trip, a quarter more or less each way. The table goes
//! over round trips, quotas and numbers of consumers.
//! Arguments, all optional: seconds a row (60), round trips in ms (`0ms` ...), numbers of consumers (`x1` ...), quotas
//! (`10/s` ...). The server is that of `DATABASE_URL`, or one of its own that syncs.
//!
//! Ends with an error when a second holds more than the quota, or less than 95 % of it is used.

#[path = "../../tests/it/support/distance.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod distance;
#[path = "../../tests/it/support/link.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod link;
#[path = "../limits/postgres.rs"]
#[allow(dead_code, reason = "another benchmark kills its server")]
mod postgres;

use std::time::Duration;

use distance::Consumers;
use flexcast::clock::Clock;
use flexcast::pacing::{Lane, Quota};
use postgres::Server;

const ROUND_TRIPS: [u64; 6] = [0, 10, 20, 60, 100, 150];
const QUOTAS: [&str; 2] = ["10/s", "100/s"];
const CONSUMERS: [usize; 4] = [1, 2, 4, 8];

/// How long the consumers have to begin before their use is counted.
const SETTLES: Duration = Duration::from_secs(3);

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(measure())
}

async fn measure() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let told = |text: &dyn Fn(&str) -> Option<u64>| -> Vec<u64> {
        arguments.iter().filter_map(|one| text(one)).collect()
    };
    let or = |told: Vec<u64>, all: &[u64]| if told.is_empty() { all.to_vec() } else { told };
    let seconds = told(&|one| one.parse().ok()).first().copied().unwrap_or(60);
    let trips = told(&|one| one.strip_suffix("ms")?.parse().ok());
    let counts = told(&|one| one.strip_prefix('x')?.parse().ok());
    let mut quotas: Vec<&str> = arguments
        .iter()
        .filter(|one| one.ends_with("/s"))
        .map(String::as_str)
        .collect();
    if quotas.is_empty() {
        quotas = QUOTAS.to_vec();
    }
    let server = Server::start()?;
    println!("round trip | quota  | consumers | used    | most in a second");
    println!("-----------|--------|-----------|---------|-----------------");
    let mut failed = 0;
    for trip in or(trips, &ROUND_TRIPS) {
        for quota in &quotas {
            for count in or(counts.clone(), &CONSUMERS.map(|count| count as u64)) {
                let row = Row {
                    trip,
                    quota,
                    count: usize::try_from(count)?,
                };
                failed += u32::from(!row.measure(&server.url, seconds).await?);
            }
        }
    }
    anyhow::ensure!(failed == 0, "{failed} rows failed");
    Ok(())
}

struct Row<'a> {
    trip: u64,
    quota: &'a str,
    count: usize,
}

impl Row<'_> {
    /// Measures and prints it; whether it is as it should be.
    async fn measure(&self, url: &str, seconds: u64) -> anyhow::Result<bool> {
        let Self { trip, quota, count } = self;
        let per_second = quota.parse::<Quota>()?.count().get() as usize;
        // A lane of its own for each row: what another row was handed out does not count.
        let lane = Lane::campaign(&format!("campaign-{trip}-{per_second}-{count}"));
        let lanes = [(lane, *quota)];
        let consumers = Consumers::start(url, Duration::from_millis(*trip), *count, &lanes).await;
        let clock = Clock::system();
        clock.sleep(SETTLES).await;
        let (from, begun) = (consumers.log.count(), clock.instant());
        clock.sleep(Duration::from_secs(seconds)).await;
        let used = (consumers.log.count() - from) as f64;
        let due = per_second as f64 * begun.elapsed().as_secs_f64();
        let worst = consumers.log.worst_second();
        let share = used / due * 100.0;
        let is_kept = worst <= per_second;
        let is_used = share >= 95.0;
        let verdict = match (is_kept, is_used) {
            (true, true) => "",
            (false, _) => " EXCEEDED",
            (true, false) => " UNUSED",
        };
        println!("{trip:>7} ms | {quota:<6} | {count:>9} | {share:>5.1} % | {worst:>4}{verdict}");
        Ok(is_kept && is_used)
    }
}
