//! The whole consumer on a paused clock: ledger and queue in memory, the simulator in process.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flexcast::campaign::{self, Campaign, Flex};
use flexcast::clock::Clock;
use flexcast::engine::{AgentRules, Engine};
use flexcast::intake::enqueue;
use flexcast::ledger::{
    Books, CampaignRecord, Ledger, MessageKey, MessageRecord, Publication, Standing,
};
use flexcast::marks::ProcessMarks;
use flexcast::message::{
    Address, AgentRef, Customer, Effects, Event, Message, MessageId, WIRE_VERSION,
};
use flexcast::metrics::Metrics;
use flexcast::outcomes::RetryPolicy;
use flexcast::pacing::{Margin, Pacer, PacingSettings, Senders};
use flexcast::queue::Queue;
use flexcast::queue::embedded::EmbeddedQueue;
use flexcast::shutdown::Stopper;
use flexcast::simulator::{
    DEFAULT_ACCOUNT_SID, DEFAULT_AUTH_TOKEN, Effect, EffectKind, Faults, RequestLimits, Settings,
    Simulator,
};
use flexcast::twilio::{BaseUrl, ClientSettings, Credentials, InProcess, Transport, Twilio};
use flexcast::worker::{RunEnd, Until, Worker, WorkerParts};
use serde_json::{Value, json};

use super::trap::{Side, Trap};
use super::trapped_ledger::{LedgerTrap, Poison, PoisonAt};
use super::trapped_queue::TrappedQueue;

pub(crate) const SENDER: &str = "+12025550100";
pub(crate) const SETTLE_TIME: Duration = Duration::from_secs(5);

/// A strategy on an API, as a campaign sets it up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    pub(crate) name: &'static str,
    campaign: &'static str,
    /// Whether the messages name an agent.
    pub(crate) agent: bool,
    /// What one message leaves behind at Twilio.
    pub(crate) leaves: &'static [EffectKind],
}

use EffectKind::{Channel, Conversation, Interaction, Message as Text, Session, Task};

pub(crate) const PROXY_TASK_NOW: Pair = Pair {
    name: "proxy, task_now",
    campaign: "strategy = 'task_now'\napi = 'proxy'",
    agent: true,
    leaves: &[Channel, Session, Task],
};
pub(crate) const PROXY_TASK_ON_REPLY: Pair = Pair {
    name: "proxy, task_on_reply",
    campaign: "strategy = 'task_on_reply'\napi = 'proxy'\nbody = 'Hello'",
    agent: true,
    leaves: &[Channel, Session, Text],
};
pub(crate) const PROXY_BY_CUSTOMER: Pair = Pair {
    name: "proxy, task_on_reply, message on the customer, number of the pool",
    campaign: "strategy = 'task_on_reply'\napi = 'proxy'\nbody = 'Hello'\n[proxy]\n\
               message_participant = 'customer'\ncustomer_proxy = 'pool'",
    agent: true,
    leaves: &[Channel, Session, Text],
};
pub(crate) const PROXY_BY_CHAT: Pair = Pair {
    name: "proxy, task_on_reply, message in the chat channel",
    campaign: "strategy = 'task_on_reply'\napi = 'proxy'\nbody = 'Hello'\n[proxy]\n\
               message_participant = 'chat'",
    agent: true,
    leaves: &[Channel, Session, Text],
};
pub(crate) const TASK_NOW: Pair = Pair {
    name: "conversations, task_now",
    campaign: "strategy = 'task_now'\nbody = 'Hello'",
    agent: true,
    leaves: &[Interaction, Conversation, Task, Text],
};
pub(crate) const TASK_NOW_WITHOUT_AGENT: Pair = Pair {
    name: "conversations, task_now, no agent",
    campaign: "strategy = 'task_now'\nbody = 'Hello'",
    agent: false,
    leaves: &[Conversation, Interaction, Task, Text],
};
pub(crate) const TASK_ON_REPLY: Pair = Pair {
    name: "conversations, task_on_reply",
    campaign: "strategy = 'task_on_reply'\nbody = 'Hello'",
    agent: true,
    leaves: &[Conversation, Text],
};

pub(crate) const PAIRS: [Pair; 7] = [
    PROXY_TASK_NOW,
    PROXY_TASK_ON_REPLY,
    PROXY_BY_CUSTOMER,
    PROXY_BY_CHAT,
    TASK_NOW,
    TASK_NOW_WITHOUT_AGENT,
    TASK_ON_REPLY,
];

/// Whether a consumer takes the place of another ledger.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TakeOver(pub(crate) bool);

/// One world: everything a consumer works with, and what it leaves.
pub(crate) struct Stage {
    pub(crate) pair: Pair,
    pub(crate) clock: Clock,
    pub(crate) simulator: Simulator,
    pub(crate) ledger: Arc<Ledger>,
    /// Whether its consumers keep marks at the account, and take over what others have.
    marks: Mutex<Option<TakeOver>>,
    pub(crate) queue: Arc<EmbeddedQueue>,
    pub(crate) trap: Arc<Trap>,
    /// Straight to the simulator: what a stranger does.
    pub(crate) twilio: Twilio,
    pub(crate) campaign: Campaign,
    /// The rates that its consumers keep.
    pub(crate) senders: Senders,
    /// How many consumers were started.
    consumers: AtomicUsize,
    poison: Mutex<Poison>,
}

/// A simulator with an agent, without limits.
pub(crate) fn settings() -> Settings {
    Settings {
        agents: vec!["alice".to_owned()],
        limits: RequestLimits::unlimited(),
        ..Settings::default()
    }
}

/// A client that goes this way.
pub(crate) fn client(way: Arc<dyn InProcess>) -> Twilio {
    let token = DEFAULT_AUTH_TOKEN.into();
    let credentials = Credentials::auth_token(DEFAULT_ACCOUNT_SID, token).expect("credentials");
    let base = BaseUrl::at("http://simulator.invalid").expect("an address");
    Twilio::new(
        ClientSettings::new(credentials, base),
        Transport::InProcess(way),
    )
}

/// A campaign as the account fills it in. `more`: lines of its file.
async fn applied(twilio: &Twilio, id: &str, pair: Pair, more: &str) -> Campaign {
    let text = format!(
        "id = '{id}'\nchannel = 'sms'\n{more}\n{}\n[flex]\n\
         studio_flow_sid = 'FW00000000000000000000000000000001'\n",
        pair.campaign
    );
    let campaign = campaign::parse("spring.toml", &text).expect("a campaign");
    let applied = campaign::apply(twilio, campaign, &Flex::default()).await;
    applied.expect("it can be carried out").campaign
}

impl Stage {
    pub(crate) async fn new(pair: Pair) -> Self {
        Self::with(pair, settings(), "").await
    }

    /// `more`: lines of the campaign file.
    pub(crate) async fn with(pair: Pair, settings: Settings, more: &str) -> Self {
        let clock = Clock::starting_at("2026-11-22T12:00:00Z".parse().expect("a time"));
        let simulator = Simulator::new(settings, clock);
        let twilio = client(Arc::new(simulator.clone()));
        let more = format!("sender = '{SENDER}'\n{more}");
        let campaign = applied(&twilio, "spring", pair, &more).await;
        let ledger = Arc::new(Ledger::in_memory().expect("a ledger"));
        let queue = Arc::new(EmbeddedQueue::in_memory(clock).expect("a queue"));
        queue.bind("in-memory").await.expect("it is nobody's yet");
        let trap = Trap::new(simulator.clone());
        let mut stage = Self {
            pair,
            clock,
            simulator,
            ledger,
            marks: Mutex::default(),
            queue,
            trap,
            twilio,
            campaign: campaign.clone(),
            senders: Senders::default(),
            consumers: AtomicUsize::new(0),
            poison: Mutex::default(),
        };
        stage.play(campaign).await;
        stage
    }

    /// Another campaign beside those there are, or one of them applied anew: from here on the messages
    /// are its. `more`: lines of its file, of which one names its sender or senders.
    pub(crate) async fn apply(&mut self, id: &str, more: &str) {
        let mut campaign = applied(&self.twilio, id, self.pair, more).await;
        if campaign.id == self.campaign.id {
            campaign.keep_flows_of(&self.campaign);
        }
        self.play(campaign).await;
    }

    async fn play(&mut self, campaign: Campaign) {
        let definition = serde_json::to_value(&campaign).expect("JSON");
        let record = CampaignRecord::running(campaign.id.clone(), definition, self.clock.now());
        let saving = self.ledger.save_campaign(&record, false, None);
        saving.await.expect("it is saved");
        let opening = self.queue.open(&campaign.id);
        opening.await.expect("a queue of its own");
        self.campaign = campaign;
    }

    /// Customer number `n`'s message, with the text that an import renders.
    pub(crate) fn message(&self, n: u32) -> Message {
        let address = Address::parse(&customer(n)).expect("an address");
        Message {
            version: WIRE_VERSION,
            campaign: self.campaign.id.clone(),
            id: Some(MessageId::parse(&format!("crm-{n}")).expect("an id")),
            sender: self.campaign.sender_for(&address).cloned(),
            customer: Customer {
                address,
                name: None,
                time_zone: None,
                attributes: std::collections::BTreeMap::default(),
            },
            agent: self.pair.agent.then(|| AgentRef {
                worker: "alice".to_owned(),
            }),
            strategy: None,
            body: self.campaign.body.clone(),
            content_variables: Default::default(),
            not_before: None,
            expires_at: None,
        }
    }

    /// Accepts messages 0 to `count` and puts them on the queue.
    pub(crate) async fn accept(&self, count: u32) {
        let messages: Vec<_> = (0..count).map(|n| self.message(n)).collect();
        self.accept_all(messages).await;
    }

    /// Accepts these messages and puts them on the queue.
    pub(crate) async fn accept_all(&self, messages: Vec<Message>) {
        let (id, now) = (&self.campaign.id, self.clock.now());
        let accepting = self.ledger.accept(id, &messages, None, now, now);
        accepting.await.expect("they are accepted");
        let published: Vec<_> = messages
            .into_iter()
            .map(|message| (Publication::first(&message), message))
            .collect();
        enqueue(&*self.queue, &self.ledger, id, &published)
            .await
            .expect("they are on the queue");
    }

    pub(crate) fn faults(&self, rules: &Value) {
        let text = json!({"seed": 1, "rules": rules}).to_string();
        let faults: Faults = serde_json::from_str(&text).expect("faults");
        self.simulator.set_faults(faults).expect("valid faults");
    }

    /// A consumer that has just been started; leases of dead ones are ended.
    pub(crate) async fn worker(&self, in_flight: u16) -> Worker {
        self.ledger.release_leases().await.expect("it is ours");
        self.consumer(in_flight, &self.trap, "test")
    }

    /// A consumer beside others, behind a trap of its own: what they hold is theirs.
    pub(crate) fn consumer(&self, in_flight: u16, trap: &Arc<Trap>, holder: &str) -> Worker {
        self.consumers.fetch_add(1, Ordering::Relaxed);
        let trapped = LedgerTrap {
            poison: self.poison(),
            trap: Arc::clone(trap),
        };
        let ledger = self.ledger.as_another_process();
        let ledger = Arc::new(ledger.intercepted_by(Arc::new(trapped)));
        let pacing = PacingSettings {
            margin: Margin::NONE,
            concurrency: NonZeroU32::new(64).expect("not zero"),
            senders: self.senders.clone(),
            ..PacingSettings::default()
        };
        let twilio = client(Arc::<Trap>::clone(trap));
        let keeps = *self.marks.lock().expect("no panic holds it");
        let marks = keeps.map(|TakeOver(take_over)| {
            let (ledger, host) = (Arc::clone(&ledger), holder.to_owned());
            let marks = ProcessMarks::new(twilio.clone(), ledger, self.clock, host, take_over);
            Arc::new(marks)
        });
        let (clock, metrics) = (self.clock, Metrics::new());
        let pacer = Pacer::new(pacing, clock);
        let engine = Engine::new(
            twilio.clone(),
            Arc::clone(&ledger),
            pacer.clone(),
            clock,
            metrics.clone(),
            SETTLE_TIME,
        );
        Worker::new(WorkerParts {
            queue: Arc::new(TrappedQueue {
                inner: self.queue.clone(),
                trap: Arc::clone(trap),
            }),
            ledger,
            twilio,
            engine,
            pacer,
            clock,
            metrics,
            policy: RetryPolicy {
                schedule: [2, 10, 30].map(Duration::from_secs).to_vec(),
                age_max: Duration::from_secs(24 * 3_600),
            },
            in_flight,
            busy_wait: Duration::from_secs(60),
            queue_look: flexcast::worker::QUEUE_LOOK,
            agents: AgentRules::default(),
            marks,
            holder: holder.to_owned(),
            host: "stage".to_owned(),
        })
    }

    /// From the next consumer on, its marks are kept at the account.
    pub(crate) fn keep_marks(&self, take_over: TakeOver) {
        *self.marks.lock().expect("no panic holds it") = Some(take_over);
    }

    /// How many consumers were started.
    pub(crate) fn consumers(&self) -> usize {
        self.consumers.load(Ordering::Relaxed)
    }

    /// From the next consumer on, the store refuses what is to be written of these messages.
    pub(crate) fn poison_from_now(&self, poison: BTreeMap<MessageId, PoisonAt>) {
        *self.poison.lock().expect("no panic holds it") = Arc::new(poison);
    }

    fn poison(&self) -> Poison {
        Arc::clone(&self.poison.lock().expect("no panic holds it"))
    }

    /// Works until nothing is open.
    pub(crate) async fn run(&self) -> RunEnd {
        let worker = self.worker(16).await;
        let end = worker.run(&[], Until::Idle, &Stopper::new()).await;
        end.expect("it works")
    }

    /// Works until what is open waits for a time of the ledger's.
    pub(crate) async fn run_what_is_due(&self) {
        let worker = self.worker(16).await;
        let end = worker.run(&[], Until::NothingDue, &Stopper::new()).await;
        end.expect("it works");
    }

    /// Works for so long, whatever is open.
    pub(crate) async fn run_for(&self, time: Duration) {
        let (worker, stop) = (self.worker(16).await, Stopper::new());
        let ending = async {
            tokio::time::sleep(time).await;
            stop.stop();
        };
        let (end, ()) = tokio::join!(worker.run(&[], Until::Stopped, &stop), ending);
        end.expect("it works");
    }

    /// Works for so long, or until the trap's call, where it dies. False when the call never came.
    pub(crate) async fn killed_within(&self, time: Duration, nth: u64, side: Side) -> bool {
        self.trap.set(nth, side);
        let died = tokio::select! {
            biased;
            () = self.trap.sprung() => true,
            () = self.run_for(time) => false,
        };
        self.trap.clear();
        // What was aborted is gone once the runtime has looked at it.
        tokio::time::sleep(Duration::from_millis(1)).await;
        died
    }

    /// Works until the trap's call, then dies there. False when the call never came.
    pub(crate) async fn killed_at(&self, nth: u64, side: Side) -> bool {
        self.trap.set(nth, side);
        self.killed().await
    }

    /// The same for a trap that is set already.
    pub(crate) async fn killed(&self) -> bool {
        let worker = self.worker(16).await;
        let stop = Stopper::new();
        let died = tokio::select! {
            biased;
            () = self.trap.sprung() => true,
            _ = worker.run(&[], Until::NothingDue, &stop) => false,
        };
        self.trap.clear();
        drop(worker);
        // What was aborted is gone once the runtime has looked at it.
        tokio::time::sleep(Duration::from_millis(1)).await;
        died
    }

    pub(crate) async fn record(&self, n: u32) -> MessageRecord {
        let key = MessageKey::of(&self.message(n));
        let found = self.ledger.find(&key).await.expect("the ledger answers");
        found.expect("it was accepted")
    }

    pub(crate) async fn books(&self) -> Books {
        self.ledger.books(None).await.expect("the ledger answers")
    }

    /// What was made and has not been taken away again.
    pub(crate) fn standing(&self, kind: EffectKind) -> Vec<Effect> {
        let mut effects = self.simulator.effects();
        effects.retain(|effect| {
            let gone = ["deleted", "closed", "INACTIVE", "canceled", "failed"];
            effect.kind == kind && !gone.contains(&effect.state.as_str())
        });
        effects
    }

    /// Every message is done, with exactly what one message leaves each.
    pub(crate) async fn assert_done(&self, count: usize, context: &str) {
        let name = self.pair.name;
        let books = self.books().await;
        assert_eq!(books.imbalance(), 0, "{name}, {context}: {books:?}");
        if books.done != count as u64 {
            let record = self.record(0).await;
            panic!("{name}, {context}: {books:?}\n{record:#?}");
        }
        for kind in [Channel, Session, Conversation, Interaction, Task, Text] {
            let expected = if self.pair.leaves.contains(&kind) {
                count
            } else {
                0
            };
            let standing = self.standing(kind);
            assert_eq!(standing.len(), expected, "{name}, {context}: {standing:#?}");
        }
    }

    /// Nothing stands at Twilio.
    pub(crate) async fn assert_clean(&self, context: &str) {
        let name = self.pair.name;
        let books = self.books().await;
        assert_eq!(
            (books.imbalance(), books.open()),
            (0, 0),
            "{name}, {context}"
        );
        for kind in [Channel, Session, Conversation, Interaction, Task, Text] {
            let standing = self.standing(kind);
            assert!(standing.is_empty(), "{name}, {context}: {standing:#?}");
        }
    }
}

/// The address of customer number `n`.
pub(crate) fn customer(n: u32) -> String {
    format!("+1202555{:04}", 200 + n)
}

/// What an ended message's outcome says stands at Twilio.
pub(crate) fn effects(record: &MessageRecord) -> &Effects {
    match &record.standing {
        Standing::Over { effects, .. } => effects,
        other => panic!("it should be over: {other:?}"),
    }
}

/// The steps that a journal says happened, in order.
pub(crate) fn happened(record: &MessageRecord) -> Vec<&'static str> {
    let events = record.journal.iter().filter_map(|(_, event)| match event {
        Event::Happened { step, .. } => Some(step.as_str()),
        _ => None,
    });
    events.collect()
}
