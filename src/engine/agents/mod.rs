//! Agents: who they are by the names that rows and messages use, and whether they can take a task.
//!
//! In: names, and what TaskRouter says of Workers and their channels, read once for all and kept for a
//! while. Out: an agent; whether a message can be begun for them; whom it goes to otherwise. Always:
//! what we have begun ourselves since something was read is counted beside it, so that nobody is given
//! more tasks at a time than their channel takes.

mod choice;
mod directory;
mod places;
mod staff;

pub use choice::{Availability, Choice, WhenNot, choose};
pub use directory::AgentDirectory;
pub use places::Place;

use std::time::Duration;

use crate::message::{DeadReason, Failure, FailureClass};
use crate::twilio::{CallError, Operation, Worker, failure};

/// A Flex worker who gets tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// The Worker, `WK...`.
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

/// How many times older than fresh a reading may be while a newer one cannot be had.
const STALE_MAX: u32 = 6;

/// For how long what is known of agents holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgentRules {
    /// How old what was read of an agent may be. Each age costs one list of Workers, and one look at the
    /// channels of each agent with messages.
    pub read_for: Duration,
    /// When a message that is held for its agent is looked at again at the latest, whatever was read.
    pub wait: Duration,
    /// How long a task that was made may take to show in what is read.
    pub shows_after: Duration,
}

impl AgentRules {
    /// How old what is used of an agent is at most: older than fresh while a newer reading cannot be had.
    #[must_use]
    pub fn kept_for(&self) -> Duration {
        self.read_for * STALE_MAX
    }
}

impl Default for AgentRules {
    fn default() -> Self {
        Self {
            // A tenth of the call of an agent who leaves: sooner than a person reacts, at a call or two
            // a second for a team of ten.
            read_for: Duration::from_secs(10),
            wait: Duration::from_secs(30 * 60),
            shows_after: Duration::from_secs(5),
        }
    }
}

/// Why a name leads to no agent.
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
    /// The same as an attempt's failure.
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
