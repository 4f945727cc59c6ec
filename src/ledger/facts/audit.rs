//! The audit: which operation changed something, who carried it out, when and why.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Actor, Books, CampaignState, PauseScope, StateChange};
use crate::message::{CampaignId, MessageId, closed_list};

/// An operation that the audit records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationName {
    /// A campaign file was applied.
    Apply,
    /// A campaign's pace was changed.
    Pace,
    /// A campaign, a sender, an agent or everything was paused.
    Pause,
    /// A pause was ended.
    Resume,
    Cancel,
    /// The messages of a cancelled campaign that had not begun were skipped.
    Skip,
    /// A campaign was closed to new messages.
    Finish,
    /// An import began, or went on after an interruption.
    Import,
    /// An import accounted for its last row.
    ImportEnd,
    /// An unknown message was settled.
    Settle,
}

closed_list!(OperationName {
    Apply => "apply",
    Pace => "pace",
    Pause => "pause",
    Resume => "resume",
    Cancel => "cancel",
    Skip => "skip",
    Finish => "finish",
    Import => "import",
    ImportEnd => "import_end",
    Settle => "settle",
});

/// An operation, to be recorded in the transaction of its change.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditedOperation {
    pub by: Actor,
    pub name: OperationName,
    /// None: the operation concerns all campaigns.
    pub campaign: Option<CampaignId>,
    /// The message, if the operation concerns one.
    pub message: Option<MessageId>,
    /// An object with the operation's arguments. It has no secret and no customer's number.
    pub arguments: Value,
    pub reason: Option<String>,
}

impl AuditedOperation {
    /// An operation on a campaign, without a reason.
    #[must_use]
    pub fn on(by: Actor, name: OperationName, campaign: &CampaignId, arguments: Value) -> Self {
        Self {
            by,
            name,
            campaign: Some(campaign.clone()),
            message: None,
            arguments,
            reason: None,
        }
    }

    /// A change of a campaign's state. None for [`StateChange::Reopen`]: a finished campaign runs again because of another
    /// operation, or because a publisher sends messages.
    #[must_use]
    pub fn of_change(change: &StateChange, campaign: &CampaignId) -> Option<Self> {
        let (name, by, reason) = match change {
            StateChange::Pause { by, reason } => (OperationName::Pause, by, reason.clone()),
            StateChange::Resume { by } => (OperationName::Resume, by, None),
            StateChange::Cancel { by, reason } => (OperationName::Cancel, by, reason.clone()),
            StateChange::Reopen { .. } => return None,
        };
        let arguments = serde_json::json!({});
        Some(Self {
            reason,
            ..Self::on(by.clone(), name, campaign, arguments)
        })
    }

    /// The begin (`is_paused`) or the end of a pause of everything, a sender or an agent.
    #[must_use]
    pub fn pause(by: Actor, scope: &PauseScope, is_paused: bool, reason: Option<String>) -> Self {
        let arguments = match scope {
            PauseScope::All => serde_json::json!({"all": true}),
            PauseScope::Sender(sender) => serde_json::json!({"sender": sender}),
            PauseScope::Agent(agent) => serde_json::json!({"agent": agent}),
        };
        Self {
            by,
            name: match is_paused {
                true => OperationName::Pause,
                false => OperationName::Resume,
            },
            campaign: None,
            message: None,
            arguments,
            reason,
        }
    }
}

/// How many messages a campaign has, or all campaigns together, by what an operation may change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageCounts {
    /// The campaign's state. None for all campaigns, and before a campaign exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<CampaignState>,
    pub open: u64,
    pub done: u64,
    pub skipped: u64,
    pub dead: u64,
    pub unknown: u64,
}

impl From<&Books> for MessageCounts {
    fn from(books: &Books) -> Self {
        Self {
            state: None,
            open: books.open(),
            done: books.done,
            skipped: books.skipped_total(),
            dead: books.dead_total(),
            unknown: books.unknown,
        }
    }
}

/// A row of the audit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AuditRow {
    /// Its place in the order of all operations, from 1.
    pub number: i64,
    pub at: Timestamp,
    pub by: Actor,
    pub operation: OperationName,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub campaign: Option<CampaignId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageId>,
    pub arguments: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The messages before the operation: of its campaign, or of all campaigns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<MessageCounts>,
    /// The messages after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<MessageCounts>,
}

/// Which rows of the audit are wanted.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Operations on this campaign, and those on all campaigns.
    pub campaign: Option<CampaignId>,
    /// Operations at this time or later.
    pub since: Option<Timestamp>,
}
