//! A Flex chat channel: with the task's attributes (task now), or without a task (on reply).
//!
//! According to Twilio Professional Services, creating a channel acts as get-or-create on the flow and the customer:
//! the returned channel is ours only if the chat channel has our unique name.

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::channel_attributes::PROXY_SESSION;
use super::chat_message::ChatMessage;
use super::proxy_message::ProxyMessage;
use super::proxy_session::{has_session, is_closed, session_of};
use super::{MARKER, UNDONE, brought, is_undone, sent_by, setting};
use crate::campaign::{CHAT_NAME_MAX, shortened};
use crate::engine::step::{Found, Past, Step, StepContext, StepError};
use crate::message::{Effects, StepName};
use crate::twilio::{CallError, ChatChannel, NewFlexChannel, Operation};

/// The channel attribute that retires a channel, and its value (Twilio's error 45208).
const STATUS: &str = "status";
const INACTIVE: &str = "INACTIVE";

pub(crate) struct FlexChannel {
    with_task: bool,
}

impl FlexChannel {
    pub(crate) const WITH_TASK: Self = Self { with_task: true };
    pub(crate) const WITHOUT_TASK: Self = Self { with_task: false };
}

#[async_trait]
impl Step for FlexChannel {
    fn name(&self) -> StepName {
        StepName::FlexChannel
    }

    fn operation(&self) -> Operation {
        Operation::CreateFlexChannel
    }

    async fn act(&self, context: &StepContext<'_>) -> Result<Effects, StepError> {
        let campaign = context.campaign;
        let sender = campaign.sender_of(context.message);
        let flow = sender.and_then(|sender| campaign.flex_flow_of(sender));
        let customer = context.customer();
        let task_attributes = match self.with_task {
            true => Some(task_attributes(context)?),
            false => None,
        };
        // As in the samples of Twilio's page: the channel, then the number.
        let identity = format!(
            "{}_{}",
            context.campaign.channel,
            context.message.customer.address.as_str()
        );
        let new = NewFlexChannel {
            flex_flow_sid: setting(flow, "flex.flex_flow_sid")?,
            identity: &identity,
            chat_user_friendly_name: &shortened(context.customer_name(), CHAT_NAME_MAX),
            chat_friendly_name: &shortened(
                &format!("Outbound chat with {}", context.customer_name()),
                CHAT_NAME_MAX,
            ),
            target: Some(&customer),
            chat_unique_name: Some(context.name.as_str()),
            task_attributes: task_attributes.as_ref(),
            long_lived: None,
        };
        let made = context.twilio.create_flex_channel(&new).await?;
        let service = chat_service(context)?;
        let channel = context.twilio.fetch_chat_channel(service, &made.sid).await;
        match channel.map_err(|error| unread(&made.sid, error))? {
            // The returned channel has been in use: it existed before.
            Some(channel) if is_ours(&channel, context) && is_used(&channel) => {
                Err(StepError::Met(format!("{} has been in use", made.sid)))
            }
            Some(channel) if is_ours(&channel, context) => Ok(Effects {
                channel_sid: Some(made.sid),
                task_sid: made.task_sid,
                ..Effects::default()
            }),
            Some(_) => Err(StepError::Busy(format!(
                "Flex gave back {}, a channel that is not ours",
                made.sid
            ))),
            // It was just made and does not show yet: it is found again by its name.
            None => Err(super::not_seen_yet(&made.sid)),
        }
    }

    async fn find(&self, context: &StepContext<'_>) -> Result<Found, StepError> {
        let service = chat_service(context)?;
        let name = context.name.as_str();
        let Some(channel) = context.twilio.fetch_chat_channel(service, name).await? else {
            return Ok(Found::Absent);
        };
        if is_inactive(&channel) {
            return Ok(Found::Gone(format!("{} is inactive", channel.sid)));
        }
        let made = context.twilio.fetch_flex_channel(&channel.sid).await?;
        Ok(Found::Ours(Box::new(Effects {
            channel_sid: Some(channel.sid),
            task_sid: made.and_then(|made| made.task_sid),
            ..Effects::default()
        })))
    }

    fn is_container(&self) -> bool {
        true
    }

    async fn is_taken_up(&self, context: &StepContext<'_>) -> Result<bool, StepError> {
        super::is_task_taken_up(context).await
    }

    async fn undo(&self, context: &StepContext<'_>) -> Result<(), StepError> {
        cancel_task(context).await?;
        let sid = brought(context.effects.channel_sid.as_ref(), "chat channel")?;
        let service = chat_service(context)?;
        let Some(channel) = context.twilio.fetch_chat_channel(service, sid).await? else {
            return Ok(());
        };
        let mut attributes = channel.attributes;
        attributes.insert(STATUS.to_owned(), INACTIVE.into());
        attributes.insert(UNDONE.to_owned(), true.into());
        context
            .twilio
            .update_chat_channel_attributes(service, sid, &attributes, true)
            .await?;
        Ok(())
    }

    fn is_named(&self) -> bool {
        true
    }

    async fn past(&self, context: &StepContext<'_>) -> Result<Past, StepError> {
        let (service, name) = (chat_service(context)?, context.name.as_str());
        let Some(channel) = context.twilio.fetch_chat_channel(service, name).await? else {
            return Ok(Past::Absent);
        };
        if is_undone(&channel.attributes) {
            return Ok(Past::Empty);
        }
        let effects = Effects {
            channel_sid: Some(channel.sid.clone()),
            ..Effects::default()
        };
        let context = context.seeing(&effects);
        if self.with_task {
            return Ok(past_with_task(&channel, effects.clone()));
        }
        past_without_task(&context, &channel).await
    }
}

/// A channel with a task: an agent may have had it, and nothing is left to do once Flex knows the Proxy session.
fn past_with_task(channel: &ChatChannel, effects: Effects) -> Past {
    if !is_inactive(channel) {
        return Past::Open;
    }
    if channel.attributes.contains_key(PROXY_SESSION) {
        return Past::Done(Box::new(effects));
    }
    Past::Unclear(format!(
        "{} is inactive, and an agent may have had its task",
        channel.sid
    ))
}

/// A channel without a task: its message decides.
async fn past_without_task(
    context: &StepContext<'_>,
    channel: &ChatChannel,
) -> Result<Past, StepError> {
    if let Some(done) = sent_by(&ChatMessage, context).await? {
        return Ok(Past::Done(Box::new(done)));
    }
    let ended = if is_inactive(channel) {
        Past::Empty
    } else {
        Past::Open
    };
    if !has_session(context) {
        return Ok(ended);
    }
    match session_of(context).await? {
        // Nothing is sent without a session. If Flex knew a session that is gone now, it is unknown whether a message
        // was sent.
        None if channel.attributes.contains_key(PROXY_SESSION) => Ok(Past::Unclear(format!(
            "the Proxy session of {} is gone",
            channel.sid
        ))),
        None => Ok(ended),
        Some(session) => {
            let mut effects = context.effects.clone();
            effects.session_sid = Some(session.sid.clone());
            if let Some(done) = sent_by(&ProxyMessage, &context.seeing(&effects)).await? {
                return Ok(Past::Done(Box::new(done)));
            }
            Ok(if is_closed(&session) {
                Past::Empty
            } else {
                ended
            })
        }
    }
}

/// Whether Flex or an undo has retired the channel.
fn is_inactive(channel: &ChatChannel) -> bool {
    channel.attributes.get(STATUS).and_then(Value::as_str) == Some(INACTIVE)
}

/// Whether the channel has been used since it was made.
fn is_used(channel: &ChatChannel) -> bool {
    is_inactive(channel)
        || channel.messages_count > 0
        || channel.attributes.contains_key(PROXY_SESSION)
}

/// Cancels the message's task unless an agent has accepted it.
async fn cancel_task(context: &StepContext<'_>) -> Result<(), StepError> {
    let Some(task) = super::fetch_task(context).await? else {
        return Ok(());
    };
    if matches!(
        task.assignment_status.as_deref(),
        Some("pending" | "reserved")
    ) {
        let workspace = context.campaign.flex.workspace_sid.as_ref();
        let workspace = setting(workspace, "flex.workspace_sid")?;
        let reason = "flexcast: the outbound message could not be set up";
        context
            .twilio
            .cancel_task(workspace, &task.sid, reason)
            .await?;
    }
    Ok(())
}

/// The task's attributes as on Twilio's page, the campaign's own, and our marker.
fn task_attributes(context: &StepContext<'_>) -> Result<Map<String, Value>, StepError> {
    let campaign = context.campaign;
    let mut attributes = super::task_fields(context)?;
    let page = json!({
        "to": context.customer(),
        "direction": "outbound",
        "name": context.customer_name(),
        "from": context.sender(),
        "channelType": campaign.channel.as_str(),
        MARKER: context.name.as_str(),
    });
    if let Value::Object(page) = page {
        attributes.extend(page);
    }
    if context.agent.is_some() {
        let proxy = &campaign.proxy;
        let value = super::render(context, &proxy.target_value)?;
        attributes.insert(proxy.target_attribute.clone(), value.into());
    }
    Ok(attributes)
}

/// The error when a channel was made but cannot be read: as uncertain as a lost reply.
fn unread(sid: &str, error: CallError) -> CallError {
    match error {
        CallError::Rejected { status, code, .. } => CallError::InDoubt {
            detail: format!("{sid} was made and cannot be read: {error}"),
            status: Some(status),
            code,
            retry_after: None,
        },
        error => error,
    }
}

fn is_ours(channel: &ChatChannel, context: &StepContext<'_>) -> bool {
    channel.unique_name.as_deref() == Some(context.name.as_str())
}

fn chat_service<'a>(context: &'a StepContext<'_>) -> Result<&'a str, StepError> {
    let sid = context.campaign.flex.chat_service_sid.as_ref();
    setting(sid, "flex.chat_service_sid")
}
