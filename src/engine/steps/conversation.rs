//! A Conversation that has the message's name as its unique name.

use async_trait::async_trait;

use super::conversation_message::ConversationMessage;
use super::{UNDONE, brought, is_undone, marked, marked_and_shown, sent_by};
use crate::campaign::{NAME_MAX, shortened};
use crate::engine::step::{Found, Past, Step, StepContext, StepError};
use crate::message::{Effects, StepName, Strategy};
use crate::twilio::{self, NewConversation, Operation};

pub(crate) struct Conversation;

#[async_trait]
impl Step for Conversation {
    fn name(&self) -> StepName {
        StepName::Conversation
    }

    fn operation(&self) -> Operation {
        Operation::CreateConversation
    }

    /// An agent's Interaction brings its own Conversation.
    fn applies(&self, context: &StepContext<'_>) -> bool {
        is_named(context)
    }

    async fn act(&self, context: &StepContext<'_>) -> Result<Effects, StepError> {
        let new = NewConversation {
            unique_name: context.name.as_str(),
            friendly_name: Some(&shortened(
                &format!("Outbound conversation with {}", context.customer_name()),
                NAME_MAX,
            )),
            attributes: Some(&marked_and_shown(context)),
            closed_after: Some(context.campaign.time_to_live),
        };
        let made = context.twilio.create_conversation(&new).await?;
        Ok(made_as(made.sid))
    }

    async fn find(&self, context: &StepContext<'_>) -> Result<Found, StepError> {
        Ok(match named(context).await? {
            None => Found::Absent,
            Some(there) if there.is_closed() => Found::Gone(format!("{} is closed", there.sid)),
            Some(there) => Found::Ours(Box::new(made_as(there.sid))),
        })
    }

    fn is_container(&self) -> bool {
        true
    }

    async fn undo(&self, context: &StepContext<'_>) -> Result<(), StepError> {
        let sid = brought(context.effects.conversation_sid.as_ref(), "Conversation")?;
        let mut attributes = marked(context);
        attributes.insert(UNDONE.to_owned(), true.into());
        context.twilio.close_conversation(sid, &attributes).await?;
        Ok(())
    }

    fn is_named(&self) -> bool {
        true
    }

    /// If it is closed without our message, nothing reached the customer. Where the task is made without waiting for a
    /// reply, an agent may have had it.
    async fn past(&self, context: &StepContext<'_>) -> Result<Past, StepError> {
        let Some(there) = named(context).await? else {
            return Ok(Past::Absent);
        };
        let effects = made_as(there.sid.clone());
        if let Some(done) = sent_by(&ConversationMessage, &context.seeing(&effects)).await? {
            return Ok(Past::Done(Box::new(done)));
        }
        Ok(if !there.is_closed() {
            Past::Open
        } else if is_undone(&there.attributes) || context.strategy() == Strategy::TaskOnReply {
            Past::Empty
        } else {
            Past::Unclear(format!(
                "{} is closed without our message, and an agent may have had its task",
                there.sid
            ))
        })
    }
}

/// Whether the message's Conversation is made and named by us.
pub(super) fn is_named(context: &StepContext<'_>) -> bool {
    context.strategy() == Strategy::TaskOnReply || !super::is_by_agent(context)
}

/// The Conversation with the message's name, closed or not.
pub(super) async fn named(
    context: &StepContext<'_>,
) -> Result<Option<twilio::Conversation>, StepError> {
    Ok(context
        .twilio
        .fetch_conversation(context.name.as_str())
        .await?)
}

pub(super) fn made_as(sid: String) -> Effects {
    Effects {
        conversation_sid: Some(sid),
        ..Effects::default()
    }
}
