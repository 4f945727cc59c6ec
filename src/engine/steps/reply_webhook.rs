//! The Conversation's webhook: the customer's reply starts the Studio flow that makes the task.

use async_trait::async_trait;

use super::{brought, setting};
use crate::engine::step::{Found, Repeat, Step, StepContext, StepError};
use crate::message::{Effects, StepName};
use crate::twilio::Operation;

pub(crate) struct ReplyWebhook;

#[async_trait]
impl Step for ReplyWebhook {
    fn name(&self) -> StepName {
        StepName::ReplyWebhook
    }

    fn operation(&self) -> Operation {
        Operation::CreateConversationWebhook
    }

    /// Two webhooks would make two tasks from one reply.
    fn repeat(&self) -> Repeat {
        Repeat::Lists
    }

    async fn act(&self, context: &StepContext<'_>) -> Result<Effects, StepError> {
        let (conversation, flow) = place(context)?;
        let made = context.twilio.create_webhook(conversation, flow).await?;
        Ok(made_as(made.sid))
    }

    async fn find(&self, context: &StepContext<'_>) -> Result<Found, StepError> {
        let (conversation, flow) = place(context)?;
        let there = context.twilio.list_webhooks(conversation).await?;
        let ours = there.into_iter().find(|one| one.flow_sid() == Some(flow));
        Ok(match ours {
            Some(ours) => Found::Ours(Box::new(made_as(ours.sid))),
            None => Found::Absent,
        })
    }
}

fn place<'a>(context: &'a StepContext<'_>) -> Result<(&'a str, &'a str), StepError> {
    let flow = context.campaign.flex.studio_flow_sid.as_ref();
    Ok((
        brought(context.effects.conversation_sid.as_ref(), "Conversation")?,
        setting(flow, "flex.studio_flow_sid")?,
    ))
}

fn made_as(sid: String) -> Effects {
    Effects {
        webhook_sid: Some(sid),
        ..Effects::default()
    }
}
