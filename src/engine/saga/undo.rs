//! Undoes a saga: removes its effects, last first.
//!
//! In: the reason. Out: whether effects are left. Always: only effects that this message made or adopted are removed;
//! none is removed once the customer was reached or an agent accepted, or if another ledger may have made one of them;
//! the beginning of the undo is durable before the first effect is removed.

use std::time::Duration;

use crate::message::{Event, Failure, FailureClass};
use crate::metrics::StepResult;
use crate::twilio::{CallError, failure};

use super::Runner;
use super::attempt::EffectOrigin;
use super::recovery::{self, AbsenceCheck, LookupResult};
use crate::engine::Interrupted;
use crate::engine::step::{Found, Repeat, Step, StepError};

/// How often an undo is tried within a run, and the first wait between two tries. Each wait is twice the one before.
const TRIES: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The result of undoing.
pub(super) enum Undoing {
    /// No effect of the saga exists any more.
    Clean,
    /// The customer was reached, an agent accepted, or another ledger may have made one of the effects: all effects
    /// stay.
    HandsOff,
    /// Effects are left at Twilio, for this reason.
    Left(Failure),
}

impl Runner<'_> {
    /// Undoes all effects, last first.
    ///
    /// # Errors
    ///
    /// As [`Runner::run`].
    pub(super) async fn backward(&mut self, why: &Failure) -> Result<Undoing, Interrupted> {
        if self.journal.saga().failure.is_none()
            && let Some(left) = self.adopt_what_failed().await?
        {
            return Ok(Undoing::Left(left));
        }
        let standing = self.standing();
        let is_foreign = !self.journal.saga().foreign.is_empty();
        if is_foreign || standing.iter().any(|step| step.is_final()) {
            return Ok(Undoing::HandsOff);
        }
        for step in &standing {
            match self.insist(*step, UndoQuestion::IsTakenUp).await? {
                Ok(false) => {}
                Ok(true) => return Ok(Undoing::HandsOff),
                Err(failure) => return Ok(Undoing::Left(failure)),
            }
        }
        if self.journal.saga().failure.is_none() {
            let failure = Box::new(why.clone());
            self.journal.note(Event::Failed { failure })?;
            // The next holder must not go forward while this saga is being undone.
            self.journal.write().await?;
        }
        for step in standing.into_iter().rev() {
            if let Some(left) = self.undo(step).await? {
                return Ok(Undoing::Left(left));
            }
        }
        Ok(Undoing::Clean)
    }

    /// Undoes one step. Returns why it failed, if it failed.
    pub(in crate::engine) async fn undo(
        &mut self,
        step: &dyn Step,
    ) -> Result<Option<Failure>, Interrupted> {
        if let Err(left) = self.insist(step, UndoQuestion::Undo).await? {
            return Ok(Some(left));
        }
        let name = step.name();
        self.journal.note(Event::Undone { step: name })?;
        self.metrics.step(name, StepResult::Undone);
        Ok(None)
    }

    /// Finds effects that the journal lacks. A failed call may have left one (made, but then unreadable), and so may an
    /// earlier holder that died before it wrote its journal. They are undone with the others.
    async fn adopt_what_failed(&mut self) -> Result<Option<Failure>, Interrupted> {
        let is_doubted = self.doubted || self.journal.resumed();
        if !(self.acted || is_doubted) {
            return Ok(None);
        }
        // Absence must last if a call may be on its way or a list may lag behind.
        let check = if is_doubted {
            AbsenceCheck::Taken
        } else {
            AbsenceCheck::Usual
        };
        let mut wait = FIRST_WAIT;
        let mut tried = 1;
        while let Some(step) = self.next_step() {
            // If a repeat would double the effect, its intent is in the journal; and a plain refusal left nothing.
            if step.repeat() == Repeat::Doubles || !(is_doubted || step.is_container()) {
                break;
            }
            let settle_time = self.settle_time;
            let origin = if self.journal.saga().distrusted && !self.acted {
                EffectOrigin::Foreign
            } else {
                EffectOrigin::Adopted
            };
            match recovery::look(step, &self.context(), settle_time, check).await {
                LookupResult::Found(Found::Ours(effects)) => self.stands(step, effects, origin)?,
                LookupResult::Closed(closed) => return Err(closed.into()),
                LookupResult::Failed(failure) if tried == TRIES || !failure.class.may_pass() => {
                    return Ok(Some(failure.at(step.name())));
                }
                LookupResult::Failed(failure) => {
                    pause(&mut wait, &failure).await;
                    tried += 1;
                }
                LookupResult::Found(_) | LookupResult::Busy(_) | LookupResult::Met(_) => break,
            }
        }
        Ok(None)
    }

    /// Asks until there is an answer, or no hope of one within this run.
    async fn insist(
        &self,
        step: &dyn Step,
        ask: UndoQuestion,
    ) -> Result<Result<bool, Failure>, Interrupted> {
        let mut wait = FIRST_WAIT;
        let mut tried = 1;
        loop {
            let answer = match ask {
                UndoQuestion::IsTakenUp => step.is_taken_up(&self.context()).await,
                UndoQuestion::Undo => self.take_away(step).await.map(|()| true),
            };
            let failure = match answer {
                Ok(answer) => return Ok(Ok(answer)),
                Err(StepError::Call(CallError::Closed(closed))) => return Err(closed.into()),
                Err(StepError::Call(call)) => failure(&call, step.operation()),
                Err(StepError::Failed(failure)) => *failure,
                Err(StepError::Busy(detail) | StepError::Met(detail)) => {
                    Failure::new(FailureClass::Transient, detail)
                }
            };
            if tried == TRIES || !failure.class.may_pass() {
                return Ok(Err(failure.at(step.name())));
            }
            pause(&mut wait, &failure).await;
            tried += 1;
        }
    }
}

impl Runner<'_> {
    /// Undoes a step. Its calls may start while the campaign is paused or cancelled.
    async fn take_away(&self, step: &dyn Step) -> Result<(), StepError> {
        let gate = self.ground.gate;
        gate.set_undoing(true);
        let undone = step.undo(&self.context()).await;
        gate.set_undoing(false);
        undone
    }
}

/// A question to a step during an undo.
#[derive(Clone, Copy)]
enum UndoQuestion {
    IsTakenUp,
    Undo,
}

async fn pause(wait: &mut Duration, failure: &Failure) {
    let asked = failure.retry_after.unwrap_or_default();
    tokio::time::sleep(asked.max(*wait)).await;
    *wait *= 2;
}
