//! Whether limits hold, and how much of them is used: measured at the simulator's own log of requests.
//!
//! `make bench`, or `cargo bench --bench limits`. Consumers are processes of their own that make calls as
//! fast as their pacer lets them, over HTTP, to a simulator in this process; a bare loop, which only
//! paces and calls, does the same in the same run. With PostgreSQL, four consumers share the quota: one is
//! killed and started again, one joins, and the server is killed for twenty seconds.
//! An account that takes forty calls at once is felt out; twenty campaigns share one account; ten thousand
//! agents take one message a minute each.
//! Arguments, all optional: seconds a run (30), the parts to run (`one`, `four`, `outage`, `ceiling`, `fair`,
//! `agents`); with a broker at `AMQP_URL`, the agents' messages are there.
//!
//! Ends with an error when a window holds more than its quota.

mod agents;
mod ceiling;
mod consumer;
mod fair;
mod postgres;
mod program;
mod upstream;
mod window;

use std::time::Duration;

use consumer::{Consumer, Role};
use postgres::Server;
use upstream::Upstream;
use window::Times;

const QUOTAS: [u32; 3] = [10, 100, 1_000];

/// How long a change of who consumes may cost.
const CHANGE: u64 = 2_000;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    if let Some(role) = Role::from_environment()? {
        return runtime.block_on(role.run());
    }
    let seconds = arguments.iter().find_map(|text| text.parse().ok());
    let seconds: u64 = seconds.unwrap_or(30);
    let wanted = |part: &str| {
        let mut parts = arguments
            .iter()
            .filter(|text| text.starts_with(|c: char| c.is_ascii_alphabetic()))
            .peekable();
        parts.peek().is_none() || parts.any(|text| text == part)
    };
    runtime.block_on(async {
        let mut report = Report::default();
        println!("{HEAD}");
        for quota in QUOTAS {
            if wanted("one") {
                one(quota, seconds, &mut report).await?;
            }
            if wanted("four") {
                four(quota, seconds, &mut report).await?;
            }
            if wanted("outage") {
                outage(quota, seconds, &mut report).await?;
            }
        }
        if wanted("ceiling") {
            ceiling::measure(seconds).await?;
        }
        if wanted("fair") {
            fair::measure(if seconds < 30 { 10_000 } else { 100_000 }).await?;
        }
        if wanted("agents") {
            agents::measure(if seconds < 30 { 2 } else { 10 }).await?;
        }
        anyhow::ensure!(report.exceeded == 0, "{} windows exceeded", report.exceeded);
        Ok(())
    })
}

const HEAD: &str = "\
quota    | who                             | worst second | used of the bare loop's
---------|---------------------------------|--------------|------------------------";

#[derive(Default)]
struct Report {
    exceeded: u32,
}

impl Report {
    fn line(&mut self, quota: u32, who: &str, times: &Times, used: &str) {
        let worst = times.worst_second();
        let verdict = if worst > quota as usize + 1 {
            self.exceeded += 1;
            " EXCEEDED"
        } else {
            ""
        };
        println!("{quota:>6}/s | {who:<31} | {worst:>12} | {used}{verdict}");
    }
}

/// The bare loop's rate, in requests a second.
async fn bare(quota: u32, seconds: u64, report: &mut Report) -> anyhow::Result<f64> {
    let upstream = Upstream::start().await?;
    let loop_ = Consumer::start(&Role::bare(&upstream.url, quota))?;
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    drop(loop_);
    let times = upstream.times().await;
    let rate = times.rate_without(&[], 1_000);
    report.line(quota, "bare loop", &times, &format!("{rate:.1}/s"));
    Ok(rate)
}

async fn one(quota: u32, seconds: u64, report: &mut Report) -> anyhow::Result<()> {
    let bare = bare(quota, seconds, report).await?;
    let upstream = Upstream::start().await?;
    let consumer = Consumer::start(&Role::alone(&upstream.url, quota))?;
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    drop(consumer);
    let times = upstream.times().await;
    let rate = times.rate_without(&[], 1_000);
    let used = format!("{:.1} % ({rate:.1}/s)", rate / bare * 100.0);
    report.line(quota, "one consumer", &times, &used);
    Ok(())
}

async fn four(quota: u32, seconds: u64, report: &mut Report) -> anyhow::Result<()> {
    let server = Server::start()?;
    let upstream = Upstream::start().await?;
    let role = Role::shared(&upstream.url, quota, &server.url);
    let mut consumers = Vec::new();
    for _ in 0..4 {
        consumers.push(Consumer::start(&role)?);
    }
    let third = Duration::from_secs(seconds) / 3;
    tokio::time::sleep(third).await;
    let killed = upstream.now();
    drop(consumers.pop());
    tokio::time::sleep(third / 2).await;
    let started = upstream.now();
    consumers.push(Consumer::start(&role)?);
    tokio::time::sleep(third / 2).await;
    let joined = upstream.now();
    consumers.push(Consumer::start(&role)?);
    tokio::time::sleep(third).await;
    drop(consumers);
    let times = upstream.times().await;
    let changes = [killed, started, joined].map(|at| (at, at + CHANGE));
    let rate = times.rate_without(&changes, CHANGE);
    let used = format!(
        "{:.1} % of the quota ({rate:.1}/s)",
        rate / f64::from(quota) * 100.0
    );
    report.line(quota, "four, one killed, one joins", &times, &used);
    Ok(())
}

async fn outage(quota: u32, seconds: u64, report: &mut Report) -> anyhow::Result<()> {
    let server = Server::start()?;
    let upstream = Upstream::start().await?;
    let role = Role::shared(&upstream.url, quota, &server.url);
    let consumers: Vec<Consumer> = (0..4)
        .map(|_| Consumer::start(&role))
        .collect::<anyhow::Result<_>>()?;
    let part = Duration::from_secs(seconds) / 3;
    tokio::time::sleep(part).await;
    server.kill()?;
    let away = upstream.now();
    tokio::time::sleep(Duration::from_secs(20)).await;
    server.restart()?;
    let back = upstream.now();
    tokio::time::sleep(Duration::from_secs(5) + part).await;
    drop(consumers);
    let times = upstream.times().await;
    let meanwhile = times.count(away + 1_000, back);
    let full = times.full_pace_after(back, quota);
    let full = full.map_or_else(
        || "never".to_owned(),
        |ms| format!("{:.1} s", ms as f64 / 1e3),
    );
    let used = format!("full pace {full} after its return; {meanwhile} while it was away");
    report.line(quota, "four, the store away for 20 s", &times, &used);
    Ok(())
}
