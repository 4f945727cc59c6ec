//! The end that a preview forecasts, against runs on the paused clock: one for each limit that can decide it.
//!
//! The whole consumer runs in this process against the simulator, so that hours pass in seconds. Each run ends within
//! ten percent of its forecast.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use flexcast::campaign::Campaign;
use flexcast::intake::{ContactsOptions, Input};
use flexcast::ledger::CampaignRecord;
use flexcast::message::Channel;
use flexcast::operate::{
    AgentLookup, AgentQuery, AgentsAtTwilio, FileRules, ImportPreview, ImportRequest, Operations,
    PreviewAssumptions, PreviewLedger, PreviewRequest, Rates, ReadModels, preview,
};
use flexcast::pacing::Margin;
use flexcast::queue::Queue;
use flexcast::shutdown::Stopper;
use flexcast::simulator::{EffectKind, Settings};
use flexcast::worker::Until;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;

use crate::saga::stage::{Pair, SENDER, Stage, TASK_NOW, TASK_ON_REPLY, customer, settings};

/// How far a run may end from its forecast.
const OFF_MAX: f64 = 0.1;

/// How long an agent works on a task.
const HANDLE_TIME: Duration = Duration::from_secs(360);

const SECOND: Duration = Duration::from_secs(1);

/// As many messages as a consumer has under way.
const IN_FLIGHT: u16 = 64;

/// Messages for one agent. Each has the same number of segments.
struct For {
    agent: &'static str,
    messages: u32,
    segments: usize,
}

fn each(agent: &'static str, messages: u32) -> For {
    For {
        agent,
        messages,
        segments: 1,
    }
}

/// Agents who take so many tasks at once, as the account says.
struct Places(u32);

#[async_trait::async_trait]
impl AgentLookup for Places {
    async fn look_up(&self, _campaign: &Campaign, query: AgentQuery<'_>) -> AgentsAtTwilio {
        let names = || query.names.iter().map(|&name| name.to_owned());
        AgentsAtTwilio {
            found: names().collect(),
            tasks_at_once: names().map(|name| (name, self.0)).collect(),
            ..AgentsAtTwilio::default()
        }
    }
}

/// A stage on which agents take `places` tasks at once. The sender has no limit.
async fn stage(pair: Pair, places: u32, campaign: &str) -> Stage {
    let settings = Settings {
        agents: ["alice", "bob"].map(str::to_owned).to_vec(),
        agent_capacity: places,
        ..settings()
    };
    let mut stage = Stage::with(pair, settings, campaign).await;
    stage.senders.replace(SENDER, None);
    stage
}

/// A file of messages, from customer number `first` on.
fn file(stage: &Stage, first: u32, wanted: &[For]) -> tempfile::NamedTempFile {
    let mut lines = String::new();
    let wanted = wanted
        .iter()
        .flat_map(|one| (0..one.messages).map(move |_| one));
    for (n, one) in (first..).zip(wanted) {
        let text = match one.segments {
            1 => "a".to_owned(),
            // A segment of several has 153 characters.
            several => "a".repeat(153 * several),
        };
        let line = json!({
            "campaign": stage.campaign.id, "id": format!("crm-{n}"),
            "customer": {"address": customer(n)}, "agent": {"worker": one.agent}, "body": text,
        });
        writeln!(lines, "{line}").expect("a text");
    }
    let mut file = tempfile::Builder::new()
        .suffix(".jsonl")
        .tempfile()
        .expect("a file");
    file.write_all(lines.as_bytes()).expect("it is written");
    file
}

fn opened(file: &tempfile::NamedTempFile) -> Input {
    Input::open(file.path(), &ContactsOptions::new(Channel::Sms)).expect("a file of messages")
}

async fn previewed(
    stage: &Stage,
    file: &tempfile::NamedTempFile,
    places: u32,
    handle_time: Option<Duration>,
) -> ImportPreview {
    let read = ReadModels {
        ledger: Arc::clone(&stage.ledger),
        clock: stage.clock,
    };
    let request = PreviewRequest {
        campaign: &stage.campaign,
        input: opened(file),
        rules: FileRules::default(),
        recorded: PreviewLedger::Open(read),
        rates: Rates {
            senders: stage.senders.clone(),
            // The consumer of the stage leaves none.
            margin: Margin::NONE,
        },
        agents_read_every: 10 * SECOND,
        assumptions: PreviewAssumptions {
            handle_time,
            segment_price: None,
        },
        now: stage.clock.now(),
        zone: TimeZone::UTC,
    };
    preview(request, &Places(places)).await.expect("a preview")
}

async fn import(stage: &Stage, file: &tempfile::NamedTempFile) {
    let operations = Operations {
        ledger: Arc::clone(&stage.ledger),
        clock: stage.clock,
        by: flexcast::ledger::Actor::Operator {
            user: "ada".to_owned(),
            host: "desk".to_owned(),
        },
    };
    let definition = serde_json::to_value(&stage.campaign).expect("JSON");
    let record = CampaignRecord::running(stage.campaign.id.clone(), definition, stage.clock.now());
    let request = ImportRequest {
        record: &record,
        campaign: &stage.campaign,
        input: opened(file),
        rejects: None,
        again: false,
    };
    let queue: Arc<dyn Queue> = stage.queue.clone();
    let imported = operations.import(request, &*queue, &|_| {}).await;
    assert_eq!(imported.expect("it is imported").rejected, 0);
}

/// Works until nothing is open, while agents end each task after the handle time. Returns when the last effect of this
/// kind came about.
async fn worked(stage: &Stage, last: EffectKind) -> Timestamp {
    let worker = stage.worker(IN_FLIGHT).await;
    let stop = Stopper::new();
    let agents_work = async {
        loop {
            tokio::time::sleep(SECOND).await;
            let now = stage.clock.now();
            for task in stage.standing(EffectKind::Task) {
                let is_handled = task.time + HANDLE_TIME <= now;
                if is_handled && task.state == "reserved" {
                    let ended = stage.simulator.complete_task(&task.sid);
                    ended.expect("it is open");
                }
            }
        }
    };
    tokio::select! {
        biased;
        end = worker.run(&[], Until::Idle, &stop) => drop(end.expect("it works")),
        () = agents_work => {}
    }
    let books = stage.books().await;
    assert_eq!((books.open(), books.done), (0, books.accepted), "{books:?}");
    let effects = stage.simulator.effects().into_iter();
    let times = effects.filter(|effect| effect.kind == last);
    times.map(|effect| effect.time).max().expect("an effect")
}

/// The run ended when the preview said, counted from `begun`, and this limit decided it.
#[track_caller]
fn assert_ended(shown: &ImportPreview, begun: Timestamp, ended: Timestamp, kind: &str) {
    let bound = shown.forecast.binding().expect("a limit decides it");
    let json = serde_json::to_value(bound).expect("JSON");
    assert_eq!(json["kind"], kind, "{json}");
    let took = Duration::try_from(ended.duration_since(begun)).expect("time goes on");
    let off = took.as_secs_f64() / bound.takes.as_secs_f64() - 1.0;
    let context = format!("forecast {:?}, took {took:?}", bound.takes);
    println!("{kind}: {context}, {:.1} % off", off * 100.0);
    assert!(off.abs() <= OFF_MAX, "{context}");
    // A forecast of a moment would prove nothing.
    assert!(took > 500 * SECOND, "{context}");
}

#[tokio::test(start_paused = true)]
async fn a_senders_rate_decides() {
    let mut stage = stage(TASK_ON_REPLY, 10_000, "").await;
    stage.senders.replace(SENDER, "60/min".parse().ok());
    let wanted = [
        each("alice", 200),
        For {
            agent: "bob",
            messages: 150,
            segments: 3,
        },
    ];
    let file = file(&stage, 0, &wanted);
    let shown = previewed(&stage, &file, 10_000, None).await;
    assert_eq!(shown.to_send(), 350);
    let begun = stage.clock.now();
    import(&stage, &file).await;
    let ended = worked(&stage, EffectKind::Message).await;
    assert_ended(&shown, begun, ended, "sender");
}

#[tokio::test(start_paused = true)]
async fn the_campaigns_pace_decides() {
    let stage = stage(TASK_ON_REPLY, 10_000, "pace = { campaign = '20/min' }").await;
    let file = file(&stage, 0, &[each("alice", 100), each("bob", 100)]);
    let shown = previewed(&stage, &file, 10_000, None).await;
    let begun = stage.clock.now();
    import(&stage, &file).await;
    let ended = worked(&stage, EffectKind::Message).await;
    assert_ended(&shown, begun, ended, "campaign_pace");
}

#[tokio::test(start_paused = true)]
async fn the_pace_for_each_agent_decides() {
    let stage = stage(TASK_ON_REPLY, 10_000, "pace = { agent = '3/min' }").await;
    let file = file(&stage, 0, &[each("alice", 35), each("bob", 10)]);
    let shown = previewed(&stage, &file, 10_000, None).await;
    let begun = stage.clock.now();
    import(&stage, &file).await;
    let ended = worked(&stage, EffectKind::Message).await;
    assert_ended(&shown, begun, ended, "agent_pace");
}

#[tokio::test(start_paused = true)]
async fn the_agents_capacity_decides() {
    let stage = stage(TASK_NOW, 3, "").await;
    let file = file(&stage, 0, &[each("alice", 12), each("bob", 6)]);
    let shown = previewed(&stage, &file, 3, Some(HANDLE_TIME)).await;
    let begun = stage.clock.now();
    import(&stage, &file).await;
    let ended = worked(&stage, EffectKind::Task).await;
    assert_ended(&shown, begun, ended, "agent_capacity");
}

#[tokio::test(start_paused = true)]
async fn agents_who_share_their_messages_share_their_capacity() {
    let agents = "agents = { when_unavailable = 'next', list = ['alice', 'bob'] }";
    let stage = stage(TASK_NOW, 2, agents).await;
    let file = file(&stage, 0, &[each("alice", 16)]);
    let shown = previewed(&stage, &file, 2, Some(HANDLE_TIME)).await;
    let begun = stage.clock.now();
    import(&stage, &file).await;
    let ended = worked(&stage, EffectKind::Task).await;
    assert_ended(&shown, begun, ended, "agent_capacity");
}

#[tokio::test(start_paused = true)]
async fn after_a_resume_what_is_left_is_forecast() {
    let stage = stage(TASK_ON_REPLY, 10_000, "pace = { campaign = '20/min' }").await;
    let wanted = [each("alice", 400)];
    let first = file(&stage, 0, &wanted);
    import(&stage, &first).await;
    stage.run_for(300 * SECOND).await;
    let done = stage.books().await.done;
    assert!((1..400).contains(&done), "{done} are done");
    // The same customers and 50 more.
    let second = file(&stage, 0, &[each("alice", 450)]);
    let shown = previewed(&stage, &second, 10_000, None).await;
    assert_eq!(shown.preview.in_campaign, 400);
    assert_eq!((shown.preview.acceptable, shown.open), (50, 400 - done));
    let begun = stage.clock.now();
    import(&stage, &second).await;
    let ended = worked(&stage, EffectKind::Message).await;
    assert_ended(&shown, begun, ended, "campaign_pace");
}

#[tokio::test(start_paused = true)]
async fn another_campaign_on_the_sender_is_counted() {
    let mut stage = stage(TASK_ON_REPLY, 10_000, "").await;
    stage.senders.replace(SENDER, "30/min".parse().ok());
    let first = file(&stage, 0, &[each("alice", 300)]);
    import(&stage, &first).await;
    stage.apply("autumn", &format!("sender = '{SENDER}'")).await;
    let second = file(&stage, 1_000, &[each("alice", 200)]);
    let shown = previewed(&stage, &second, 10_000, None).await;
    let begun = stage.clock.now();
    import(&stage, &second).await;
    worked(&stage, EffectKind::Message).await;
    // The other campaign goes on after this one has ended.
    let first_of_second = customer(1_000);
    let texts = stage.simulator.effects().into_iter();
    let its = texts.filter(|effect| {
        let customer = effect.customer.as_deref();
        effect.kind == EffectKind::Message && customer >= Some(first_of_second.as_str())
    });
    let ended = its.map(|effect| effect.time).max().expect("a text");
    assert_ended(&shown, begun, ended, "sender");
}
