//! The customer joins the Conversation: by address and sender, or by identity on a custom channel.

use async_trait::async_trait;

use super::brought;
use super::conversation::is_named;
use crate::engine::step::{Found, Step, StepContext, StepError};
use crate::message::{Channel, Effects, StepName};
use crate::twilio::{
    ConversationParticipant as Participant, NewConversationParticipant, Operation,
};

pub(crate) struct ConversationParticipant;

#[async_trait]
impl Step for ConversationParticipant {
    fn name(&self) -> StepName {
        StepName::ConversationParticipant
    }

    fn operation(&self) -> Operation {
        Operation::CreateConversationParticipant
    }

    fn applies(&self, context: &StepContext<'_>) -> bool {
        is_named(context)
    }

    /// Twilio refuses an address that is with this sender in another Conversation (error 50416): the customer is busy.
    async fn act(&self, context: &StepContext<'_>) -> Result<Effects, StepError> {
        let conversation = brought(context.effects.conversation_sid.as_ref(), "Conversation")?;
        let (customer, sender) = (context.customer(), context.sender());
        let new = match context.campaign.channel {
            Channel::Custom => NewConversationParticipant::Identity {
                identity: &customer,
                attributes: None,
            },
            _ => NewConversationParticipant::Binding {
                address: &customer,
                proxy_address: &sender,
                attributes: None,
            },
        };
        let made = context
            .twilio
            .create_participant(conversation, &new)
            .await?;
        Ok(made_as(made.sid))
    }

    async fn find(&self, context: &StepContext<'_>) -> Result<Found, StepError> {
        let conversation = brought(context.effects.conversation_sid.as_ref(), "Conversation")?;
        let customer = context.customer();
        let there = context.twilio.list_participants(conversation).await?;
        let ours = there.into_iter().find(|one| is_customer(one, &customer));
        Ok(match ours {
            Some(ours) => Found::Ours(Box::new(made_as(ours.sid))),
            None => Found::Absent,
        })
    }
}

fn is_customer(participant: &Participant, customer: &str) -> bool {
    let address = participant.messaging_binding.address.as_deref();
    address == Some(customer) || participant.identity.as_deref() == Some(customer)
}

fn made_as(sid: String) -> Effects {
    Effects {
        participant_sid: Some(sid),
        ..Effects::default()
    }
}
