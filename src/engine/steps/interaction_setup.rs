//! Follows the Interaction's set-up, which Twilio carries out after its reply, and checks that it includes the
//! customer.
//!
//! In: an agent's Interaction. Out: its task and its Conversation. Always: the step is done only when the customer is
//! in the Conversation. Twilio may leave out a customer who is in another Conversation with our number
//! (twilio/twilio-php#784).

use std::time::Duration;

use async_trait::async_trait;

use super::{brought, interaction, is_the_pair};
use crate::campaign::Follow;
use crate::engine::step::{Found, Step, StepContext, StepError};
use crate::message::{Channel, DeadReason, Effects, Failure, FailureClass, SkipReason, StepName};
use crate::twilio::{Conflict, InteractionChannel, Operation, conflict};

/// How long a set-up is followed within one attempt. Twilio publishes no figure.
const FOLLOWED_FOR: Duration = Duration::from_secs(60);

/// The first and the longest wait between two reads. Each read costs one of 20 requests a second.
const LOOK_FIRST: Duration = Duration::from_millis(250);
const LOOK_LONGEST: Duration = Duration::from_secs(4);

pub(crate) struct InteractionSetup;

#[async_trait]
impl Step for InteractionSetup {
    fn name(&self) -> StepName {
        StepName::InteractionSetup
    }

    fn operation(&self) -> Operation {
        Operation::ListInteractionChannels
    }

    async fn act(&self, context: &StepContext<'_>) -> Result<Effects, StepError> {
        let mut wait = LOOK_FIRST;
        let mut followed = Duration::ZERO;
        let mut was_empty = false;
        loop {
            match progress(context).await? {
                Progress::Over(effects) => return Ok(*effects),
                Progress::Empty(conversation) if was_empty => {
                    return without_customer(context, &conversation).await;
                }
                // A list may lag behind: absence counts after the settle time.
                Progress::Empty(_) => {
                    was_empty = true;
                    tokio::time::sleep(context.settle_time).await;
                    continue;
                }
                Progress::SettingUp => {}
            }
            if followed >= FOLLOWED_FOR {
                let class = FailureClass::Transient;
                return Err(Failure::new(class, "the set-up is not complete yet").into());
            }
            tokio::time::sleep(wait).await;
            followed += wait;
            wait = (wait * 2).min(LOOK_LONGEST);
        }
    }

    /// Whether the set-up is complete. `Absent`: not yet, or without the customer.
    async fn find(&self, context: &StepContext<'_>) -> Result<Found, StepError> {
        // It was found by the name of its Conversation, which is given after the set-up; its task has ended.
        if context.effects.interaction_sid.is_none() && context.effects.conversation_sid.is_some() {
            return Ok(Found::Ours(Box::default()));
        }
        Ok(match progress(context).await? {
            Progress::Over(effects) => Found::Ours(effects),
            Progress::SettingUp | Progress::Empty(_) => Found::Absent,
        })
    }
}

/// The progress of the set-up.
enum Progress {
    SettingUp,
    /// The list of participants of the Conversation with this SID does not show the customer.
    Empty(String),
    Over(Box<Effects>),
}

async fn progress(context: &StepContext<'_>) -> Result<Progress, StepError> {
    if context.campaign.conversations.follow == Follow::Channel {
        match channel(context).await? {
            None => return Ok(Progress::SettingUp),
            Some(channel) if is_active(&channel) => {}
            // An earlier call may have made another Interaction, whose Conversation the customer is in.
            Some(channel) => {
                let earlier = earlier(context).await?.ok_or_else(|| ended(channel))?;
                return Ok(Progress::Over(Box::new(earlier)));
            }
        }
    }
    // The task's attributes contain the Conversation's SID when the set-up is complete.
    let Some(effects) = of_this(context).await? else {
        return Ok(Progress::SettingUp);
    };
    let conversation = effects.conversation_sid.as_ref();
    let Some(conversation) = conversation.or(context.effects.conversation_sid.as_ref()) else {
        return Ok(Progress::SettingUp);
    };
    Ok(if is_customer_in(context, conversation).await? {
        Progress::Over(Box::new(effects))
    } else {
        Progress::Empty(conversation.clone())
    })
}

/// The effects that this Interaction's task shows. A call whose reply was lost may have made another Interaction, whose
/// task has the same marker.
async fn of_this(context: &StepContext<'_>) -> Result<Option<Effects>, StepError> {
    let ours = context.effects.interaction_sid.as_ref();
    let tasks = super::find_tasks(context).await?;
    let mut all = tasks.iter().map(interaction::effects_of);
    Ok(all.find(|effects| {
        let of = effects.interaction_sid.as_ref();
        of.is_none() || ours.is_none() || of == ours
    }))
}

fn is_active(channel: &InteractionChannel) -> bool {
    channel.status.as_deref() == Some("active")
}

/// The Interaction's channel, if it is active or has ended.
async fn channel(context: &StepContext<'_>) -> Result<Option<InteractionChannel>, StepError> {
    let interaction = brought(context.effects.interaction_sid.as_ref(), "Interaction")?;
    let channels = context
        .twilio
        .list_interaction_channels(interaction)
        .await?;
    let ours = context.effects.interaction_channel_sid.as_deref();
    let known = ["active", "failed", "closed", "inactive"];
    Ok(channels
        .into_iter()
        .find(|channel| ours.is_none_or(|ours| ours == channel.sid))
        .filter(|channel| {
            let status = channel.status.as_deref();
            status.is_some_and(|status| known.contains(&status))
        }))
}

/// The error for a channel that has ended. There is no retry, because another Interaction would make another task.
fn ended(channel: InteractionChannel) -> StepError {
    let detail = channel
        .error_message
        .unwrap_or_else(|| format!("{} did not become active", channel.sid));
    let code = channel.error_code;
    if code.and_then(conflict) == Some(Conflict::CustomerBusy) {
        return StepError::Busy(detail);
    }
    let class = FailureClass::Permanent(DeadReason::SetupFailed);
    let failure = Failure::new(class, detail);
    Failure { code, ..failure }.into()
}

/// An earlier Interaction of this message whose Conversation the customer is in. The reply to its call was lost, and
/// its effect showed only after the settle time.
async fn earlier(context: &StepContext<'_>) -> Result<Option<Effects>, StepError> {
    let others = super::find_tasks(context)
        .await?
        .into_iter()
        .filter(|task| task.assignment_status.as_deref() != Some("canceled"))
        .map(|task| interaction::effects_of(&task))
        .filter(|effects| effects.interaction_sid != context.effects.interaction_sid);
    for effects in others {
        if let Some(conversation) = &effects.conversation_sid
            && is_customer_in(context, conversation).await?
        {
            return Ok(Some(effects));
        }
    }
    Ok(None)
}

/// Handles an active Interaction whose Conversation lacks the customer: if the customer is in the Conversation of an
/// earlier Interaction of ours, continues with that one; otherwise the customer is busy.
async fn without_customer(
    context: &StepContext<'_>,
    conversation: &str,
) -> Result<Effects, StepError> {
    let is_taken_up = super::is_task_taken_up(context).await?;
    if let Some(earlier) = earlier(context).await? {
        if !is_taken_up {
            interaction::close(context).await?;
        }
        return Ok(earlier);
    }
    let detail = format!(
        "Twilio did not add the customer to {conversation}: the customer is in another Conversation with our number"
    );
    if is_taken_up {
        // Waiting for the customer is useless: Twilio does not add customers later.
        let class = FailureClass::Skip(SkipReason::CustomerBusy);
        return Err(Failure::new(class, detail).into());
    }
    Err(StepError::Busy(detail))
}

/// Whether a Conversation has the customer with our number among its participants. Chat identities (a custom channel)
/// are not checked: no source says that Twilio leaves one out.
async fn is_customer_in(context: &StepContext<'_>, conversation: &str) -> Result<bool, StepError> {
    if context.campaign.channel == Channel::Custom {
        return Ok(true);
    }
    let participants = context.twilio.list_participants(conversation).await?;
    Ok(participants
        .iter()
        .any(|one| is_the_pair(&one.messaging_binding, context)))
}
