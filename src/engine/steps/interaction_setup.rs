//! The Interaction's set-up, which Twilio carries out after it answered: followed to its end.

use std::time::Duration;

use async_trait::async_trait;

use super::brought;
use crate::campaign::Follow;
use crate::engine::step::{Found, Step, StepError, Turn};
use crate::message::{DeadReason, Effects, Failure, FailureClass, StepName};
use crate::twilio::{Conflict, Operation, conflict};

/// How long a set-up is followed within one attempt; no figure of Twilio's is known.
const FOLLOWED_FOR: Duration = Duration::from_secs(60);

/// The first and the longest wait between two looks: each look costs one of 20 requests a second.
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

    async fn act(&self, turn: &Turn<'_>) -> Result<Effects, StepError> {
        let mut wait = LOOK_FIRST;
        let mut followed = Duration::ZERO;
        loop {
            if let Found::Ours(effects) = self.find(turn).await? {
                return Ok(*effects);
            }
            if followed >= FOLLOWED_FOR {
                let class = FailureClass::Transient;
                return Err(Failure::new(class, "the set-up is not over yet").into());
            }
            tokio::time::sleep(wait).await;
            followed += wait;
            wait = (wait * 2).min(LOOK_LONGEST);
        }
    }

    /// Whether it is over: `Absent` means not yet.
    async fn find(&self, turn: &Turn<'_>) -> Result<Found, StepError> {
        // Found by the name of its Conversation, which it gets after its set-up: its task has ended.
        if turn.effects.interaction_sid.is_none() && turn.effects.conversation_sid.is_some() {
            return Ok(Found::Ours(Box::default()));
        }
        if turn.campaign.conversations.follow == Follow::Channel {
            match state(turn).await? {
                State::Active => {}
                State::SettingUp => return Ok(Found::Absent),
                State::Busy(detail) => return earlier(turn, detail).await,
            }
        }
        // The Conversation's SID stands in the task's attributes once the set-up is over.
        let Some(task) = super::find_task(turn).await? else {
            return Ok(Found::Absent);
        };
        let effects = super::interaction::effects_of(&task);
        let conversation = effects.conversation_sid.as_ref();
        if conversation
            .or(turn.effects.conversation_sid.as_ref())
            .is_none()
        {
            return Ok(Found::Absent);
        }
        Ok(Found::Ours(Box::new(effects)))
    }
}

/// How far the Interaction's channel is.
enum State {
    SettingUp,
    Active,
    /// It failed: the customer is in another conversation with our number.
    Busy(String),
}

/// How far the Interaction's channel is.
///
/// # Errors
///
/// [`DeadReason::SetupFailed`] when it failed: another Interaction would be another task.
async fn state(turn: &Turn<'_>) -> Result<State, StepError> {
    let interaction = brought(turn.effects.interaction_sid.as_ref(), "Interaction")?;
    let channels = turn.twilio.list_interaction_channels(interaction).await?;
    let ours = turn.effects.interaction_channel_sid.as_deref();
    let channel = channels
        .into_iter()
        .find(|channel| ours.is_none_or(|ours| ours == channel.sid));
    let Some(channel) = channel else {
        return Ok(State::SettingUp);
    };
    if channel.status.as_deref() == Some("active") {
        return Ok(State::Active);
    }
    if !matches!(
        channel.status.as_deref(),
        Some("failed" | "closed" | "inactive")
    ) {
        return Ok(State::SettingUp);
    }
    let detail = channel
        .error_message
        .unwrap_or_else(|| format!("{} did not become active", channel.sid));
    let code = channel.error_code;
    if code.and_then(conflict) == Some(Conflict::CustomerBusy) {
        return Ok(State::Busy(detail));
    }
    let class = FailureClass::Permanent(DeadReason::SetupFailed);
    let failure = Failure::new(class, detail);
    Err(Failure { code, ..failure }.into())
}

/// The conversation that the customer is in: ours, when the reply to an earlier call was lost and
/// what it made showed only after the settle time; else somebody else's.
async fn earlier(turn: &Turn<'_>, detail: String) -> Result<Found, StepError> {
    let failed = turn.effects.interaction_sid.as_ref();
    let mut others = super::find_tasks(turn)
        .await?
        .into_iter()
        .filter(|task| task.assignment_status.as_deref() != Some("canceled"))
        .map(|task| super::interaction::effects_of(&task))
        .filter(|effects| effects.interaction_sid.as_ref() != failed);
    match others.find(|effects| effects.conversation_sid.is_some()) {
        Some(effects) => Ok(Found::Ours(Box::new(effects))),
        None => Err(StepError::Busy(detail)),
    }
}
