//! What a mark says: the attributes of its User, and the identity by which it is found.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::ledger::Incarnation;
use crate::message::CampaignId;

/// The state of a ledger as its last process has left it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LedgerMark {
    /// The ledger's id.
    pub(super) ledger: String,
    #[serde(flatten)]
    pub(super) incarnation: Incarnation,
    /// Whether that process may still work: it has not said that it ended.
    pub(super) running: bool,
    /// Where the ledger's store is, as a digest.
    pub(super) place: String,
    /// The machine and the ledger there, for operators.
    pub(super) location: String,
    /// When it was written, by that machine's clock.
    pub(super) at: Timestamp,
}

/// Which ledger runs a campaign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CampaignMark {
    pub(super) campaign: CampaignId,
    /// The ledger's id.
    pub(super) ledger: String,
    /// The incarnation that began with the campaign.
    #[serde(flatten)]
    pub(super) incarnation: Incarnation,
    /// The machine and the ledger there, for operators.
    pub(super) location: String,
    /// When it was written, by that machine's clock.
    pub(super) at: Timestamp,
}

/// The identity of a ledger's mark.
pub(super) fn of_ledger(id: &str) -> String {
    format!("fc-ledger-{id}")
}

/// The identity of a campaign's mark: a campaign id may have characters that a path does not take.
pub(super) fn of_campaign(id: &CampaignId) -> String {
    format!("fc-campaign-{}", digest(id.as_str()))
}

/// 32 hex digits of SHA-256: a place holds the path of a file.
pub(super) fn digest(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    hex[..32].to_owned()
}

/// A mark as attributes.
pub(super) fn to_attributes(mark: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(mark) {
        Ok(Value::Object(attributes)) => attributes,
        // Structures of text and numbers are objects.
        _ => Map::new(),
    }
}

/// A mark from attributes; `None` when they are no such mark: somebody has overwritten them.
pub(super) fn from_attributes<T: for<'de> Deserialize<'de>>(
    attributes: Map<String, Value>,
) -> Option<T> {
    serde_json::from_value(Value::Object(attributes)).ok()
}
