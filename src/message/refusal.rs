//! Refusals: notices to publishers about messages that were refused.

use jiff::Timestamp;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use super::wire::wire_version;
use super::{DeadReason, schema};

/// Tells a publisher that one of its messages was refused.
///
/// Refusals are published to the exchange `flexcast.rejected` under the message's routing key. The message itself
/// is moved to `flexcast.dead`. A refusal holds no number and no text of the message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// The version of this format.
    #[serde(default = "wire_version")]
    #[schemars(schema_with = "schema::known_version")]
    pub version: u32,
    /// The routing key of the message: its campaign's id, if such a campaign exists.
    pub campaign: String,
    /// The `id` of the message. If it cannot be read: the AMQP property `message_id`.
    pub id: Option<String>,
    /// The reason.
    #[schemars(schema_with = "schema::refusal_reasons")]
    pub reason: DeadReason,
    /// One sentence for the developer of the publisher.
    pub detail: String,
    /// The time of the refusal.
    pub at: Timestamp,
}

impl Refusal {
    /// The schema of the refusals that publishers receive.
    #[must_use]
    pub fn schema() -> Schema {
        schema::schema_of::<Self>()
    }
}

impl DeadReason {
    /// The reasons for which a message is refused before it is processed; its publisher gets a [`Refusal`].
    pub const REFUSALS: &'static [Self] = &[
        Self::Malformed,
        Self::Oversized,
        Self::WrongVersion,
        Self::NoCampaign,
        Self::InvalidAddress,
        Self::InvalidContent,
        Self::UnknownAgent,
        Self::StoreRefused,
    ];
}
