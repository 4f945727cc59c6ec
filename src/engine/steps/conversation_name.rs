//! Gives our unique name to the Conversation of an agent's Interaction: a permanent trace.
//!
//! The Interaction's task has our marker, but TaskRouter deletes a task five minutes after its end (Twilio's page on
//! the lifecycle of a task). Only the name is set: the Conversation's attributes are Flex's.

use async_trait::async_trait;

use super::conversation::{made_as, named};
use super::conversation_message::ConversationMessage;
use super::is_by_agent;
use super::{UNDONE, brought, is_undone, sent_by};
use crate::engine::step::{Found, Past, Step, StepContext, StepError};
use crate::message::{Effects, StepName};
use crate::twilio::{Conflict, Operation, conflict};

pub(crate) struct ConversationName;

#[async_trait]
impl Step for ConversationName {
    fn name(&self) -> StepName {
        StepName::ConversationName
    }

    fn operation(&self) -> Operation {
        Operation::UpdateConversation
    }

    /// Any other Conversation was named when it was made, with the customer as a participant. A Conversation that has
    /// our message needs no other trace.
    fn applies(&self, context: &StepContext<'_>) -> bool {
        let effects = context.effects;
        is_by_agent(context) && effects.participant_sid.is_none() && effects.message_sid.is_none()
    }

    async fn act(&self, context: &StepContext<'_>) -> Result<Effects, StepError> {
        let conversation = brought(context.effects.conversation_sid.as_ref(), "Conversation")?;
        let name = context.name.as_str();
        match context.twilio.name_conversation(conversation, name).await {
            // An agent has ended the Conversation already: it cannot be changed any more.
            Err(error) if error.code().and_then(conflict) == Some(Conflict::Closed) => {}
            named => drop(named?),
        }
        Ok(Effects::default())
    }

    async fn find(&self, context: &StepContext<'_>) -> Result<Found, StepError> {
        let ours = context.effects.conversation_sid.as_ref();
        match named(context).await? {
            None => Ok(Found::Absent),
            Some(there) if ours.is_none_or(|ours| *ours == there.sid) => {
                Ok(Found::Ours(Box::new(made_as(there.sid))))
            }
            Some(there) => Err(StepError::Met(format!(
                "{} has the message's name: it belongs to another Interaction of the message",
                there.sid
            ))),
        }
    }

    /// Marks the Conversation as undone: one that closes without the mark was ended by an agent.
    async fn undo(&self, context: &StepContext<'_>) -> Result<(), StepError> {
        let sid = brought(context.effects.conversation_sid.as_ref(), "Conversation")?;
        let Some(there) = context.twilio.fetch_conversation(sid).await? else {
            return Ok(());
        };
        if there.is_closed() {
            return Ok(());
        }
        let mut attributes = there.attributes;
        attributes.insert(UNDONE.to_owned(), true.into());
        context
            .twilio
            .update_conversation_attributes(sid, &attributes)
            .await?;
        Ok(())
    }

    fn is_named(&self) -> bool {
        true
    }

    /// The name is given when the Interaction exists: an agent has had the task, unless it was undone.
    async fn past(&self, context: &StepContext<'_>) -> Result<Past, StepError> {
        let Some(there) = named(context).await? else {
            return Ok(Past::Absent);
        };
        let effects = made_as(there.sid.clone());
        let context = context.seeing(&effects);
        if let Some(done) = sent_by(&ConversationMessage, &context).await? {
            return Ok(Past::Done(Box::new(done)));
        }
        Ok(if !there.is_closed() {
            Past::Open
        } else if is_undone(&there.attributes) {
            Past::Empty
        } else if ConversationMessage.applies(&context) {
            Past::Unclear(format!(
                "{} is closed: an agent has had its task, and the opening message is not in it",
                there.sid
            ))
        } else {
            Past::Done(Box::new(effects))
        })
    }
}
