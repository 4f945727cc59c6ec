//! One run: a world of its own, a campaign in it, and its consumer, timed from its start to the last
//! acknowledgement.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use flexcast::campaign::{self, Campaign, Flex};
use flexcast::clock::Clock;
use flexcast::engine::{AgentRules, Engine};
use flexcast::intake::enqueue;
use flexcast::ledger::{CampaignRecord, Ledger, Publication};
use flexcast::message::Message;
use flexcast::metrics::Metrics;
use flexcast::outcomes::RetryPolicy;
use flexcast::pacing::{self, Margin, Pacer, PacingSettings};
use flexcast::queue::Queue;
use flexcast::queue::embedded::EmbeddedQueue;
use flexcast::shutdown::Stopper;
use flexcast::simulator::{
    DEFAULT_ACCOUNT_SID, DEFAULT_AUTH_TOKEN, EffectKind, RequestLimits, Settings, Simulator,
};
use flexcast::twilio::{BaseUrl, ClientSettings, Credentials, Transport, Twilio};
use flexcast::worker::{RunEnd, Until, Worker, WorkerParts};

use super::counted::{Countdown, CountedQueue};
use super::disk;

/// Messages accepted and published at once.
const BATCH: usize = 500;

/// A strategy on an API.
#[derive(Clone, Copy)]
pub(crate) struct Pair {
    pub(crate) name: &'static str,
    campaign: &'static str,
    /// What every message is to leave at Twilio.
    leaves: EffectKind,
}

pub(crate) const PAIRS: [Pair; 4] = [
    Pair {
        name: "conversations, task_on_reply",
        campaign: "strategy = 'task_on_reply'",
        leaves: EffectKind::Message,
    },
    Pair {
        name: "conversations, task_now",
        campaign: "strategy = 'task_now'",
        leaves: EffectKind::Task,
    },
    Pair {
        name: "proxy, task_on_reply",
        campaign: "strategy = 'task_on_reply'\napi = 'proxy'",
        leaves: EffectKind::Message,
    },
    Pair {
        name: "proxy, task_now",
        campaign: "strategy = 'task_now'\napi = 'proxy'",
        leaves: EffectKind::Task,
    },
];

/// Where the ledger is.
#[derive(Clone, Copy)]
pub(crate) enum Side {
    File,
    Memory,
}

/// What a run took.
pub(crate) struct Run {
    pub(crate) per_second: f64,
    /// CPU time for each message, the simulator's included.
    pub(crate) cpu_ms: f64,
    /// How many cores other programs kept busy meanwhile.
    pub(crate) others: f64,
}

/// Carries out `messages` messages, `in_flight` at once.
///
/// # Errors
///
/// When not every message was done exactly once.
pub(crate) async fn run(
    pair: Pair,
    side: Side,
    messages: u32,
    in_flight: u16,
) -> anyhow::Result<Run> {
    let clock = Clock::system();
    let folder = disk::folder()?;
    let ledger: Arc<Ledger> = Arc::new(match side {
        Side::File => Ledger::open(&folder.path().join("ledger.db"))?,
        Side::Memory => Ledger::in_memory()?,
    });
    let queue: Arc<dyn Queue> = Arc::new(EmbeddedQueue::in_memory(clock)?);
    let simulator = simulator(clock);
    let twilio = client(&simulator)?;
    let campaign = apply(pair, &twilio, &ledger, clock).await?;
    accept(&campaign, &ledger, &*queue, messages, clock).await?;

    let countdown = Countdown::from(messages);
    let counted = Arc::new(CountedQueue {
        inner: queue,
        countdown: countdown.clone(),
    });
    let worker = worker(counted, Arc::clone(&ledger), twilio, clock, in_flight);
    let stop = Stopper::new();
    let (begun, cpu_before, all_before) = (clock.instant(), disk::cpu_ms(), disk::machine_cpu_ms());
    let timed = async {
        countdown.over().await;
        let (took, cpu_ms) = (begun.elapsed(), disk::cpu_ms() - cpu_before);
        let all_ms = disk::machine_cpu_ms() - all_before;
        stop.stop();
        (took, cpu_ms, all_ms)
    };
    let (end, (took, cpu_ms, all_ms)) = tokio::join!(worker.run(&[], Until::Stopped, &stop), timed);
    anyhow::ensure!(matches!(end?, RunEnd::Stopped), "it stopped by itself");
    check(pair, &ledger, &simulator, messages).await?;
    let count = f64::from(messages);
    Ok(Run {
        per_second: count / took.as_secs_f64(),
        cpu_ms: cpu_ms / count,
        others: (all_ms - cpu_ms).max(0.0) / took.as_secs_f64() / 1e3,
    })
}

/// Without limits, latency and waits.
fn simulator(clock: Clock) -> Simulator {
    let settings = Settings {
        agents: vec!["alice".to_owned()],
        limits: RequestLimits::unlimited(),
        interaction_setup: Duration::ZERO,
        ..Settings::default()
    };
    Simulator::new(settings, clock)
}

fn client(simulator: &Simulator) -> anyhow::Result<Twilio> {
    let credentials = Credentials::auth_token(DEFAULT_ACCOUNT_SID, DEFAULT_AUTH_TOKEN.into())?;
    let base = BaseUrl::at("http://simulator.invalid")?;
    let transport = Transport::InProcess(Arc::new(simulator.clone()));
    Ok(Twilio::new(
        ClientSettings::new(credentials, base),
        transport,
    ))
}

async fn apply(
    pair: Pair,
    twilio: &Twilio,
    ledger: &Ledger,
    clock: Clock,
) -> anyhow::Result<Campaign> {
    let text = format!(
        "id = 'bench'\nchannel = 'sms'\nsender = '+12025550100'\n{}\n\
         body = 'Hello {{{{ customer.name }}}}, your plan renews soon. Reply YES to talk to us.'\n\
         [flex]\nstudio_flow_sid = 'FW00000000000000000000000000000001'\n",
        pair.campaign
    );
    let campaign = campaign::parse("bench.toml", &text)?;
    let campaign = campaign::apply(twilio, campaign, &Flex::default()).await?;
    let campaign = campaign.campaign;
    let record = CampaignRecord::running(
        campaign.id.clone(),
        serde_json::to_value(&campaign)?,
        clock.now(),
    );
    ledger.save_campaign(&record, false, None).await?;
    Ok(campaign)
}

/// What an import does, before the clock runs.
async fn accept(
    campaign: &Campaign,
    ledger: &Ledger,
    queue: &dyn Queue,
    count: u32,
    clock: Clock,
) -> anyhow::Result<()> {
    queue.open(&campaign.id).await?;
    let messages: Vec<_> = (0..count).map(message).collect::<Result<_, _>>()?;
    for batch in messages.chunks(BATCH) {
        let now = clock.now();
        ledger.accept(&campaign.id, batch, None, now, now).await?;
        let published: Vec<_> = batch
            .iter()
            .map(|message| (Publication::first(message), message.clone()))
            .collect();
        enqueue(queue, ledger, &campaign.id, &published).await?;
    }
    Ok(())
}

fn message(n: u32) -> anyhow::Result<Message> {
    let json = serde_json::json!({
        "campaign": "bench",
        "id": format!("crm-{:08}", u64::from(n) * 7_654_321 % 100_000_000),
        "customer": {"address": format!("+1202{:07}", 2_000_000 + n), "name": "Clark",
            "attributes": {"plan": "gold"}},
        "agent": {"worker": "alice"},
        "body": "Hello Clark, your plan renews soon. Reply YES to talk to us.",
    });
    Message::from_json(json.to_string().as_bytes()).map_err(anyhow::Error::msg)
}

fn worker(
    queue: Arc<dyn Queue>,
    ledger: Arc<Ledger>,
    twilio: Twilio,
    clock: Clock,
    in_flight: u16,
) -> Worker {
    let pacing = PacingSettings {
        limits: pacing::Limits::lifted(),
        senders: pacing::Senders::lifted(),
        margin: Margin::NONE,
        concurrency: NonZeroU32::new(in_flight.into()).unwrap_or(NonZeroU32::MIN),
        ..PacingSettings::default()
    };
    let metrics = Metrics::new();
    let pacer = Pacer::new(pacing, clock);
    let engine = Engine::new(
        twilio.clone(),
        Arc::clone(&ledger),
        pacer.clone(),
        clock,
        metrics.clone(),
        Duration::from_secs(5),
    );
    Worker::new(WorkerParts {
        queue,
        ledger,
        twilio,
        engine,
        pacer,
        clock,
        metrics,
        policy: RetryPolicy {
            schedule: vec![Duration::from_secs(2)],
            age_max: Duration::from_secs(3_600),
        },
        in_flight,
        busy_wait: Duration::from_secs(60),
        queue_look: flexcast::worker::QUEUE_LOOK,
        agents: AgentRules::default(),
        marks: None,
        holder: "bench".to_owned(),
        host: "bench".to_owned(),
    })
}

/// Every message is done, and left at Twilio what it is to leave, once.
async fn check(
    pair: Pair,
    ledger: &Ledger,
    simulator: &Simulator,
    messages: u32,
) -> anyhow::Result<()> {
    let books = ledger.books(None).await?;
    anyhow::ensure!(
        books.imbalance() == 0 && books.done == u64::from(messages),
        "{}: {books:?}",
        pair.name
    );
    let effects = simulator.effects();
    let left = effects
        .iter()
        .filter(|effect| effect.kind == pair.leaves)
        .count();
    anyhow::ensure!(
        left == messages as usize,
        "{}: {left} effects of {messages} messages",
        pair.name
    );
    Ok(())
}
