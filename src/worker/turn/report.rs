//! Reports a verdict: counts it, logs it, and pauses the campaign if the verdict halts it.

use std::sync::PoisonError;

use crate::engine::Position;
use crate::ledger::{Actor, Ending, MessageKey, StateChange, Transition};
use crate::message::Failure;
use crate::metrics::MessageEvent;
use crate::outcomes::Verdict;
use crate::twilio::pause_cause;

use super::leased::Leased;
use crate::worker::{Active, WorkerState};

impl Leased<'_> {
    /// Counts and logs a verdict. A halt pauses the campaign first.
    pub(super) async fn note(&self, verdict: &Verdict) {
        let (shared, active) = (self.session.shared, self.session.active);
        let parts = &shared.parts;
        let MessageKey { campaign, id } = self.key();
        let event = match verdict {
            Verdict::End(Ending::Done { .. }) => {
                parts.metrics.last_done(parts.clock.now());
                tracing::debug!(campaign.id = %campaign, message.id = %id.in_log(), "message done");
                MessageEvent::Done
            }
            Verdict::End(Ending::Skipped { reason, .. }) => {
                tracing::info!(campaign.id = %campaign, message.id = %id.in_log(), %reason, "message skipped");
                MessageEvent::Skipped(*reason)
            }
            Verdict::End(Ending::Dead { reason, failure }) => {
                tracing::warn!(
                    campaign.id = %campaign, message.id = %id.in_log(), %reason, %failure,
                    "message dead-lettered"
                );
                MessageEvent::Dead(*reason)
            }
            Verdict::End(Ending::Unknown { evidence, .. }) => {
                tracing::error!(
                    campaign.id = %campaign, message.id = %id.in_log(), evidence,
                    "outcome unknown: an operator has to settle it"
                );
                MessageEvent::Unknown
            }
            Verdict::Again {
                reason,
                wait,
                failure,
                ..
            } => {
                let failure = failure.as_ref().map(ToString::to_string);
                tracing::info!(
                    campaign.id = %campaign, message.id = %id.in_log(), %reason,
                    wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX), failure,
                    "message waits for a later time"
                );
                MessageEvent::Waits(*reason)
            }
            Verdict::Halt(failure) => return halt(shared, active, failure).await,
        };
        self.count(event);
    }
}

/// Pauses the campaign, because Twilio refuses every message of it. If an operator has paused it already, that pause
/// stays.
async fn halt(shared: &WorkerState, active: &Active, failure: &Failure) {
    let id = &active.campaign.id;
    let cause = pause_cause(failure);
    active.switch.stop(Position::Halted);
    let parts = &shared.parts;
    let change = StateChange::Pause {
        by: Actor::Program { cause },
        reason: Some(failure.to_string()),
    };
    match parts
        .ledger
        .change_state(id, &change, parts.clock.now())
        .await
    {
        Ok(Transition::Made(_)) => {
            tracing::error!(campaign.id = %id, %cause, %failure, "campaign paused");
        }
        Ok(Transition::Already(_) | Transition::Refused(_)) => {}
        Err(error) => tracing::error!(campaign.id = %id, %error, "the pause was not recorded"),
    }
    shared.halt(failure);
}

impl WorkerState {
    /// Makes a run that is to end by itself end with this failure.
    pub(in crate::worker) fn halt(&self, failure: &Failure) {
        let mut halted = self.halted.lock().unwrap_or_else(PoisonError::into_inner);
        halted.get_or_insert_with(|| Box::new(failure.clone()));
    }
}
