//! The message of `task_on_reply`, as a Proxy message interaction.
//!
//! Twilio's page posts it on the agent's participant; Proxy's documentation says that the participant on which it is
//! posted *receives* it. `proxy.message_participant` decides this for each campaign.

use async_trait::async_trait;

use super::brought;
use super::proxy_session::{has_session, proxy_service};
use crate::campaign::MessageParticipant;
use crate::engine::step::{Found, Repeat, Step, StepContext, StepError};
use crate::message::{Effects, StepName};
use crate::twilio::Operation;

pub(crate) struct ProxyMessage;

#[async_trait]
impl Step for ProxyMessage {
    fn name(&self) -> StepName {
        StepName::ProxyMessage
    }

    fn operation(&self) -> Operation {
        Operation::CreateMessageInteraction
    }

    fn repeat(&self) -> Repeat {
        Repeat::Doubles
    }

    fn applies(&self, context: &StepContext<'_>) -> bool {
        has_session(context)
            && context.campaign.proxy.message_participant != MessageParticipant::Chat
    }

    fn is_final(&self) -> bool {
        true
    }

    async fn act(&self, context: &StepContext<'_>) -> Result<Effects, StepError> {
        let session = brought(context.effects.session_sid.as_ref(), "Proxy session")?;
        let effects = context.effects;
        let participant = match context.campaign.proxy.message_participant {
            MessageParticipant::Customer => effects.customer_participant_sid.as_ref(),
            _ => effects.agent_participant_sid.as_ref(),
        };
        let participant = brought(participant, "Proxy participant")?;
        let body = super::body(context)?;
        let service = proxy_service(context)?;
        let sent = context
            .twilio
            .create_message_interaction(service, session, participant, body)
            .await?;
        Ok(sent_as(sent.sid))
    }

    /// Each session gets one message, so that its text identifies it.
    async fn find(&self, context: &StepContext<'_>) -> Result<Found, StepError> {
        let session = brought(context.effects.session_sid.as_ref(), "Proxy session")?;
        let body = super::body(context)?;
        let service = proxy_service(context)?;
        let sent = context
            .twilio
            .list_proxy_interactions(service, session)
            .await?;
        let ours = sent.into_iter().find(|one| one.body() == Some(body));
        Ok(match ours {
            Some(ours) => Found::Ours(Box::new(sent_as(ours.sid))),
            None => Found::Absent,
        })
    }
}

fn sent_as(sid: String) -> Effects {
    Effects {
        message_sid: Some(sid),
        ..Effects::default()
    }
}
