//! The chat channel joins the Proxy session: what the agent writes there is sent to the customer.

use async_trait::async_trait;

use super::brought;
use super::proxy_session::{Participant, agent_effects, has_session, proxy_service};
use crate::engine::step::{Found, Step, StepContext, StepError};
use crate::message::{Effects, StepName};
use crate::twilio::Operation;

pub(crate) struct AgentParticipant {
    /// Whether the session was created with this participant in it.
    inline: bool,
}

impl AgentParticipant {
    pub(crate) const INLINE: Self = Self { inline: true };
    pub(crate) const ADDED: Self = Self { inline: false };
}

#[async_trait]
impl Step for AgentParticipant {
    fn name(&self) -> StepName {
        StepName::AgentParticipant
    }

    fn operation(&self) -> Operation {
        Operation::CreateProxyParticipant
    }

    fn applies(&self, turn: &StepContext<'_>) -> bool {
        has_session(turn)
    }

    async fn act(&self, turn: &StepContext<'_>) -> Result<Effects, StepError> {
        if self.inline
            && let Found::Ours(there) = self.find(turn).await?
        {
            return Ok(*there);
        }
        let session = brought(turn.effects.session_sid.as_ref(), "Proxy session")?;
        let new = Participant::agent(turn)?;
        let service = proxy_service(turn)?;
        let made = turn
            .twilio
            .create_proxy_participant(service, session, &new.to_new())
            .await?;
        Ok(agent_effects(made))
    }

    async fn find(&self, turn: &StepContext<'_>) -> Result<Found, StepError> {
        let wanted = Participant::agent(turn)?.identifier;
        super::find_proxy_participant(turn, &wanted, agent_effects).await
    }
}
