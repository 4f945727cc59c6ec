//! The domain types: plain data without I/O and without a clock.
//!
//! A [`Message`] is one campaign's message to one customer. The queue carries it and the ledger stores it.

mod names;
mod ids;
mod address;
mod sender;
mod attribute;
mod segments;
mod step_name;
mod journal;
mod outcome;
mod wire;
mod schema;
mod refusal;

pub use address::{Address, InvalidAddress, in_error, is_like_a_number, masked};
pub use attribute::attribute_name;
pub use ids::{CampaignId, InvalidId, MessageId, Name};
pub use journal::{Assignee, Effects, Event, IllegalEvent, Saga};
pub(crate) use names::closed_list;
pub use names::{Api, Channel, Strategy};
pub use outcome::{
    DeadReason, Ended, Failure, FailureClass, OpenState, PauseCause, RejectReason, SkipReason,
    Unavailable, UnknownReason, WaitReason,
};
pub use refusal::Refusal;
pub use schema::schema_of;
pub use segments::{Segments, SmsEncoding};
pub use sender::{SenderKind, check_sender_name, is_short_code, sender_for};
pub use step_name::StepName;
pub use wire::{MESSAGE_BYTES_MAX, Unreadable, WIRE_VERSION};

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use wire::wire_version;

/// One customer's turn in a campaign.
///
/// This is also the JSON on the wire: `campaign` and `customer.address` are required, every other field has a
/// default. An unknown field is an error, so that a publisher notices a misspelt name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// The version of the wire format; absent means 1.
    #[serde(default = "wire_version")]
    #[schemars(schema_with = "schema::known_version")]
    pub version: u32,
    /// The campaign that the message belongs to; also the AMQP routing key.
    pub campaign: CampaignId,
    /// The publisher's own id, unique within the campaign. Without one: a hash of the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<MessageId>,
    /// The recipient.
    pub customer: Customer,
    /// The Flex Worker who gets the task. Absent: the campaign's default agent, or none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentRef>,
    /// The sender of the text message: one of the campaign's senders, fixed when the message is accepted. Absent:
    /// the campaign chooses one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<Address>,
    /// Overrides the campaign's strategy for this message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// The text, already rendered. Absent: the campaign's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The variables of the campaign's content template, already rendered. Empty: the campaign's variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub content_variables: BTreeMap<String, String>,
    /// Processing does not begin before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// Processing does not begin after this time: the message is skipped as expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// The recipient of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Customer {
    /// The phone number or identity that the campaign's channel can reach.
    pub address: Address,
    /// The name, for templates and for the agent's screen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The IANA time zone, for quiet hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Further data about the customer, for templates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, serde_json::Value>,
}

/// A reference to an agent: a Worker's SID, friendly name or identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentRef {
    /// The SID (`WK...`), friendly name or identity of the Worker.
    pub worker: String,
}

impl Message {
    /// The message's id: the publisher's, or the hash of the address.
    #[must_use]
    pub fn id(&self) -> MessageId {
        self.id
            .clone()
            .unwrap_or_else(|| MessageId::of_address(&self.customer.address))
    }
}
