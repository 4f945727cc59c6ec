//! What its publisher is told of a message that was refused.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::wire::wire_version;
use super::{DeadReason, schema};

/// Tells a publisher that a message of its own was refused.
///
/// What lies on the exchange `flexcast.rejected`, under the routing key that the message had. The
/// message itself lies in `flexcast.dead`. A refusal holds no number and no text of the message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// The version of this format.
    #[serde(default = "wire_version")]
    #[schemars(schema_with = "schema::known_version")]
    pub version: u32,
    /// The routing key it was published under: its campaign, if there is one of this id.
    pub campaign: String,
    /// Its `id`; without one that can be read the AMQP property `message_id`.
    pub id: Option<String>,
    /// Why.
    #[schemars(schema_with = "schema::refusal_reasons")]
    pub reason: DeadReason,
    /// One sentence for whoever mends the publisher.
    pub detail: String,
    /// When it was refused.
    pub at: Timestamp,
}

impl DeadReason {
    /// Why a message is refused before anything was done for it: what its publisher is told.
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
