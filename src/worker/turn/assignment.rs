//! The agent of a message's task, as far as it is decided.

use std::sync::Arc;

use crate::engine::{Agent, AgentSlot};
use crate::message::Assignee;

/// Who gets a message's task.
#[derive(Default)]
pub(super) struct Assignment {
    /// None: no agent by name, or not resolved yet.
    pub(super) agent: Option<Arc<Agent>>,
    /// The decision to record, unless the message's own agent gets the task.
    pub(super) record: Option<Assignee>,
    /// Whether the message may have effects at Twilio: then it continues.
    pub(super) may_stand: bool,
    /// The slot that the message occupies with the agent until it is over.
    pub(super) slot: Option<AgentSlot>,
    /// Whether the consumers' store counts the message as begun for the agent.
    pub(super) is_counted: bool,
}
