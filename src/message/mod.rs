//! The domain: plain data, no I/O, no clock.
//!
//! A [`Message`] is one customer's turn in a campaign: what the queue carries and the ledger keeps.

mod address;
mod ids;
mod journal;
mod names;
mod outcome;
mod segments;
mod sender;

pub use address::{Address, InvalidAddress, masked};
pub use ids::{CampaignId, InvalidId, MessageId, Name};
pub use journal::{Assignee, Effects, Event, IllegalEvent, Saga, StepName};
pub(crate) use names::closed_list;
pub use names::{Api, Channel, Strategy};
pub use outcome::{
    DeadReason, DeferReason, Ended, Failure, FailureClass, RejectReason, SkipReason, Unavailable,
    UnknownReason,
};
pub use segments::{Segments, SmsEncoding};
pub use sender::{SenderKind, check_sender_name, is_short_code, sender_for};

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The version of the wire format this program writes and the only one it reads.
pub const WIRE_VERSION: u32 = 1;

/// One customer's turn in a campaign.
///
/// This is the JSON on the wire too: `campaign` and `customer.address` are required, everything
/// else has a default, and unknown fields are refused so that a publisher's typing error is seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// The wire format's version; absent means 1.
    #[serde(default = "wire_version")]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentRef {
    /// The SID (`WK...`), friendly name or identity of the Worker.
    pub worker: String,
}

impl Message {
    /// Reads a message from the wire.
    ///
    /// # Errors
    ///
    /// A sentence that names the field or place that is wrong, without the address.
    pub fn from_json(body: &[u8]) -> Result<Self, String> {
        let message: Self = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        if message.version != WIRE_VERSION {
            return Err(format!(
                "version {} is not known here; this program reads version {WIRE_VERSION}",
                message.version
            ));
        }
        Ok(message)
    }

    /// Writes the message for the wire.
    ///
    /// # Panics
    ///
    /// Never: every map in a message has text keys, which is all JSON asks for.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a message has text keys only")
    }

    /// The message's id: the publisher's, or the hash of the address.
    #[must_use]
    pub fn id(&self) -> MessageId {
        self.id
            .clone()
            .unwrap_or_else(|| MessageId::of_address(&self.customer.address))
    }
}

fn wire_version() -> u32 {
    WIRE_VERSION
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_message_has_a_campaign_and_an_address() {
        let text = br#"{"campaign":"spring","customer":{"address":"+12025550173"}}"#;
        let message = Message::from_json(text).expect("a message");
        assert_eq!(message.version, 1);
        assert_eq!(
            message.id(),
            MessageId::of_address(&message.customer.address)
        );
        let again = Message::from_json(&message.to_json()).expect("its own JSON");
        assert_eq!(again, message);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let table: [(&[u8], &str); 5] = [
            (b"{", "EOF"),
            (br#"{"campaign":"spring"}"#, "customer"),
            (
                br#"{"campaign":"Spring!","customer":{"address":"+1"}}"#,
                "only a-z",
            ),
            (
                br#"{"campaign":"spring","customer":{"address":"+1","phone":"2"}}"#,
                "phone",
            ),
            (
                br#"{"version":2,"campaign":"spring","customer":{"address":"+1"}}"#,
                "version 2",
            ),
        ];
        for (body, named) in table {
            let error = Message::from_json(body).expect_err("it is malformed");
            assert!(error.contains(named), "{error} should name {named}");
        }
    }
}
