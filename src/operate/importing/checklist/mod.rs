//! The check-list of a preview: an ordered list of items, each with a state, a code and a sentence.
//!
//! In: a preview, the agents at Twilio, the ledger's part, the forecast. Out: the items, in reading order. Always: pure;
//! the codes are stable, so that scripts can use them; no full number of a customer is in a sentence.

mod agents;
mod customers;
mod file;
mod texts;
mod time;

pub(super) use time::waits_for_agents;

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::campaign::Campaign;
use crate::intake::{Preview, SharedIds};
use crate::message::closed_list;
use crate::operate::forecast::Forecast;

use super::agents::AgentsAtTwilio;
use super::assumptions::PreviewAssumptions;
use super::rules::FileRules;
use super::so_far::CampaignSoFar;

/// The state of an item, or of a whole check-list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    #[default]
    Ok,
    /// The import goes on, and the operator should know this before.
    Warn,
    /// The import does not go on.
    Stop,
}

closed_list!(CheckState {
    Ok => "ok",
    Warn => "warn",
    Stop => "stop",
});

/// What an item is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckCode {
    File,
    Columns,
    Note,
    Ledger,
    Campaign,
    Rows,
    Rejected,
    Duplicates,
    InCampaign,
    SharedIds,
    RowWarnings,
    RecentElsewhere,
    Agents,
    UnknownAgents,
    AmbiguousAgents,
    UncheckedAgents,
    NoAgent,
    Texts,
    ContentVariables,
    WhatsappWindow,
    Segments,
    Unicode,
    Cost,
    ToSend,
    Capacity,
    Start,
    Duration,
    End,
}

closed_list!(CheckCode {
    File => "file",
    Columns => "columns",
    Note => "note",
    Ledger => "ledger",
    Campaign => "campaign",
    Rows => "rows",
    Rejected => "rejected",
    Duplicates => "duplicates",
    InCampaign => "in_campaign",
    SharedIds => "shared_ids",
    RowWarnings => "row_warnings",
    RecentElsewhere => "recent_elsewhere",
    Agents => "agents",
    UnknownAgents => "unknown_agents",
    AmbiguousAgents => "ambiguous_agents",
    UncheckedAgents => "unchecked_agents",
    NoAgent => "no_agent",
    Texts => "texts",
    ContentVariables => "content_variables",
    WhatsappWindow => "whatsapp_window",
    Segments => "segments",
    Unicode => "unicode",
    Cost => "cost",
    ToSend => "to_send",
    Capacity => "capacity",
    Start => "start",
    Duration => "duration",
    End => "end",
});

/// One item of a check-list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CheckItem {
    pub code: CheckCode,
    pub state: CheckState,
    /// One or a few sentences.
    pub text: String,
    /// Examples and parts, one line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
    /// Numbers by name, for scripts.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub counts: BTreeMap<String, u64>,
}

impl CheckItem {
    fn new(code: CheckCode, state: CheckState, text: impl Into<String>) -> Self {
        Self {
            code,
            state,
            text: text.into(),
            details: Vec::new(),
            counts: BTreeMap::new(),
        }
    }

    fn ok(code: CheckCode, text: impl Into<String>) -> Self {
        Self::new(code, CheckState::Ok, text)
    }

    fn warn(code: CheckCode, text: impl Into<String>) -> Self {
        Self::new(code, CheckState::Warn, text)
    }

    fn stop(code: CheckCode, text: impl Into<String>) -> Self {
        Self::new(code, CheckState::Stop, text)
    }

    fn details(mut self, details: impl IntoIterator<Item = String>) -> Self {
        self.details.extend(details);
        self
    }

    fn counts<K: ToString>(mut self, counts: impl IntoIterator<Item = (K, u64)>) -> Self {
        let counts = counts.into_iter();
        self.counts
            .extend(counts.map(|(name, count)| (name.to_string(), count)));
        self
    }
}

/// Everything that a check-list is made from.
pub(super) struct Checked<'a> {
    pub(super) campaign: &'a Campaign,
    pub(super) preview: &'a Preview,
    pub(super) so_far: &'a CampaignSoFar,
    pub(super) rules: &'a FileRules,
    pub(super) shared_ids: Option<&'a SharedIds>,
    /// The messages of each agent: new and open ones.
    pub(super) by_agent: &'a BTreeMap<String, u64>,
    pub(super) agents: &'a AgentsAtTwilio,
    pub(super) assumptions: &'a PreviewAssumptions,
    pub(super) forecast: &'a Forecast,
    /// When its first message may begin.
    pub(super) begins_at: Timestamp,
    /// How many messages will not begin before the campaign's end, if it has one.
    pub(super) late: Option<u64>,
    pub(super) now: Timestamp,
    pub(super) zone: &'a TimeZone,
}

impl Checked<'_> {
    /// The messages that are to be sent from here: new and open ones.
    fn to_send(&self) -> u64 {
        self.preview.acceptable + self.so_far.open.messages
    }

    /// All items, in reading order.
    pub(super) fn items(&self) -> Vec<CheckItem> {
        let groups = [
            self.of_file(),
            self.of_customers(),
            self.of_agents(),
            self.of_texts(),
            self.of_time(),
        ];
        groups.into_iter().flatten().collect()
    }
}
