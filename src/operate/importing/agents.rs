//! Which of a file's agents the account has.

use async_trait::async_trait;
use serde::Serialize;

use crate::campaign::Campaign;

/// Which of a file's agents the account has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AgentsAtTwilio {
    pub found: Vec<String>,
    pub unknown: Vec<String>,
    /// Several Workers answer to the name.
    pub ambiguous: Vec<String>,
    pub not_looked_up: u64,
    /// Why not.
    pub because: Option<String>,
}

/// Asks an account for agents. `service` does: nothing here calls Twilio.
#[async_trait]
pub trait AgentLookup: Send + Sync {
    /// Looks up these agents of a campaign, by name. What cannot be looked up is said in the answer.
    async fn look_up(&self, campaign: &Campaign, names: &[&str]) -> AgentsAtTwilio;
}
