//! A campaign: what the campaign file says, checked, with everything discovered filled in.
//!
//! In: a TOML file, and the account. Out: a [`Campaign`] every message of it is carried out by.
//! Always: unknown keys are refused; nothing is guessed where Twilio offers none or several.

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

pub use apply::{Applied, ApplyError, apply};
pub use arrival::{Arrivals, Refused};
pub use changes::{Difference, conversions};
pub use discovery::{DiscoveryError, discover};
pub use file::{CampaignError, load, parse};
pub use rules::{Notice, check, matrix};
pub use texts::content::{ContentPart, Misfit, name_misfit};
pub use texts::sizes::{CHAT_NAME_MAX, NAME_MAX, PARTICIPANT_NAME_MAX, shortened};
pub use texts::template::{Template, UnknownColumns, unfit};
pub use texts::zones::iana_zone;
pub use texts::{OnMissing, Rendered, Texts};

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::message::{Address, Api, CampaignId, Channel, Strategy};
use crate::pacing::Quota;

/// One bulk send: a strategy, a sender, limits. Also the JSON that the ledger keeps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Campaign {
    pub id: CampaignId,
    pub strategy: Strategy,
    #[serde(default)]
    pub api: Api,
    pub channel: Channel,
    /// Our number (E.164) or short code, `messenger:<page id>` or the name of our side of a custom
    /// channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<Address>,
    /// Several of them instead: each customer is written to from one, always the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub senders: Vec<Address>,
    /// The template of the text; rendered once a message, at import or on arrival.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// A content template of Twilio's (`HX...`) instead of `body`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_sid: Option<String>,
    /// The content template's variables; each value is a template of ours.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub content_variables: BTreeMap<String, String>,
    /// What stands in for a particular that is missing and has no `default`.
    #[serde(default)]
    pub on_missing: OnMissing,
    /// The country (ISO 3166-1 alpha-2) of numbers that are written without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_region: Option<String>,
    /// When open sessions and conversations close: Proxy's `Ttl`, Conversations' `Timers.Closed`.
    #[serde(default = "default_time_to_live", with = "duration_text")]
    #[schemars(with = "String")]
    pub time_to_live: Duration,
    /// What to do with a customer who is in a conversation or session that is not ours.
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

/// The account's own things a campaign stands on. What is missing is discovered on apply.
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
    /// `IS...`: Programmable Chat's service.
    pub chat_service_sid: Option<String>,
    /// `KS...`
    pub proxy_service_sid: Option<String>,
    /// `FO...`: of a campaign's only sender.
    pub flex_flow_sid: Option<String>,
    /// `FO...` by sender, where there are several.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub flex_flow_sids: BTreeMap<Address, String>,
    /// `FW...`: the Studio flow that takes the customer's reply. Never guessed.
    pub studio_flow_sid: Option<String>,
}

/// What the agent's task carries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TaskSettings {
    /// How long a task may wait before TaskRouter drops it.
    #[serde(with = "duration_text")]
    #[schemars(with = "String")]
    pub timeout: Duration,
    /// Columns of a file, or attributes of a publisher's, that stand in the task's and the Conversation's attributes:
    /// agents see them, workflows route by them, and they stay at Twilio.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub show: Vec<String>,
    /// Beside them; texts may be templates.
    pub attributes: BTreeMap<String, serde_json::Value>,
}

/// Who gets the tasks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Agents {
    /// For rows without an agent.
    pub default: Option<String>,
    /// Who takes what another agent cannot, with [`WhenUnavailable::Next`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub list: Vec<String>,
    pub when_unavailable: WhenUnavailable,
}

/// What to do with a message whose agent cannot take it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenUnavailable {
    /// Wait for this agent.
    #[default]
    Hold,
    /// Take the next agent of the campaign's list.
    Next,
    /// Let the queue have it, without a named agent.
    Queue,
    Skip,
}

/// What to do with a customer who is in somebody else's conversation or session.
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

/// Who an Interaction is initiated by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InitiatedBy {
    /// The agent when the message names one, else the API.
    #[default]
    Auto,
    Agent,
    Api,
}

/// What takes the customer's reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReplyTo {
    #[default]
    Studio,
    /// flexcast's own handler.
    Webhook,
}

/// How the reply finds its agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReplyRouting {
    #[default]
    Invite,
    Workflow,
}

/// What tells that an Interaction's set-up is over. Twilio's pages disagree on whether the
/// Interaction's channels can be read ("GET actions are not accessible" against the OpenAPI).
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
    /// The task attribute that the workflow reads the agent from.
    pub target_attribute: String,
    /// The template of its value.
    pub target_value: String,
    /// Whether Twilio's Channel Janitor removes sessions whose task was deleted.
    pub janitor: bool,
}

/// Who chooses the number the customer sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CustomerProxy {
    /// The campaign's sender.
    #[default]
    Sender,
    /// Proxy, out of its pool: as on Twilio's page.
    Pool,
}

/// Where the message of `task_on_reply` is posted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageParticipant {
    /// The agent's Proxy participant: as on Twilio's page.
    #[default]
    Agent,
    /// The customer's Proxy participant: as in Proxy's own documentation.
    Customer,
    /// The chat channel; Proxy relays it.
    Chat,
}

/// How fast a campaign may go. Without a key: as fast as the account's limits let it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Pace {
    /// Messages begun, over the whole campaign.
    pub campaign: Option<Quota>,
    /// Messages begun, for each agent.
    pub agent: Option<Quota>,
    /// Its part of what it shares with other campaigns that run at the same time, beside theirs.
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
            // TaskRouter's own default: 24 hours.
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
    /// Whether a message of the campaign's own strategy must name its agent.
    #[must_use]
    pub fn needs_agent(&self) -> bool {
        self.api == Api::Conversations
            && self.strategy == Strategy::TaskNow
            && self.conversations.initiated_by == InitiatedBy::Agent
    }

    /// Whether a text names the customer.
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

/// Reads a duration with its unit, such as `72h`, `90m` or `1h 30m`.
///
/// # Errors
///
/// A sentence that shows what is taken.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let signed = text.parse::<jiff::SignedDuration>();
    let duration = signed
        .ok()
        .and_then(|signed| Duration::try_from(signed).ok());
    duration.ok_or_else(|| {
        format!("{text:?} is no duration; write one such as \"72h\", \"90m\" or \"1h 30m\"")
    })
}

/// Durations as text with units ("72h", "1h 30m").
mod duration_text {
    use std::time::Duration;

    use jiff::SignedDuration;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(value: &Duration, s: S) -> Result<S::Ok, S::Error> {
        let signed = SignedDuration::try_from(*value).unwrap_or(SignedDuration::MAX);
        s.collect_str(&format_args!("{signed:#}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        super::parse_duration(&String::deserialize(d)?).map_err(de::Error::custom)
    }
}
