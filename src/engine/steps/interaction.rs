//! A Flex Interaction: it makes the agent's task and, if an agent initiates it, the Conversation.
//!
//! There is no list of Interactions. Ours is found again by the marker in its task's attributes or, once the task is
//! deleted, by the name of its Conversation.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::conversation::{made_as, named};
use super::{MARKER, brought, setting};
use super::{is_by_agent, is_the_pair};
use crate::engine::step::{Found, Repeat, Step, StepContext, StepError};
use crate::message::{Channel, Effects, StepName};
use crate::twilio::{ConversationsOf, NewInteraction, Operation, ParticipantConversation, Task};

/// TaskRouter deletes a task five minutes after its end (Twilio's page on the lifecycle of a task). A minute less,
/// because lists may lag behind.
const TASK_LASTS: Duration = Duration::from_secs(4 * 60);

/// The maximum difference between the clocks of two machines.
const CLOCKS_APART: Duration = Duration::from_secs(600);

pub(crate) struct Interaction;

#[async_trait]
impl Step for Interaction {
    fn name(&self) -> StepName {
        StepName::Interaction
    }

    fn operation(&self) -> Operation {
        Operation::CreateInteraction
    }

    fn repeat(&self) -> Repeat {
        Repeat::Doubles
    }

    async fn act(&self, context: &StepContext<'_>) -> Result<Effects, StepError> {
        let new = NewInteraction {
            channel: channel(context)?,
            routing: routing(context)?,
        };
        let made = context.twilio.create_interaction(&new).await?;
        Ok(Effects {
            interaction_channel_sid: made.channel_sid().map(str::to_owned),
            task_sid: made.task_sid().map(str::to_owned),
            interaction_sid: Some(made.sid),
            ..Effects::default()
        })
    }

    async fn find(&self, context: &StepContext<'_>) -> Result<Found, StepError> {
        if let Some(task) = super::find_task(context).await? {
            return Ok(Found::Ours(Box::new(effects_of(&task))));
        }
        // A Conversation that exists already was named when it was made.
        if !is_by_agent(context) || context.effects.conversation_sid.is_some() {
            return Ok(Found::Absent);
        }
        Ok(match named(context).await? {
            Some(there) => Found::Ours(Box::new(made_as(there.sid))),
            None => Found::Absent,
        })
    }

    /// A closed Conversation of the customer and our number without a name may be the Interaction's: another ledger may
    /// have died before it named it, and the task may be deleted. An open one blocks the call, which reports it.
    async fn hint(&self, context: &StepContext<'_>) -> Result<Option<String>, StepError> {
        if !is_by_agent(context) || context.effects.conversation_sid.is_some() {
            return Ok(None);
        }
        let customer = context.customer();
        let of = match context.campaign.channel {
            Channel::Custom => ConversationsOf::Identity(&customer),
            _ => ConversationsOf::Address(&customer),
        };
        let since = context.distrusted_from;
        let may_be_ours = |one: &ParticipantConversation| {
            let created = one.conversation_date_created.zip(since);
            let is_pair = context.campaign.channel == Channel::Custom
                || is_the_pair(&one.participant_messaging_binding, context);
            is_pair
                && one.conversation_unique_name.is_none()
                && one.conversation_state.as_deref() == Some("closed")
                && created.is_none_or(|(created, since)| created + CLOCKS_APART >= since)
        };
        let all = context.twilio.list_participant_conversations(of).await?;
        let one = all.into_iter().find(may_be_ours);
        Ok(one.map(|one| {
            format!(
                "{} is closed and has no name: it may be the Conversation of an Interaction that another ledger made",
                one.conversation_sid
            )
        }))
    }

    fn trace_lasts(&self) -> Option<Duration> {
        Some(TASK_LASTS)
    }

    fn is_container(&self) -> bool {
        true
    }

    fn is_task(&self) -> bool {
        true
    }

    /// If an Interaction's set-up failed, no agent can have had its task.
    async fn is_taken_up(&self, context: &StepContext<'_>) -> Result<bool, StepError> {
        Ok(super::is_task_taken_up(context).await? && !has_failed(context).await?)
    }

    /// Closing the Interaction's channel closes its Conversation and ends its task. The task itself is not cancelled,
    /// because Twilio does not support cancelling the task of an Interaction through TaskRouter (best practices for
    /// Flex Conversations, "Do not use Task API directly to cancel or delete a task").
    async fn undo(&self, context: &StepContext<'_>) -> Result<(), StepError> {
        close(context).await
    }
}

async fn has_failed(context: &StepContext<'_>) -> Result<bool, StepError> {
    let Some(interaction) = &context.effects.interaction_sid else {
        return Ok(false);
    };
    let channels = context
        .twilio
        .list_interaction_channels(interaction)
        .await?;
    let ours = context.effects.interaction_channel_sid.as_deref();
    Ok(channels.into_iter().any(|channel| {
        let is_ours = ours.is_none_or(|ours| ours == channel.sid);
        is_ours && channel.status.as_deref() == Some("failed")
    }))
}

/// Closes the Interaction's channel.
pub(super) async fn close(context: &StepContext<'_>) -> Result<(), StepError> {
    let mut made = channel_of(context.effects);
    if made.is_none() {
        // A reply need not contain both SIDs. The task does.
        let task = super::fetch_task(context).await?;
        made = task.and_then(|task| channel_of(&effects_of(&task)));
    }
    if let Some((interaction, channel)) = made {
        context
            .twilio
            .close_interaction_channel(&interaction, &channel)
            .await?;
    }
    Ok(())
}

/// The SIDs of the Interaction and its channel, if both are known.
fn channel_of(effects: &Effects) -> Option<(String, String)> {
    let interaction = effects.interaction_sid.clone()?;
    Some((interaction, effects.interaction_channel_sid.clone()?))
}

/// The effects that a task's attributes show of its Interaction.
pub(super) fn effects_of(task: &Task) -> Effects {
    let text = |name: &str| {
        let value = task.attributes.get(name).and_then(Value::as_str);
        value.map(str::to_owned)
    };
    Effects {
        task_sid: Some(task.sid.clone()),
        interaction_sid: text("flexInteractionSid"),
        interaction_channel_sid: text("flexInteractionChannelSid"),
        conversation_sid: text("conversationSid"),
        ..Effects::default()
    }
}

/// The `Channel` parameter (Twilio's page on the Interactions API).
fn channel(context: &StepContext<'_>) -> Result<Value, StepError> {
    let kind = match context.campaign.channel {
        Channel::Sms => "sms",
        Channel::Whatsapp => "whatsapp",
        Channel::Facebook => "messenger",
        // The Interactions API has no custom channel; its channel for identities is chat.
        Channel::Custom => "chat",
    };
    if !is_by_agent(context) {
        let conversation = brought(context.effects.conversation_sid.as_ref(), "Conversation")?;
        return Ok(json!({
            "type": kind,
            "initiated_by": "api",
            "properties": { "media_channel_sid": conversation },
        }));
    }
    let participant = match context.campaign.channel {
        Channel::Custom => json!({ "identity": context.customer() }),
        _ => json!({
            "address": context.customer(),
            "proxy_address": context.sender(),
        }),
    };
    Ok(json!({ "type": kind, "initiated_by": "agent", "participants": [participant] }))
}

/// The `Routing` parameter: the task's destination and attributes.
fn routing(context: &StepContext<'_>) -> Result<Value, StepError> {
    let campaign = context.campaign;
    let flex = &campaign.flex;
    let mut properties = Map::new();
    let mut put = |key: &str, value: Value| properties.insert(key.to_owned(), value);
    let workspace = setting(flex.workspace_sid.as_ref(), "flex.workspace_sid")?;
    let workflow = setting(flex.workflow_sid.as_ref(), "flex.workflow_sid")?;
    put("workspace_sid", workspace.into());
    put("workflow_sid", workflow.into());
    if let Some(agent) = context.agent.filter(|_| is_by_agent(context)) {
        let queue = setting(flex.queue_sid.as_ref(), "flex.queue_sid")?;
        put("queue_sid", queue.into());
        put("worker_sid", agent.sid.as_str().into());
    }
    let task_channel = setting(flex.task_channel.as_ref(), "flex.task_channel")?;
    let key = if task_channel.starts_with("TC") {
        "task_channel_sid"
    } else {
        "task_channel_unique_name"
    };
    put(key, task_channel.into());
    put("timeout", campaign.task.timeout.as_secs().into());
    put("attributes", task_attributes(context)?);
    Ok(json!({ "properties": properties }))
}

fn task_attributes(context: &StepContext<'_>) -> Result<Value, StepError> {
    let mut attributes = super::task_fields(context)?;
    let ours = json!({
        "customerName": context.customer_name(),
        "customerAddress": context.customer(),
        "name": context.customer_name(),
        "from": context.customer(),
        "direction": "outbound",
        MARKER: context.name.as_str(),
    });
    if let Value::Object(ours) = ours {
        attributes.extend(ours);
    }
    Ok(Value::Object(attributes))
}
