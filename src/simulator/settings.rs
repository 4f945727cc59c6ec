//! The settings of a simulator: its account, its agents, its limits, and every point on which Twilio's documents are
//! silent or contradict each other.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::faults::Faults;
use super::limits::RequestLimits;
use super::world::queues::SenderQueues;

/// The account SID of [`Settings::default`].
pub const DEFAULT_ACCOUNT_SID: &str = "ACf1e8ca57f1e8ca57f1e8ca57f1e8ca57";
/// The auth token of [`Settings::default`]. It is not a secret: it works only with a simulator.
pub const DEFAULT_AUTH_TOKEN: &str = "f1e8ca57f1e8ca57f1e8ca57f1e8ca57";

/// The settings of a simulator. `Settings::default()` is a working account without agents.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `AC` and 32 hex digits: the user name of HTTP Basic.
    pub account_sid: String,
    /// The password for the account SID.
    pub auth_token: SecretString,
    /// API keys (`SK...`) and their secrets, which are accepted as user name and password too.
    pub api_keys: Vec<(String, SecretString)>,
    /// The seed of all SIDs.
    pub seed: u64,
    /// The friendly names of the first workers.
    pub agents: Vec<String>,
    /// Whether a missing worker is created when it is looked up by friendly name or `contact_uri`, or is the target
    /// of a task: any list of agents then works.
    pub hire_unknown_agents: bool,
    /// The number of tasks that a worker takes at a time on a task channel (TaskRouter's `configured_capacity` of a
    /// worker channel); further tasks wait as pending.
    pub agent_capacity: u32,
    /// The time from the reservation of a task to its completion, if agents handle their tasks by themselves. Zero: all
    /// of it happens before the next request. `None`: agents do nothing that a test does not tell them.
    pub handle_time: Option<Duration>,
    /// The task attributes that name the worker of a task, by contact URI, SID or friendly name: the filter of the
    /// simulated workflow.
    pub target_attributes: Vec<String>,
    /// The numbers of the Proxy service.
    pub proxy_pool: ProxyPool,
    /// The published limits, unless changed.
    pub limits: RequestLimits,
    /// The rates and queues of senders. By default, no sender has a rate.
    pub sending: SenderQueues,
    /// The time that each request takes; its effect comes at the end.
    pub latency: Duration,
    /// The delay after which a new resource appears in lists and look-ups by filter or name: Twilio promises no
    /// consistency there.
    pub listing_delay: Duration,
    /// The time that an interaction's channel stays in `setup`.
    pub interaction_setup: Duration,
    /// The result of an agent's interaction with a customer who is in another conversation with the same sender.
    pub busy_interaction: BusyInteraction,
    /// The account's `DefaultInactiveTimer`: the time without a message or a new participant after which a
    /// conversation without its own timer becomes inactive, at least a minute. `None`: never (Twilio's default).
    pub default_inactive_timer: Option<Duration>,
    /// The account's `DefaultClosedTimer`: the same for closing a conversation, at least ten minutes.
    pub default_closed_timer: Option<Duration>,
    /// The time for which an ended task (`completed`, `canceled`) can still be fetched and listed: five minutes
    /// (Twilio's page "Lifecycle of a Task: Task state"). `None`: for ever.
    pub ended_tasks_kept: Option<Duration>,
    pub faults: Faults,
    /// The base of the URLs in replies; without it, the address that the client called.
    pub public_url: Option<String>,
    /// The file that records every request with its reply, as JSON lines, for `tests/oracle/check_openapi.py`.
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

/// The result of an agent's interaction with a busy customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusyInteraction {
    /// It becomes active, with a task, and with a conversation without the customer (twilio/twilio-php#784).
    Empty,
    /// Its channel fails with 50416, and there is neither a task nor a conversation (no source).
    Fails,
}

/// Points that no source confirms. `docs/simulator.md` explains each default.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent yes-or-no questions to Twilio, one each"
)]
pub struct Assumptions {
    /// The status of 45208, 80603, 80103, 80604, 80609, 80612 and 50307, whose sources name only the code.
    pub conflict_status: u16,
    /// The key by which an existing Flex Channel is found (get-or-create): its target or its identity.
    pub channel_key: ChannelKey,
    /// Whether a second request for an existing channel creates a second task.
    pub repeated_channel_makes_task: bool,
    /// The status of a created message interaction: 200 in the OpenAPI, 201 in SDK fixtures.
    pub message_interaction_status: u16,
    /// The status of a removed Proxy participant: 200 in the OpenAPI, 204 in SDK fixtures.
    pub participant_delete_status: u16,
    /// Whether `GET Sessions/{UniqueName}` finds a session.
    pub session_by_unique_name: bool,
    /// Whether a closed session keeps its unique name.
    pub closed_sessions_keep_names: bool,
    /// Whether a session with an invalid inline participant is not created at all.
    pub atomic_session_create: bool,
    /// Whether a message interaction on the agent's participant reaches the customer.
    pub agent_interaction_reaches_customer: bool,
    /// Whether a message interaction on the customer's participant reaches the customer.
    pub customer_interaction_reaches_customer: bool,
    /// Whether a chat message in a channel with `proxySession` is relayed to the customer.
    pub chat_message_reaches_customer: bool,
    /// Whether `GET` works on Interactions (Twilio's limits page says it does not).
    pub interactions_can_be_fetched: bool,
    /// Whether Flex Channels and Programmable Chat still work after 2026-06-01; otherwise they reply with 410/20410.
    pub legacy_apis_answer: bool,
    /// Whether lists of Workers show attributes (null in the OpenAPI, but its example and SDK fixtures have them).
    pub worker_lists_show_attributes: bool,
    /// The status of 21611 (a sender's queue is full), whose page names only the code.
    pub queue_full_status: u16,
    /// `Retry-After` of a 429, in seconds. Twilio does not promise it for these APIs.
    pub retry_after_secs: Option<u32>,
}

/// The key of a customer in a Flex Flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelKey {
    /// `Target`, or `Identity` without a target.
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
            handle_time: None,
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
