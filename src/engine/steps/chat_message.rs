//! The message of `task_on_reply`, written to the chat channel. Proxy relays it to the customer; on a custom channel
//! the channel's own software reads it there.

use async_trait::async_trait;

use super::proxy_session::has_session;
use super::{brought, is_marked, marked, setting};
use crate::campaign::MessageParticipant;
use crate::engine::step::{Found, Repeat, Step, StepContext, StepError};
use crate::message::{Effects, StepName};
use crate::twilio::Operation;

pub(crate) struct ChatMessage;

#[async_trait]
impl Step for ChatMessage {
    fn name(&self) -> StepName {
        StepName::ChatMessage
    }

    fn operation(&self) -> Operation {
        Operation::CreateChatMessage
    }

    fn repeat(&self) -> Repeat {
        Repeat::Doubles
    }

    fn applies(&self, context: &StepContext<'_>) -> bool {
        !has_session(context)
            || context.campaign.proxy.message_participant == MessageParticipant::Chat
    }

    fn is_final(&self) -> bool {
        true
    }

    async fn act(&self, context: &StepContext<'_>) -> Result<Effects, StepError> {
        let (service, channel) = place(context)?;
        let body = super::body(context)?;
        let marker = marked(context);
        let sent = context
            .twilio
            .create_chat_message(service, channel, None, body, Some(&marker))
            .await?;
        Ok(sent_as(sent.sid))
    }

    async fn find(&self, context: &StepContext<'_>) -> Result<Found, StepError> {
        let (service, channel) = place(context)?;
        let sent = context
            .twilio
            .list_chat_messages(service, channel, super::LOOKED_AT)
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

fn place<'a>(context: &'a StepContext<'_>) -> Result<(&'a str, &'a str), StepError> {
    let service = context.campaign.flex.chat_service_sid.as_ref();
    let channel = context.effects.channel_sid.as_ref();
    Ok((
        setting(service, "flex.chat_service_sid")?,
        brought(channel, "chat channel")?,
    ))
}

fn sent_as(sid: String) -> Effects {
    Effects {
        message_sid: Some(sid),
        ..Effects::default()
    }
}
