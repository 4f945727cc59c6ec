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

    async fn act(&self, turn: &StepContext<'_>) -> Result<Effects, StepError> {
        let campaign = turn.campaign;
        let sender = campaign.sender_of(turn.message);
        let flow = sender.and_then(|sender| campaign.flex_flow_of(sender));
        let customer = turn.customer();
        let task_attributes = match self.with_task {
            true => Some(task_attributes(turn)?),
            false => None,
        };
        // As in the samples of Twilio's page: the channel, then the number.
        let identity = format!(
            "{}_{}",
            turn.campaign.channel,
            turn.message.customer.address.as_str()
        );
        let new = NewFlexChannel {
            flex_flow_sid: setting(flow, "flex.flex_flow_sid")?,
            identity: &identity,
            chat_user_friendly_name: &shortened(turn.customer_name(), CHAT_NAME_MAX),
            chat_friendly_name: &shortened(
                &format!("Outbound chat with {}", turn.customer_name()),
                CHAT_NAME_MAX,
            ),
            target: Some(&customer),
            chat_unique_name: Some(turn.name.as_str()),
            task_attributes: task_attributes.as_ref(),
            long_lived: None,
        };
        let made = turn.twilio.create_flex_channel(&new).await?;
        let service = chat_service(turn)?;
        let channel = turn.twilio.fetch_chat_channel(service, &made.sid).await;
        match channel.map_err(|error| unread(&made.sid, error))? {
            // The returned channel has been in use: it existed before.
            Some(channel) if is_ours(&channel, turn) && is_used(&channel) => {
                Err(StepError::Met(format!("{} has been in use", made.sid)))
            }
            Some(channel) if is_ours(&channel, turn) => Ok(Effects {
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

    async fn find(&self, turn: &StepContext<'_>) -> Result<Found, StepError> {
        let service = chat_service(turn)?;
        let name = turn.name.as_str();
        let Some(channel) = turn.twilio.fetch_chat_channel(service, name).await? else {
            return Ok(Found::Absent);
        };
        if is_inactive(&channel) {
            return Ok(Found::Gone(format!("{} is inactive", channel.sid)));
        }
        let made = turn.twilio.fetch_flex_channel(&channel.sid).await?;
        Ok(Found::Ours(Box::new(Effects {
            channel_sid: Some(channel.sid),
            task_sid: made.and_then(|made| made.task_sid),
            ..Effects::default()
        })))
    }

    fn is_container(&self) -> bool {
        true
    }

    async fn is_taken_up(&self, turn: &StepContext<'_>) -> Result<bool, StepError> {
        super::is_task_taken_up(turn).await
    }

    async fn undo(&self, turn: &StepContext<'_>) -> Result<(), StepError> {
        cancel_task(turn).await?;
        let sid = brought(turn.effects.channel_sid.as_ref(), "chat channel")?;
        let service = chat_service(turn)?;
        let Some(channel) = turn.twilio.fetch_chat_channel(service, sid).await? else {
            return Ok(());
        };
        let mut attributes = channel.attributes;
        attributes.insert(STATUS.to_owned(), INACTIVE.into());
        attributes.insert(UNDONE.to_owned(), true.into());
        turn.twilio
            .update_chat_channel_attributes(service, sid, &attributes, true)
            .await?;
        Ok(())
    }

    fn is_named(&self) -> bool {
        true
    }

    async fn past(&self, turn: &StepContext<'_>) -> Result<Past, StepError> {
        let (service, name) = (chat_service(turn)?, turn.name.as_str());
        let Some(channel) = turn.twilio.fetch_chat_channel(service, name).await? else {
            return Ok(Past::Absent);
        };
        if is_undone(&channel.attributes) {
            return Ok(Past::Empty);
        }
        let effects = Effects {
            channel_sid: Some(channel.sid.clone()),
            ..Effects::default()
        };
        let turn = turn.seeing(&effects);
        if self.with_task {
            return Ok(past_with_task(&channel, effects.clone()));
        }
        past_without_task(&turn, &channel).await
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
    Past::Untold(format!(
        "{} is inactive, and an agent may have had its task",
        channel.sid
    ))
}

/// A channel without a task: its message decides.
async fn past_without_task(
    turn: &StepContext<'_>,
    channel: &ChatChannel,
) -> Result<Past, StepError> {
    if let Some(done) = sent_by(&ChatMessage, turn).await? {
        return Ok(Past::Done(Box::new(done)));
    }
    let ended = if is_inactive(channel) {
        Past::Empty
    } else {
        Past::Open
    };
    if !has_session(turn) {
        return Ok(ended);
    }
    match session_of(turn).await? {
        // Nothing is sent without a session. If Flex knew a session that is gone now, it is unknown what was sent.
        None if channel.attributes.contains_key(PROXY_SESSION) => Ok(Past::Untold(format!(
            "the Proxy session of {} is gone",
            channel.sid
        ))),
        None => Ok(ended),
        Some(session) => {
            let mut effects = turn.effects.clone();
            effects.session_sid = Some(session.sid.clone());
            if let Some(done) = sent_by(&ProxyMessage, &turn.seeing(&effects)).await? {
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
async fn cancel_task(turn: &StepContext<'_>) -> Result<(), StepError> {
    let Some(task) = super::fetch_task(turn).await? else {
        return Ok(());
    };
    if matches!(
        task.assignment_status.as_deref(),
        Some("pending" | "reserved")
    ) {
        let workspace = turn.campaign.flex.workspace_sid.as_ref();
        let workspace = setting(workspace, "flex.workspace_sid")?;
        let reason = "flexcast: the outbound message could not be set up";
        turn.twilio
            .cancel_task(workspace, &task.sid, reason)
            .await?;
    }
    Ok(())
}

/// The task's attributes as on Twilio's page, the campaign's own, and our marker.
fn task_attributes(turn: &StepContext<'_>) -> Result<Map<String, Value>, StepError> {
    let campaign = turn.campaign;
    let mut attributes = super::task_fields(turn)?;
    let page = json!({
        "to": turn.customer(),
        "direction": "outbound",
        "name": turn.customer_name(),
        "from": turn.sender(),
        "channelType": campaign.channel.as_str(),
        MARKER: turn.name.as_str(),
    });
    if let Value::Object(page) = page {
        attributes.extend(page);
    }
    if turn.agent.is_some() {
        let proxy = &campaign.proxy;
        let value = super::render(turn, &proxy.target_value)?;
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

fn is_ours(channel: &ChatChannel, turn: &StepContext<'_>) -> bool {
    channel.unique_name.as_deref() == Some(turn.name.as_str())
}

fn chat_service<'a>(turn: &'a StepContext<'_>) -> Result<&'a str, StepError> {
    let sid = turn.campaign.flex.chat_service_sid.as_ref();
    setting(sid, "flex.chat_service_sid")
}
