//! The message in the Conversation: the opening message, or the one that waits for a reply.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{brought, is_marked, marked};
use crate::engine::step::{Found, Repeat, Step, StepError, Turn};
use crate::message::{Effects, StepName};
use crate::twilio::NewConversationMessage;

pub(crate) struct ConversationMessage;

#[async_trait]
impl Step for ConversationMessage {
    fn name(&self) -> StepName {
        StepName::ConversationMessage
    }

    fn repeat(&self) -> Repeat {
        Repeat::Doubles
    }

    /// With `task_now` the opening message is the campaign's choice.
    fn applies(&self, turn: &Turn<'_>) -> bool {
        turn.message.body.is_some() || turn.campaign.content_sid.is_some()
    }

    fn is_final(&self) -> bool {
        true
    }

    async fn act(&self, turn: &Turn<'_>) -> Result<Effects, StepError> {
        let conversation = brought(turn.effects.conversation_sid.as_ref(), "Conversation")?;
        let mut new = NewConversationMessage {
            author: None,
            body: turn.message.body.clone(),
            content_sid: None,
            content_variables: None,
            attributes: marked(turn),
        };
        if let Some(content_sid) = &turn.campaign.content_sid {
            new.body = None;
            new.content_sid = Some(content_sid.clone());
            new.content_variables = content_variables(turn)?;
        }
        let sent = turn
            .twilio
            .create_conversation_message(conversation, &new)
            .await?;
        Ok(sent_as(sent.sid))
    }

    async fn find(&self, turn: &Turn<'_>) -> Result<Found, StepError> {
        let conversation = brought(turn.effects.conversation_sid.as_ref(), "Conversation")?;
        let sent = turn.twilio.list_conversation_messages(conversation).await?;
        let ours = sent.into_iter().find(|one| is_marked(&one.attributes, turn));
        Ok(match ours {
            Some(ours) => Found::Ours(Box::new(sent_as(ours.sid))),
            None => Found::Absent,
        })
    }
}

/// The content template's variables, rendered for this customer.
fn content_variables(turn: &Turn<'_>) -> Result<Option<serde_json::Value>, StepError> {
    if turn.campaign.content_variables.is_empty() {
        return Ok(None);
    }
    let mut rendered = BTreeMap::new();
    for (name, template) in &turn.campaign.content_variables {
        rendered.insert(name.as_str(), super::render(turn, template)?);
    }
    Ok(Some(serde_json::json!(rendered)))
}

fn sent_as(sid: String) -> Effects {
    Effects {
        message_sid: Some(sid),
        ..Effects::default()
    }
}
