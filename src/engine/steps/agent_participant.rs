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

    fn applies(&self, context: &StepContext<'_>) -> bool {
        has_session(context)
    }

    async fn act(&self, context: &StepContext<'_>) -> Result<Effects, StepError> {
        if self.inline
            && let Found::Ours(there) = self.find(context).await?
        {
            return Ok(*there);
        }
        let session = brought(context.effects.session_sid.as_ref(), "Proxy session")?;
        let new = Participant::agent(context)?;
        let service = proxy_service(context)?;
        let made = context
            .twilio
            .create_proxy_participant(service, session, &new.to_new())
            .await?;
        Ok(agent_effects(made))
    }

    async fn find(&self, context: &StepContext<'_>) -> Result<Found, StepError> {
        let wanted = Participant::agent(context)?.identifier;
        super::find_proxy_participant(context, &wanted, agent_effects).await
    }
}
