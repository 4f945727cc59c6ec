//! The agents of a file, looked up in the account.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::Serialize;

use crate::campaign::Campaign;

/// The agents of a file, looked up in the account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AgentsAtTwilio {
    pub found: Vec<String>,
    pub unknown: Vec<String>,
    /// Names that several Workers have.
    pub ambiguous: Vec<String>,
    pub not_looked_up: u64,
    /// Why they were not looked up.
    pub because: Option<String>,
    /// How many tasks each agent takes at once, if that was asked for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tasks_at_once: BTreeMap<String, u32>,
    /// Why the numbers of tasks were not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity_because: Option<String>,
}

/// What is looked up.
#[derive(Clone, Copy, Debug)]
pub struct AgentQuery<'a> {
    /// The names of the agents: SIDs, friendly names or identities.
    pub names: &'a [&'a str],
    /// Whether to read also how many tasks each agent takes at once: that costs a call for each agent.
    pub with_capacity: bool,
}

/// Looks up agents in an account. `service` implements it, because `operate` does not call Twilio.
#[async_trait]
pub trait AgentLookup: Send + Sync {
    /// Looks up agents of a campaign. The result has the reason for agents that could not be looked up.
    async fn look_up(&self, campaign: &Campaign, query: AgentQuery<'_>) -> AgentsAtTwilio;
}
