//! The steps of the strategies: one Twilio action, one file.

mod agent_participant;
mod channel_attributes;
mod chat_message;
mod conversation;
mod conversation_message;
mod conversation_name;
mod conversation_participant;
mod customer_participant;
mod flex_channel;
mod interaction;
mod interaction_setup;
mod proxy_message;
mod proxy_session;
mod reply_webhook;

pub(super) use agent_participant::AgentParticipant;
pub(super) use channel_attributes::ChannelAttributes;
pub(super) use chat_message::ChatMessage;
pub(super) use conversation::Conversation;
pub(super) use conversation_message::ConversationMessage;
pub(super) use conversation_name::ConversationName;
pub(super) use conversation_participant::ConversationParticipant;
pub(super) use customer_participant::CustomerParticipant;
pub(super) use flex_channel::FlexChannel;
pub(super) use interaction::Interaction;
pub(super) use interaction_setup::InteractionSetup;
pub(super) use proxy_message::ProxyMessage;
pub(super) use proxy_session::ProxySession;
pub(super) use reply_webhook::ReplyWebhook;

use serde_json::{Map, Value};

use super::step::{Found, Step, StepContext, StepError};
use crate::campaign::{InitiatedBy, Template};
use crate::message::{DeadReason, Effects, Failure, FailureClass};
use crate::twilio::{MessagingBinding, ProxyParticipant, Task};

/// The attribute that marks our objects at Twilio. Its value is the message's name.
pub(super) const MARKER: &str = "flexcast";

/// The attribute of a container that an undo has closed: nothing in it has reached the customer or an agent.
const UNDONE: &str = "flexcast_undone";

/// How many of a container's newest messages a look-up reads. Ours is among the first.
const LOOKED_AT: usize = 50;

/// Attributes with the marker only.
fn marked(context: &StepContext<'_>) -> Map<String, Value> {
    Map::from_iter([(MARKER.to_owned(), context.name.as_str().into())])
}

/// The marker, and the customer's data that agents see (`task.show`).
fn marked_and_shown(context: &StepContext<'_>) -> Map<String, Value> {
    let mut attributes = context.campaign.shown_of(&context.message.customer);
    attributes.extend(marked(context));
    attributes
}

/// Whether attributes carry this message's marker.
fn is_marked(attributes: &Map<String, Value>, context: &StepContext<'_>) -> bool {
    attributes.get(MARKER).and_then(Value::as_str) == Some(context.name.as_str())
}

/// Whether an undo of ours has closed the container with these attributes.
fn is_undone(attributes: &Map<String, Value>) -> bool {
    attributes.get(UNDONE) == Some(&Value::Bool(true))
}

/// The effects so far, with those of a message that this step has sent. None if it has sent none, or does not apply.
async fn sent_by(step: &dyn Step, context: &StepContext<'_>) -> Result<Option<Effects>, StepError> {
    if !step.applies(context) {
        return Ok(None);
    }
    Ok(match step.find(context).await? {
        Found::Ours(sent) => {
            let mut effects = context.effects.clone();
            effects.merge(*sent);
            Some(effects)
        }
        _ => None,
    })
}

/// A SID that an earlier step must have brought.
fn brought<'a>(sid: Option<&'a String>, what: &str) -> Result<&'a str, StepError> {
    sid.map(String::as_str).ok_or_else(|| {
        let class = FailureClass::Permanent(DeadReason::Rejected);
        Failure::new(class, format!("the {what} that this step needs is unknown")).into()
    })
}

/// A setting that `campaign apply` has filled in.
fn setting<'a>(value: Option<&'a String>, key: &str) -> Result<&'a str, StepError> {
    value.map(String::as_str).ok_or_else(|| {
        let class = FailureClass::Permanent(DeadReason::Misconfigured);
        Failure::new(class, format!("the campaign has no {key}: apply it again")).into()
    })
}

/// The text to send, rendered when the message was accepted.
fn body<'a>(context: &'a StepContext<'_>) -> Result<&'a str, StepError> {
    context.message.body.as_deref().ok_or_else(|| {
        let class = FailureClass::Permanent(DeadReason::InvalidContent);
        Failure::new(class, "the message has no text").into()
    })
}

/// Renders a template of the campaign's for this customer and agent.
fn render(context: &StepContext<'_>, template: &str) -> Result<String, StepError> {
    let agent = context.agent.map(|agent| agent.identity.as_str());
    let rendered = Template::parse(template)
        .and_then(|template| template.render(&context.message.customer, agent));
    rendered.map_err(|detail| {
        let class = FailureClass::Permanent(DeadReason::InvalidContent);
        Failure::new(class, detail).into()
    })
}

/// The fields that the campaign adds to the task, for this customer and agent.
fn task_fields(context: &StepContext<'_>) -> Result<Map<String, Value>, StepError> {
    let agent = context.agent.map(|agent| agent.identity.as_str());
    let fields = context
        .campaign
        .task_fields(&context.message.customer, agent);
    fields.map_err(|detail| {
        let class = FailureClass::Permanent(DeadReason::InvalidContent);
        Failure::new(class, detail).into()
    })
}

/// The error when Twilio reported a new object but does not show it yet. It is looked up by name later.
fn not_seen_yet(sid: &str) -> StepError {
    let class = FailureClass::Transient;
    Failure::new(class, format!("{sid} does not show yet")).into()
}

/// Looks for a participant of the session by its identifier.
async fn find_proxy_participant(
    context: &StepContext<'_>,
    identifier: &str,
    effects: fn(ProxyParticipant) -> Effects,
) -> Result<Found, StepError> {
    let session = brought(context.effects.session_sid.as_ref(), "Proxy session")?;
    let service = proxy_session::proxy_service(context)?;
    let listed = context
        .twilio
        .list_proxy_participants(service, session)
        .await?;
    let there = listed
        .into_iter()
        .find(|one| one.identifier.as_deref() == Some(identifier));
    Ok(match there {
        Some(there) => Found::Ours(Box::new(effects(there))),
        None => Found::Absent,
    })
}

/// The message's task, by the marker in its attributes.
async fn find_task(context: &StepContext<'_>) -> Result<Option<Task>, StepError> {
    Ok(find_tasks(context).await?.into_iter().next())
}

/// All tasks with this message's marker: several if a call was repeated.
async fn find_tasks(context: &StepContext<'_>) -> Result<Vec<Task>, StepError> {
    let workspace = context.campaign.flex.workspace_sid.as_ref();
    let workspace = setting(workspace, "flex.workspace_sid")?;
    // The name has only letters, digits and a hyphen, which need no escaping in an expression.
    let marker = format!("{MARKER} == '{}'", context.name);
    let mut tasks = context.twilio.list_tasks(workspace, &marker).await?;
    // Checked here again: if Twilio read the expression in another way, another message's task must not become ours.
    tasks.retain(|task| is_marked(&task.attributes, context));
    Ok(tasks)
}

/// Whether an agent has accepted the message's task, or has completed it. TaskRouter deletes a task five minutes after
/// its end: a task that existed and is gone was an agent's, unless an undo has begun.
async fn is_task_taken_up(context: &StepContext<'_>) -> Result<bool, StepError> {
    let Some(task) = fetch_task(context).await? else {
        let effects = context.effects;
        let is_known_by_name =
            effects.interaction_sid.is_none() && effects.conversation_sid.is_some();
        let has_stood = effects.task_sid.is_some() || is_known_by_name;
        return Ok(has_stood && !context.undoing);
    };
    let status = task.assignment_status.as_deref();
    Ok(matches!(
        status,
        Some("assigned" | "wrapping" | "completed")
    ))
}

async fn fetch_task(context: &StepContext<'_>) -> Result<Option<Task>, StepError> {
    // A reply need not contain the task's SID, and neither does a read of its channel.
    let Some(sid) = context.effects.task_sid.as_ref() else {
        return find_task(context).await;
    };
    let workspace = context.campaign.flex.workspace_sid.as_ref();
    let workspace = setting(workspace, "flex.workspace_sid")?;
    Ok(context.twilio.fetch_task(workspace, sid).await?)
}

/// Whether the agent initiates the Interaction, and not the API.
fn is_by_agent(context: &StepContext<'_>) -> bool {
    match context.campaign.conversations.initiated_by {
        InitiatedBy::Auto => context.agent.is_some(),
        InitiatedBy::Agent => true,
        InitiatedBy::Api => false,
    }
}

/// Whether a binding joins the message's customer and sender.
fn is_the_pair(binding: &MessagingBinding, context: &StepContext<'_>) -> bool {
    let is = |address: &Option<String>, ours: &str| {
        let address = address.as_deref();
        address.is_some_and(|one| bare(one) == bare(ours))
    };
    is(&binding.address, &context.customer()) && is(&binding.proxy_address, &context.sender())
}

/// An address without its channel's prefix.
fn bare(address: &str) -> &str {
    address.split_once(':').map_or(address, |(_, bare)| bare)
}
