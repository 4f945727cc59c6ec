//! Agents: resolves the names in rows and messages, and knows whether agents can take a task.
//!
//! In: names, and TaskRouter's data on Workers and their channels, read once for all campaigns and kept for a while.
//! Out: an agent; whether a message can begin for the agent; who gets it otherwise. Always: messages that began after a
//! reading are counted with it, so that no agent gets more tasks at a time than the channel allows.

mod choice;
mod directory;
mod capacity;
mod staff;

pub use capacity::AgentSlot;
pub use choice::{Availability, Choice, WhenNot, choose};
pub use directory::AgentDirectory;

use std::time::Duration;

use crate::message::{DeadReason, Failure, FailureClass};
use crate::twilio::{CallError, Operation, Worker, failure};

/// A Flex worker who gets tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// The Worker's SID, `WK...`.
    pub sid: String,
    pub friendly_name: String,
    /// The chat identity: the Worker's `contact_uri` without `client:`.
    pub identity: String,
}

impl From<&Worker> for Agent {
    fn from(worker: &Worker) -> Self {
        Self {
            identity: worker.identity().to_owned(),
            friendly_name: worker.friendly_name.clone(),
            sid: worker.sid.clone(),
        }
    }
}

/// How many times the normal maximum age a reading may have while a newer one cannot be had.
const STALE_MAX: u32 = 6;

/// How long facts about agents stay valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgentRules {
    /// The maximum age of a reading. Each reading costs one list of Workers, and one read of the channels of each agent
    /// with messages.
    pub read_for: Duration,
    /// After how long a message that is held for its agent is checked again at the latest.
    pub wait: Duration,
    /// How long a new task may take to show in a reading.
    pub shows_after: Duration,
}

impl AgentRules {
    /// The maximum age of a reading that is used while a newer one cannot be had.
    #[must_use]
    pub fn kept_for(&self) -> Duration {
        self.read_for * STALE_MAX
    }
}

impl Default for AgentRules {
    fn default() -> Self {
        Self {
            // Short enough to notice an agent who leaves before a person would react, at a call or two a second for a
            // team of ten.
            read_for: Duration::from_secs(10),
            wait: Duration::from_secs(30 * 60),
            shows_after: Duration::from_secs(5),
        }
    }
}

/// Why a name resolves to no agent.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error("no Worker answers to {0:?} by SID, friendly name or identity")]
    Unknown(String),
    #[error("{name:?} names several Workers: {}; use a SID", .found.join(", "))]
    Several { name: String, found: Vec<String> },
    #[error(transparent)]
    Call(#[from] CallError),
}

impl AgentError {
    /// The error as an attempt's failure.
    #[must_use]
    pub fn failure(&self) -> Failure {
        match self {
            Self::Call(error) => failure(error, Operation::ListWorkers),
            _ => {
                let class = FailureClass::Permanent(DeadReason::UnknownAgent);
                Failure::new(class, self.to_string())
            }
        }
    }
}
