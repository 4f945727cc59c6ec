//! The agents of a file, looked up in the account.

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
}

/// Looks up agents in an account. `service` implements it, because `operate` does not call Twilio.
#[async_trait]
pub trait AgentLookup: Send + Sync {
    /// Looks up the agents of a campaign by name. The result has the reason for agents that could not be looked up.
    async fn look_up(&self, campaign: &Campaign, names: &[&str]) -> AgentsAtTwilio;
}
