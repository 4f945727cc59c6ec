//! Pauses of everything, of a sender or of an agent, in all campaigns. A campaign's own pause is its state.

use std::fmt;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::Actor;
use crate::ledger::{LedgerError, Result};
use crate::message::Address;

/// What is paused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PauseScope {
    /// Every campaign, those that are applied later included.
    All,
    /// Messages from this sender.
    Sender(Address),
    /// Messages for this agent, by a name of the agent as messages have it: the Worker's SID, friendly name or identity.
    Agent(String),
}

impl PauseScope {
    /// The words that the table `pauses` stores: the kind of the scope, and the name.
    pub(in crate::ledger) fn columns(&self) -> [&str; 2] {
        match self {
            Self::All => ["all", ""],
            Self::Sender(sender) => ["sender", sender.as_str()],
            Self::Agent(agent) => ["agent", agent],
        }
    }

    /// Reads the words of [`PauseScope::columns`].
    pub(in crate::ledger) fn read(scope: &str, name: &str) -> Result<Self> {
        match scope {
            "all" => Ok(Self::All),
            "sender" => match Address::parse(name) {
                Ok(sender) => Ok(Self::Sender(sender)),
                Err(_) => Err(LedgerError::Damaged("a paused sender".to_owned())),
            },
            "agent" => Ok(Self::Agent(name.to_owned())),
            other => Err(LedgerError::Damaged(format!("a pause of {other}"))),
        }
    }
}

/// As a phrase: "everything", "sender +12025550100", "agent alice".
impl fmt::Display for PauseScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("everything"),
            Self::Sender(sender) => write!(f, "sender {sender}"),
            Self::Agent(agent) => write!(f, "agent {agent}"),
        }
    }
}

/// As an object with one key: `{"all": true}`, `{"sender": "+12025550100"}` or `{"agent": "alice"}`.
impl Serialize for PauseScope {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::All => serializer.collect_map([("all", true)]),
            Self::Sender(sender) => serializer.collect_map([("sender", sender.as_str())]),
            Self::Agent(agent) => serializer.collect_map([("agent", agent)]),
        }
    }
}

/// A pause of everything, of a sender or of an agent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScopedPause {
    #[serde(flatten)]
    pub scope: PauseScope,
    pub by: Actor,
    pub reason: Option<String>,
    pub since: Timestamp,
}
