//! The contents of marks: the attributes of a User, and its identity.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::ledger::Incarnation;
use crate::message::CampaignId;

/// The state of a ledger as its last process left it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LedgerMark {
    /// The ledger's id.
    pub(super) ledger: String,
    #[serde(flatten)]
    pub(super) incarnation: Incarnation,
    /// Whether that process may still work: it has not recorded its end.
    pub(super) running: bool,
    /// A digest of the place of the ledger's store.
    pub(super) place: String,
    /// That process's machine and ledger, for operators.
    pub(super) location: String,
    /// When the mark was written, by that machine's clock.
    pub(super) at: Timestamp,
}

/// The ledger that runs a campaign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CampaignMark {
    pub(super) campaign: CampaignId,
    /// The ledger's id.
    pub(super) ledger: String,
    /// The incarnation that began the campaign.
    #[serde(flatten)]
    pub(super) incarnation: Incarnation,
    /// That process's machine and ledger, for operators.
    pub(super) location: String,
    /// When the mark was written, by that machine's clock.
    pub(super) at: Timestamp,
}

/// The identity of a ledger's mark.
pub(super) fn of_ledger(id: &str) -> String {
    format!("fc-ledger-{id}")
}

/// The identity of a campaign's mark. It is encoded, because a campaign id may have characters that are not allowed in
/// a path.
pub(super) fn of_campaign(id: &CampaignId) -> String {
    format!("fc-campaign-{}", digest(id.as_str()))
}

/// 32 hex digits of SHA-256, which hides a place that contains the path of a file.
pub(super) fn digest(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    hex[..32].to_owned()
}

/// Writes a mark as attributes.
pub(super) fn to_attributes(mark: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(mark) {
        Ok(Value::Object(attributes)) => attributes,
        // A structure of texts and numbers becomes an object.
        _ => Map::new(),
    }
}

/// Reads a mark from attributes; `None` when another program has overwritten them.
pub(super) fn from_attributes<T: for<'de> Deserialize<'de>>(
    attributes: Map<String, Value>,
) -> Option<T> {
    serde_json::from_value(Value::Object(attributes)).ok()
}
