//! What a simulator starts with: its account, its people, its limits, and every point on which
//! Twilio's own documents are silent or contradict each other.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::faults::Faults;
use super::limits::RequestLimits;
use super::world::queues::SenderQueues;

/// The account SID of [`Settings::default`].
pub const DEFAULT_ACCOUNT_SID: &str = "ACf1e8ca57f1e8ca57f1e8ca57f1e8ca57";
/// The auth token of [`Settings::default`]: no secret, it opens nothing but a simulator.
pub const DEFAULT_AUTH_TOKEN: &str = "f1e8ca57f1e8ca57f1e8ca57f1e8ca57";

/// How a simulator is set up. `Settings::default()` is a working account without agents.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `AC` and 32 hex digits: the user name of HTTP Basic.
    pub account_sid: String,
    /// The password that goes with the account SID.
    pub auth_token: SecretString,
    /// API keys (`SK...`) and their secrets, taken as user name and password as well.
    pub api_keys: Vec<(String, SecretString)>,
    /// Decides every SID.
    pub seed: u64,
    /// The friendly names of the workers there are from the start.
    pub agents: Vec<String>,
    /// A worker that is looked up by friendly name or `contact_uri`, or is a task's target, and does
    /// not exist, is hired on the spot: any list of agents works.
    pub hire_unknown_agents: bool,
    /// How many tasks a worker takes at a time on a task channel (TaskRouter's worker channel
    /// `configured_capacity`); further tasks wait as pending.
    pub agent_capacity: u32,
    /// Task attributes that name the worker the task is for, by contact URI, SID or friendly name:
    /// the played workflow's filter.
    pub target_attributes: Vec<String>,
    /// Which numbers the Proxy service owns.
    pub proxy_pool: ProxyPool,
    /// The published limits, unless changed.
    pub limits: RequestLimits,
    /// How fast senders send, and how much they queue. None has a rate unless it is given one.
    pub sending: SenderQueues,
    /// How long each request takes; the effect falls at its end.
    pub latency: Duration,
    /// How long after its creation a thing appears in lists and look-ups by filter or name:
    /// Twilio promises no consistency there.
    pub listing_delay: Duration,
    /// How long an interaction's channel stays in `setup`.
    pub interaction_setup: Duration,
    /// What becomes of an agent's interaction with a customer who is in another conversation with the same sender.
    pub busy_interaction: BusyInteraction,
    /// After how long without a message or a new participant a conversation goes inactive that was made without
    /// such a timer of its own: the account's `DefaultInactiveTimer`, at least a minute. None: never (Twilio's
    /// default).
    pub default_inactive_timer: Option<Duration>,
    /// The same for its end: the account's `DefaultClosedTimer`, at least ten minutes.
    pub default_closed_timer: Option<Duration>,
    /// How long a task that has ended (`completed`, `canceled`) can still be fetched and listed: five minutes
    /// (Twilio's page "Lifecycle of a Task: Task state"). None: for ever.
    pub ended_tasks_kept: Option<Duration>,
    pub faults: Faults,
    /// The base of the URLs in replies; without it, the address the client called.
    pub public_url: Option<String>,
    /// Where every exchange is written to, as JSON lines, for `tests/oracle/check_openapi.py`.
    pub record: Option<PathBuf>,
    pub assumptions: Assumptions,
}

/// The numbers of the Proxy service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyPool {
    /// Has these numbers, and adds any other `ProxyIdentifier` on its first use.
    Open(Vec<String>),
    /// Has these numbers; another `ProxyIdentifier` is refused with 80605.
    Fixed(Vec<String>),
}

/// An agent's interaction with a busy customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusyInteraction {
    /// It becomes active, with a task and a conversation in which the customer is not (twilio/twilio-php#784).
    Empty,
    /// Its channel fails with 50416, and there is neither a task nor a conversation (no source).
    Fails,
}

/// Points no source confirms. Each default is said and reasoned in `docs/simulator.md`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent yes-or-no questions to Twilio, one each"
)]
pub struct Assumptions {
    /// The status of 45208, 80603, 80103, 80604, 80609, 80612 and 50307, whose sources name the
    /// code alone.
    pub conflict_status: u16,
    /// By what a Flex Channel is found again (get-or-create): its target or its identity.
    pub channel_key: ChannelKey,
    /// Whether asking again for a channel that exists makes a second task.
    pub repeated_channel_makes_task: bool,
    /// The status of a created message interaction: 200 in the OpenAPI, 201 in SDK fixtures.
    pub message_interaction_status: u16,
    /// The status of a removed Proxy participant: 200 in the OpenAPI, 204 in SDK fixtures.
    pub participant_delete_status: u16,
    /// Whether `GET Sessions/{UniqueName}` finds a session.
    pub session_by_unique_name: bool,
    /// Whether a closed session still holds its unique name.
    pub closed_sessions_keep_names: bool,
    /// Whether a session with a bad inline participant is not made at all.
    pub atomic_session_create: bool,
    /// Whether a message interaction on the agent's participant reaches the customer.
    pub agent_interaction_reaches_customer: bool,
    /// Whether a message interaction on the customer's participant reaches the customer.
    pub customer_interaction_reaches_customer: bool,
    /// Whether a chat message in a channel with `proxySession` is relayed to the customer.
    pub chat_message_reaches_customer: bool,
    /// Whether `GET` works on Interactions (Twilio's limits page says it does not).
    pub interactions_can_be_fetched: bool,
    /// Whether Flex Channels and Programmable Chat still answer after 2026-06-01; else 410/20410.
    pub legacy_apis_answer: bool,
    /// Whether lists of Workers show their attributes (the OpenAPI says null there, its example and SDK
    /// fixtures have them).
    pub worker_lists_show_attributes: bool,
    /// The status of 21611 (a sender's queue is full), whose page names the code alone.
    pub queue_full_status: u16,
    /// `Retry-After` on 429, in seconds: not promised on these APIs.
    pub retry_after_secs: Option<u32>,
}

/// What identifies a customer to a Flex Flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelKey {
    /// `Target`, or `Identity` where there is none.
    Target,
    Identity,
}

impl Default for Assumptions {
    fn default() -> Self {
        Self {
            conflict_status: 409,
            channel_key: ChannelKey::Target,
            repeated_channel_makes_task: false,
            message_interaction_status: 200,
            participant_delete_status: 200,
            session_by_unique_name: true,
            closed_sessions_keep_names: true,
            atomic_session_create: true,
            agent_interaction_reaches_customer: true,
            customer_interaction_reaches_customer: true,
            chat_message_reaches_customer: true,
            interactions_can_be_fetched: true,
            legacy_apis_answer: true,
            worker_lists_show_attributes: true,
            queue_full_status: 400,
            retry_after_secs: None,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            account_sid: DEFAULT_ACCOUNT_SID.to_owned(),
            auth_token: DEFAULT_AUTH_TOKEN.into(),
            api_keys: Vec::new(),
            seed: 1,
            agents: Vec::new(),
            hire_unknown_agents: false,
            agent_capacity: 50,
            target_attributes: vec!["targetWorker".to_owned(), "targetWorkerSid".to_owned()],
            // Numbers of the 555-01xx block, which is reserved for fiction (NANPA).
            proxy_pool: ProxyPool::Open(vec!["+12025550190".to_owned(), "+12025550191".to_owned()]),
            limits: RequestLimits::published(),
            sending: SenderQueues::default(),
            latency: Duration::ZERO,
            listing_delay: Duration::ZERO,
            interaction_setup: Duration::from_millis(200),
            default_inactive_timer: None,
            default_closed_timer: None,
            busy_interaction: BusyInteraction::Empty,
            ended_tasks_kept: Some(Duration::from_secs(300)),
            faults: Faults::default(),
            public_url: None,
            record: None,
            assumptions: Assumptions::default(),
        }
    }
}
