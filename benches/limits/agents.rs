//! Ten thousand agents at one message a minute each: how often a message is sent away before its turn,
//! and what is used of the agents' pace. The whole program, at the simulator's own log.

use std::fmt::Write as _;
use std::time::Duration;

use flexcast::simulator::EffectKind;

use crate::program::{Program, Work};
use crate::upstream::Upstream;

const AGENTS: usize = 10_000;

const CONFIG: &str = r#"
[work]
in_flight = 256
concurrent_requests = 256
[limits]
create_conversation = "none"
create_interaction = "none"
fetch_interaction = "none"
list_interaction_channels = "none"
list_tasks = "none"
fetch_task = "none"
update_task = "none"
list_workers = "none"
fetch_worker = "none"
list_worker_channels = "none"
"#;

const CAMPAIGN: &str = r#"
id = "agents"
strategy = "task_now"
api = "conversations"
channel = "custom"
sender = "bench"
body = "Hello"

[pace]
agent = "1/min"
"#;

/// `rounds` messages for each agent, agent by agent, as an export is that somebody sorted: all but the
/// first of each have to be sent away.
pub(crate) async fn measure(rounds: usize) -> anyhow::Result<()> {
    let upstream = Upstream::with_agents((0..AGENTS).map(|n| format!("agent-{n}"))).await?;
    let mut program = Program::new(&upstream.url, CONFIG)?;
    let broker = std::env::var("AMQP_URL").ok();
    let queue = if broker.is_some() {
        "RabbitMQ"
    } else {
        "the embedded queue"
    };
    if let Some(broker) = broker {
        program = program.at(broker);
    }
    let messages = rounds * AGENTS;
    let mut rows = String::from("address,agent\n");
    for row in 0..messages {
        writeln!(rows, "customer-{row},agent-{}", row / rounds)?;
    }
    program.import(CAMPAIGN, &rows)?;
    let work = program.work()?;
    let at_most = Duration::from_secs(61) * u32::try_from(rounds + 3)?;
    let done = tokio::time::timeout(at_most, all(&upstream, messages)).await;
    let put_off = times_put_off(&work).await?;
    drop(work);
    let times = upstream.tasks_by_agent();
    let sent: usize = times.values().map(Vec::len).sum();
    // What an agent's minute held, at most.
    let worst = times.values().map(|times| most_in_a_minute(times)).max();
    let worst = worst.unwrap_or(0);
    let (first, last) = times
        .values()
        .flatten()
        .fold((u64::MAX, 0), |(first, last), at| {
            (first.min(*at), last.max(*at))
        });
    let took = last.saturating_sub(first) as f64 / 1e3;
    println!(
        "{AGENTS} agents at 1/min, {messages} messages on {queue}: {sent} sent{}, at most {worst} to one agent in a minute; \
         {:.2} times sent away each, {took:.0} s",
        if done.is_ok() {
            ""
        } else {
            " (not all in time)"
        },
        put_off / messages as f64,
    );
    anyhow::ensure!(worst <= 1, "{worst} messages to one agent in a minute");
    Ok(())
}

async fn all(upstream: &Upstream, messages: usize) {
    while upstream.effects(EffectKind::Message, |_| true) < messages {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn most_in_a_minute(times: &[u64]) -> usize {
    let minute = |n: usize| times[n..].partition_point(|at| *at < times[n] + 60_000);
    (0..times.len()).map(minute).max().unwrap_or(0)
}

/// How often messages were put off, over all reasons.
async fn times_put_off(work: &Work) -> anyhow::Result<f64> {
    let metrics = work.metrics().await?;
    let counts = metrics
        .lines()
        .filter(|line| line.starts_with("flexcast_waits_total{"))
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
    Ok(counts.sum())
}
