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
        if turn.campaign.conversations.follow == Follow::Channel && !is_active(turn).await? {
            return Ok(Found::Absent);
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

/// Whether the Interaction's channel is active.
///
/// # Errors
///
/// [`DeadReason::SetupFailed`] when it failed: another Interaction would be another task.
async fn is_active(turn: &Turn<'_>) -> Result<bool, StepError> {
    let interaction = brought(turn.effects.interaction_sid.as_ref(), "Interaction")?;
    let channels = turn.twilio.list_interaction_channels(interaction).await?;
    let ours = turn.effects.interaction_channel_sid.as_deref();
    let channel = channels
        .into_iter()
        .find(|channel| ours.is_none_or(|ours| ours == channel.sid));
    let Some(channel) = channel else {
        return Ok(false);
    };
    match channel.status.as_deref() {
        Some("active") => Ok(true),
        // The pair of addresses is in another Conversation: Twilio finds out while it sets up.
        Some("failed") if channel.error_code.and_then(conflict) == Some(Conflict::CustomerBusy) => {
            let detail = format!(
                "{} failed: the customer is in another Conversation",
                channel.sid
            );
            Err(StepError::Busy(detail))
        }
        Some("failed" | "closed" | "inactive") => {
            let class = FailureClass::Permanent(DeadReason::SetupFailed);
            let detail = channel
                .error_message
                .unwrap_or_else(|| format!("{} did not become active", channel.sid));
            let code = channel.error_code;
            let failure = Failure::new(class, detail);
            Err(Failure { code, ..failure }.into())
        }
        _ => Ok(false),
    }
}
