//! The domain: plain data, no I/O, no clock.
//!
//! A [`Message`] is one customer's turn in a campaign: what the queue carries and the ledger keeps.

mod address;
mod attribute;
mod ids;
mod journal;
mod names;
mod outcome;
mod refusal;
mod schema;
mod segments;
mod sender;
mod wire;

pub use address::{Address, InvalidAddress, in_error, is_like_a_number, masked};
pub use attribute::attribute_name;
pub use ids::{CampaignId, InvalidId, MessageId, Name};
pub use journal::{Assignee, Effects, Event, IllegalEvent, Saga, StepName};
pub(crate) use names::closed_list;
pub use names::{Api, Channel, Strategy};
pub use outcome::{
    DeadReason, DeferReason, Ended, Failure, FailureClass, PauseCause, RejectReason, SkipReason,
    Unavailable, UnknownReason,
};
pub use refusal::Refusal;
pub use schema::schema_of;
pub use segments::{Segments, SmsEncoding};
pub use sender::{SenderKind, check_sender_name, is_short_code, sender_for};
pub use wire::{MESSAGE_BYTES_MAX, Unreadable, WIRE_VERSION};

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use wire::wire_version;

/// One customer's turn in a campaign.
///
/// This is the JSON on the wire too: `campaign` and `customer.address` are required, everything
/// else has a default, and unknown fields are refused so that a publisher's typing error is seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// The wire format's version; absent means 1.
    #[serde(default = "wire_version")]
    #[schemars(schema_with = "schema::known_version")]
    pub version: u32,
    /// The campaign it belongs to; also the routing key.
    pub campaign: CampaignId,
    /// The publisher's own id, unique within the campaign. Without one: a hash of the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<MessageId>,
    /// Whom we write to.
    pub customer: Customer,
    /// The Flex worker who gets the task; without one the campaign's default, or none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentRef>,
    /// The sender it is written from: one of the campaign's, fixed when the message is accepted. Without
    /// one the campaign chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<Address>,
    /// Overrides the campaign's strategy for this message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// The text as the customer will read it, already rendered; without one the campaign's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The variables of the campaign's content template, already rendered; without any the campaign's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub content_variables: BTreeMap<String, String>,
    /// Not to be begun before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// Not to be begun after this time: then it is skipped as expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// Whom a message is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Customer {
    /// The number or identity the campaign's channel reaches.
    pub address: Address,
    /// The name, for the template and for the agent's screen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The IANA time zone, for quiet hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Anything else that is known of the customer: template variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, serde_json::Value>,
}

/// Names an agent: a Worker's SID, friendly name or identity.
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
