//! The customer joins the Proxy session. The campaign's `proxy.customer_proxy` decides which number they see. The
//! number that Proxy actually used is recorded.

use async_trait::async_trait;

use super::brought;
use super::proxy_session::{Participant, customer_effects, has_session, proxy_service};
use crate::engine::step::{Found, Step, StepContext, StepError};
use crate::message::{Effects, StepName};
use crate::twilio::Operation;

pub(crate) struct CustomerParticipant {
    /// Whether the session was created with this participant in it.
    inline: bool,
}

impl CustomerParticipant {
    pub(crate) const INLINE: Self = Self { inline: true };
    pub(crate) const ADDED: Self = Self { inline: false };
}

#[async_trait]
impl Step for CustomerParticipant {
    fn name(&self) -> StepName {
        StepName::CustomerParticipant
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
        let new = Participant::customer(context);
        let service = proxy_service(context)?;
        let made = context
            .twilio
            .create_proxy_participant(service, session, &new.to_new())
            .await?;
        Ok(customer_effects(made))
    }

    async fn find(&self, context: &StepContext<'_>) -> Result<Found, StepError> {
        super::find_proxy_participant(context, &context.customer(), customer_effects).await
    }
}
