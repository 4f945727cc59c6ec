//! The message in the Conversation: the opening message, or the one that waits for a reply.

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::{brought, is_marked, marked};
use crate::engine::step::{Found, Repeat, Step, StepContext, StepError};
use crate::message::{Effects, StepName};
use crate::twilio::{NewConversationMessage, Operation};

pub(crate) struct ConversationMessage;

#[async_trait]
impl Step for ConversationMessage {
    fn name(&self) -> StepName {
        StepName::ConversationMessage
    }

    fn operation(&self) -> Operation {
        Operation::CreateConversationMessage
    }

    fn repeat(&self) -> Repeat {
        Repeat::Doubles
    }

    /// With `task_now` an opening message is optional.
    fn applies(&self, context: &StepContext<'_>) -> bool {
        context.message.body.is_some() || context.campaign.content_sid.is_some()
    }

    fn is_final(&self) -> bool {
        true
    }

    async fn act(&self, context: &StepContext<'_>) -> Result<Effects, StepError> {
        let conversation = brought(context.effects.conversation_sid.as_ref(), "Conversation")?;
        let marker = marked(context);
        let variables = content_variables(context)?;
        let content_sid = context.campaign.content_sid.as_deref();
        let body = context.message.body.as_deref();
        let new = NewConversationMessage {
            author: None,
            // Twilio accepts one of them. A template wins, because only a template may be sent outside WhatsApp's
            // window.
            body: body.filter(|_| content_sid.is_none()),
            attributes: Some(&marker),
            content_sid,
            // Without a template Twilio refuses variables (error 50528).
            content_variables: variables.as_ref().filter(|_| content_sid.is_some()),
        };
        let sent = context.twilio.create_message(conversation, &new).await?;
        Ok(sent_as(sent.sid))
    }

    async fn find(&self, context: &StepContext<'_>) -> Result<Found, StepError> {
        let conversation = brought(context.effects.conversation_sid.as_ref(), "Conversation")?;
        let sent = context
            .twilio
            .list_messages(conversation, super::LOOKED_AT)
            .await?;
        let ours = sent
            .into_iter()
            .find(|one| is_marked(&one.attributes, context));
        Ok(match ours {
            Some(ours) => Found::Ours(Box::new(sent_as(ours.sid))),
            None => Found::Absent,
        })
    }
}

/// The content template's variables, rendered when the message was accepted.
fn content_variables(context: &StepContext<'_>) -> Result<Option<Map<String, Value>>, StepError> {
    let mut variables = Map::new();
    for (name, text) in &context.message.content_variables {
        variables.insert(name.clone(), text.clone().into());
    }
    // An earlier version accepted messages without storing the variables.
    if variables.is_empty() {
        for (name, template) in &context.campaign.content_variables {
            variables.insert(name.clone(), super::render(context, template)?.into());
        }
    }
    Ok((!variables.is_empty()).then_some(variables))
}

fn sent_as(sid: String) -> Effects {
    Effects {
        message_sid: Some(sid),
        ..Effects::default()
    }
}
