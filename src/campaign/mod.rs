//! A campaign: the checked contents of the campaign file, completed with discovered values.
//!
//! In: a TOML file, and the account. Out: a [`Campaign`], by which all its messages are processed. Always: unknown
//! keys are refused; no value is guessed if Twilio has none or several.

mod texts;

mod apply;
mod arrival;
mod changes;
mod discovery;
mod file;
mod rules;
mod schema;
mod senders;
mod task;
mod times;

pub use apply::{Applied, ApplyError, apply};
pub use arrival::{Arrivals, Refused};
pub use changes::{Difference, KeyChange, conversions, key_changes};
pub use discovery::{DiscoveryError, discover};
pub use file::{CampaignError, load, parse};
pub use rules::{Notice, PLACEHOLDER_BODY, check, matrix};
pub use texts::content::{ContentPart, Misfit, name_misfit};
pub use texts::sizes::{CHAT_NAME_MAX, NAME_MAX, PARTICIPANT_NAME_MAX, shortened};
pub use texts::template::{Template, UnknownColumns, unfit};
pub use texts::zones::iana_zone;
pub use texts::{OnMissing, Rendered, Texts};
pub(crate) use times::parse_duration;
use times::{duration_text, moment_text};

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::message::{Address, Api, CampaignId, Channel, Strategy};
use crate::pacing::Quota;

/// One bulk send: a strategy, a sender, limits. Also the JSON that the ledger stores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Campaign {
    pub id: CampaignId,
    pub strategy: Strategy,
    #[serde(default)]
    pub api: Api,
    pub channel: Channel,
    /// The sender: a number (E.164), a short code, `messenger:<page id>`, or the sender's name on a custom channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<Address>,
    /// Several senders instead of one: each customer always gets messages from the same one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub senders: Vec<Address>,
    /// The template of the text; rendered once for each message, at import or on arrival.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// A Twilio content template (`HX...`) instead of `body`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_sid: Option<String>,
    /// The content template's variables; each value is itself a template.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub content_variables: BTreeMap<String, String>,
    /// The substitute for a value that is missing and has no `default`.
    #[serde(default)]
    pub on_missing: OnMissing,
    /// The country (ISO 3166-1 alpha-2) of numbers that are written without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_region: Option<String>,
    /// When its first message may begin. Before, no consumer takes its messages.
    #[serde(default, with = "moment_text", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub start_at: Option<Timestamp>,
    /// When its last message may begin. Messages that have not begun by then are skipped as expired.
    #[serde(default, with = "moment_text", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub end_at: Option<Timestamp>,
    /// The time after which open sessions and conversations close: Proxy's `Ttl`, Conversations' `Timers.Closed`.
    #[serde(default = "default_time_to_live", with = "duration_text")]
    #[schemars(with = "String")]
    pub time_to_live: Duration,
    /// The rule for a customer who is in a conversation or session of another program.
    #[serde(default)]
    pub when_open: WhenOpen,
    #[serde(default)]
    pub flex: Flex,
    #[serde(default)]
    pub task: TaskSettings,
    #[serde(default)]
    pub agents: Agents,
    #[serde(default)]
    pub conversations: ConversationsSettings,
    #[serde(default)]
    pub proxy: ProxySettings,
    #[serde(default)]
    pub pace: Pace,
}

/// The account's resources that a campaign uses. Missing keys are discovered when the campaign is applied.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Flex {
    /// `WS...`
    pub workspace_sid: Option<String>,
    /// `WW...`
    pub workflow_sid: Option<String>,
    /// `WQ...`
    pub queue_sid: Option<String>,
    /// The TaskRouter task channel, by SID or unique name.
    pub task_channel: Option<String>,
    /// `IS...`: the service of Programmable Chat.
    pub chat_service_sid: Option<String>,
    /// `KS...`
    pub proxy_service_sid: Option<String>,
    /// `FO...`: the Flex Flow of the campaign's only sender.
    pub flex_flow_sid: Option<String>,
    /// `FO...` by sender, if there are several.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub flex_flow_sids: BTreeMap<Address, String>,
    /// `FW...`: the Studio flow that receives the customer's reply. Never guessed.
    pub studio_flow_sid: Option<String>,
}

/// The contents of the agent's task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TaskSettings {
    /// The time after which TaskRouter drops a waiting task.
    #[serde(with = "duration_text")]
    #[schemars(with = "String")]
    pub timeout: Duration,
    /// Columns of a file, or attributes of a publisher's message, that are copied into the attributes of the task
    /// and the Conversation: agents see them, workflows route by them, and they stay at Twilio.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub show: Vec<String>,
    /// Further task attributes; texts may be templates.
    pub attributes: BTreeMap<String, serde_json::Value>,
}

/// The agents that get the tasks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Agents {
    /// The agent for rows without one.
    pub default: Option<String>,
    /// The agents that replace an unavailable one, with [`WhenUnavailable::Next`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub list: Vec<String>,
    pub when_unavailable: WhenUnavailable,
}

/// The rule for a message whose agent is unavailable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenUnavailable {
    /// Wait for this agent.
    #[default]
    Hold,
    /// Assign the next agent of the campaign's list.
    Next,
    /// Create the task without a named agent: the workflow's queue assigns it.
    Queue,
    Skip,
}

/// The rule for a customer who is in a conversation or session of another program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenOpen {
    #[default]
    Skip,
    /// Try again later, until the message expires.
    Defer,
}

/// Settings of `api = "conversations"`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConversationsSettings {
    pub initiated_by: InitiatedBy,
    pub reply_to: ReplyTo,
    pub reply_routing: ReplyRouting,
    pub follow: Follow,
}

/// The initiator of an Interaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InitiatedBy {
    /// The agent when the message names one, else the API.
    #[default]
    Auto,
    Agent,
    Api,
}

/// The receiver of the customer's reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReplyTo {
    #[default]
    Studio,
    /// flexcast's own handler.
    Webhook,
}

/// The routing of the reply to an agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReplyRouting {
    #[default]
    Invite,
    Workflow,
}

/// The sign that an Interaction's set-up is complete. Twilio's pages disagree on whether the Interaction's channels
/// can be read ("GET actions are not accessible" against the OpenAPI).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Follow {
    /// The Interaction channel's status.
    #[default]
    Channel,
    /// The task's existence in TaskRouter.
    Task,
}

/// Settings of `api = "proxy"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProxySettings {
    pub customer_proxy: CustomerProxy,
    pub message_participant: MessageParticipant,
    /// The task attribute from which the workflow reads the agent.
    pub target_attribute: String,
    /// The template of that attribute's value.
    pub target_value: String,
    /// Whether Twilio's Channel Janitor removes sessions whose task was deleted.
    pub janitor: bool,
}

/// The chooser of the number that the customer sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CustomerProxy {
    /// The campaign's sender.
    #[default]
    Sender,
    /// Proxy, from its pool, as on Twilio's page.
    Pool,
}

/// The resource to which the message of `task_on_reply` is posted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageParticipant {
    /// The agent's Proxy participant, as on Twilio's page.
    #[default]
    Agent,
    /// The customer's Proxy participant, as in Proxy's documentation.
    Customer,
    /// The chat channel; Proxy relays it.
    Chat,
}

/// The pace of a campaign. Without a key, only the account's limits apply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Pace {
    /// The rate of started messages of the whole campaign.
    pub campaign: Option<Quota>,
    /// The rate of started messages for each agent.
    pub agent: Option<Quota>,
    /// The campaign's weight when it shares capacity with other campaigns that run at the same time.
    pub weight: NonZeroU32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            campaign: None,
            agent: None,
            weight: NonZeroU32::MIN,
        }
    }
}

impl Default for TaskSettings {
    fn default() -> Self {
        Self {
            // TaskRouter's default: 24 hours.
            timeout: Duration::from_secs(24 * 60 * 60),
            show: Vec::new(),
            attributes: BTreeMap::new(),
        }
    }
}

impl Default for ProxySettings {
    fn default() -> Self {
        Self {
            customer_proxy: CustomerProxy::default(),
            message_participant: MessageParticipant::default(),
            target_attribute: "targetWorker".to_owned(),
            target_value: "client:{{ agent.identity }}".to_owned(),
            janitor: true,
        }
    }
}

impl Campaign {
    /// Whether a message of the campaign's default strategy must name its agent.
    #[must_use]
    pub fn needs_agent(&self) -> bool {
        self.api == Api::Conversations
            && self.strategy == Strategy::TaskNow
            && self.conversations.initiated_by == InitiatedBy::Agent
    }

    /// Whether a template uses the customer's name.
    #[must_use]
    pub fn names_the_customer(&self) -> bool {
        let mut texts = self.body.iter().chain(self.content_variables.values());
        texts.any(|text| text.contains("customer.name"))
    }

    /// Whether the campaign has a text or template to send.
    #[must_use]
    pub fn has_content(&self) -> bool {
        self.body.is_some() || self.content_sid.is_some()
    }
}

fn default_time_to_live() -> Duration {
    Duration::from_secs(72 * 60 * 60)
}
