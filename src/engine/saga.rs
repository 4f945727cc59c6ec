//! The runner: a strategy's steps in order, journalled; backward when one failed for good.
//!
//! In: a message's journal and its strategy's steps. Out: how the run ended. Always: what recovery
//! cannot look up is durable before its call; what is uncertain is looked up before anything is
//! repeated; nothing is undone once the customer was reached.

use std::time::Duration;

use crate::message::{
    DeadReason, Effects, Ended, Event, Failure, FailureClass, Saga, StepName, UnknownReason,
};
use crate::metrics::{Metrics, StepResult};
use crate::twilio::{CallError, Conflict, conflict, failure};

use super::journal::Journal;
use super::recovery::{self, Looked};
use super::step::{Found, Repeat, Step, StepError, Turn};
use super::{Ground, Interrupted};

/// How often one step is tried again within a run after Twilio said it never processed the call.
/// Beyond that the message gives its place to others and comes back later.
const THROTTLED_MAX: u32 = 5;

/// How often a step is repeated within a run after a look-up found that it had not happened.
const REPEATS_MAX: u32 = 2;

/// What one try of a step came to.
enum Tried {
    Stands {
        effects: Box<Effects>,
        adopted: bool,
    },
    /// It certainly did not happen, and may be tried again at once.
    Again,
    /// It certainly did not happen: Twilio was not reached, or refused before doing anything.
    Failed(Failure),
    Busy(String),
    /// The container is closed or gone: everything is begun anew under another name.
    Gone(String),
    Unknown(String),
}

/// Runs and undoes one message's saga.
pub(super) struct Runner<'a> {
    pub(super) ground: &'a Ground<'a>,
    pub(super) journal: &'a mut Journal,
    pub(super) steps: &'a [&'static dyn Step],
    /// How long an effect may take to show in a look-up; absence counts after it.
    pub(super) settle_time: Duration,
    pub(super) metrics: &'a Metrics,
}

impl Runner<'_> {
    /// Goes forward from where the journal stands.
    ///
    /// # Errors
    ///
    /// [`Interrupted`] when the ledger or the gate lets nothing more be done: what was not recorded
    /// is found again by the next taker.
    pub(super) async fn forward(&mut self) -> Result<Ended, Interrupted> {
        let mut suspect = self.journal.resumed();
        loop {
            let Some(step) = self.next_step() else {
                return Ok(Ended::Done);
            };
            match self.advance(step, &mut suspect).await? {
                Tried::Stands { effects, adopted } => self.stands(step, effects, adopted)?,
                Tried::Again => {}
                Tried::Failed(failure) => {
                    self.metrics.step(step.name(), StepResult::Failed);
                    return Ok(Ended::Failed(failure.at(step.name())));
                }
                Tried::Busy(detail) => return Ok(Ended::Busy(detail)),
                Tried::Unknown(evidence) => {
                    return Ok(Ended::Unknown {
                        step: step.name(),
                        reason: UnknownReason::NotVisible,
                        evidence,
                    });
                }
                Tried::Gone(detail) => {
                    if let Some(ended) = self.begin_anew(step, detail).await? {
                        return Ok(ended);
                    }
                    suspect = false;
                }
            }
        }
    }

    /// Goes on with an undo that somebody else began: a saga that is being undone never goes
    /// forward. Once nothing stands, the next generation may begin.
    ///
    /// # Errors
    ///
    /// As [`Runner::forward`].
    pub(super) async fn resume_undoing(&mut self) -> Result<Option<Ended>, Interrupted> {
        let Some(failure) = self.journal.saga().failure.clone() else {
            return Ok(None);
        };
        if !self.journal.saga().standing.is_empty() {
            let left = self.backward(&failure).await?;
            return Ok(Some(Ended::Failed(left.unwrap_or(failure))));
        }
        let generation = self.journal.saga().generation;
        self.journal.begin(generation + 1)?;
        Ok(None)
    }

    /// Undoes what stands, last first. When an undo failed, returns what is left at Twilio: to be
    /// undone later, unless the failure's class says that it stays.
    ///
    /// # Errors
    ///
    /// As [`Runner::forward`].
    pub(super) async fn backward(
        &mut self,
        failure: &Failure,
    ) -> Result<Option<Failure>, Interrupted> {
        if self.reached_the_customer() || self.is_taken_up().await? {
            return Ok(None);
        }
        if self.journal.saga().failure.is_none() {
            let failure = Box::new(failure.clone());
            self.journal.note(Event::Failed { failure })?;
            // Whoever takes over while this is being undone must not go forward with the rest.
            self.journal.write().await?;
        }
        let standing: Vec<StepName> = self.journal.saga().standing.clone();
        for name in standing.into_iter().rev() {
            let Some(step) = self.steps.iter().find(|step| step.name() == name) else {
                continue;
            };
            let undone = step.undo(&self.turn()).await;
            match undone {
                Ok(()) => {}
                Err(StepError::Call(CallError::Closed(closed))) => return Err(closed.into()),
                Err(error) => return Ok(Some(left(*step, &error))),
            }
            self.journal.note(Event::Undone { step: name })?;
            self.metrics.step(name, StepResult::Undone);
        }
        Ok(None)
    }

    /// One try of one step, with the look-up in front where a predecessor may have been here.
    async fn advance(
        &mut self,
        step: &'static dyn Step,
        suspect: &mut bool,
    ) -> Result<Tried, Interrupted> {
        let intended = self.journal.saga().intended == Some(step.name());
        let look_first = match step.repeat() {
            Repeat::Collides | Repeat::Lists => *suspect,
            Repeat::Doubles => intended,
        };
        if look_first {
            self.metrics.step(step.name(), StepResult::InDoubt);
            let tried = self.look(step).await?;
            if !matches!(tried, Tried::Again) {
                return Ok(tried);
            }
            // What comes after a step that did not happen did not happen either.
            *suspect = false;
        }
        self.act(step).await
    }

    async fn act(&mut self, step: &'static dyn Step) -> Result<Tried, Interrupted> {
        let mut throttled = 0;
        let mut repeated = 0;
        loop {
            if step.repeat() == Repeat::Doubles {
                self.journal.intend(step.name()).await?;
            }
            let error = match step.act(&self.turn()).await {
                Ok(effects) => {
                    return Ok(Tried::Stands {
                        effects: Box::new(effects),
                        adopted: false,
                    });
                }
                Err(error) => error,
            };
            let call = match error {
                StepError::Busy(detail) => return self.refused(step, Tried::Busy(detail)),
                StepError::Failed(failure) => return self.refused(step, Tried::Failed(*failure)),
                StepError::Call(CallError::Closed(closed)) => {
                    self.journal.refuse(step.name())?;
                    return Err(closed.into());
                }
                StepError::Call(call) => call,
            };
            if matches!(call, CallError::NotProcessed { .. }) && throttled < THROTTLED_MAX {
                // The gate has cooled the lane: the next pass waits for it.
                self.journal.refuse(step.name())?;
                throttled += 1;
                continue;
            }
            if call.is_in_doubt() {
                self.metrics.step(step.name(), StepResult::InDoubt);
                let tried = self.look(step).await?;
                if matches!(tried, Tried::Again) && repeated < REPEATS_MAX {
                    repeated += 1;
                    continue;
                }
                return Ok(match tried {
                    Tried::Again => Tried::Failed(failure(&call, step.operation())),
                    tried => tried,
                });
            }
            let tried = self.answered(step, &call).await?;
            return self.refused(step, tried);
        }
    }

    /// Twilio refused: a conflict leads to what is there already, anything else is a failure.
    async fn answered(
        &mut self,
        step: &'static dyn Step,
        call: &CallError,
    ) -> Result<Tried, Interrupted> {
        let Some(conflict) = call.code().and_then(conflict) else {
            return Ok(Tried::Failed(failure(call, step.operation())));
        };
        match conflict {
            Conflict::CustomerBusy | Conflict::NameTaken | Conflict::AlreadyThere => {
                let tried = self.look(step).await?;
                Ok(match tried {
                    Tried::Again if conflict == Conflict::CustomerBusy => {
                        Tried::Busy(call.to_string())
                    }
                    // Refused as taken and not to be seen: it may show later.
                    Tried::Again => {
                        let class = FailureClass::Transient;
                        Tried::Failed(Failure {
                            class,
                            ..failure(call, step.operation())
                        })
                    }
                    tried => tried,
                })
            }
            Conflict::Gone => Ok(Tried::Gone(call.to_string())),
        }
    }

    /// Looks whether the step's effect stands; `Again` when it certainly does not.
    async fn look(&mut self, step: &'static dyn Step) -> Result<Tried, Interrupted> {
        let looked = recovery::look(step, &self.turn(), self.settle_time).await;
        Ok(match looked {
            Looked::Found(Found::Ours(effects)) => Tried::Stands {
                effects,
                adopted: true,
            },
            Looked::Found(Found::Absent) => {
                self.journal.refuse(step.name())?;
                Tried::Again
            }
            Looked::Found(Found::Theirs(detail)) => Tried::Busy(detail),
            Looked::Found(Found::Gone(detail)) => Tried::Gone(detail),
            Looked::Found(Found::Invisible(detail)) => match step.repeat() {
                Repeat::Doubles => Tried::Unknown(detail),
                Repeat::Collides | Repeat::Lists => Tried::Gone(detail),
            },
            Looked::Closed(closed) => return Err(closed.into()),
            Looked::Failed(failure) => Tried::Failed(failure),
        })
    }

    /// The intent, if there was one, certainly came to nothing.
    fn refused(&mut self, step: &'static dyn Step, tried: Tried) -> Result<Tried, Interrupted> {
        if !matches!(tried, Tried::Stands { .. } | Tried::Unknown(_)) {
            self.journal.refuse(step.name())?;
        }
        Ok(tried)
    }

    fn stands(
        &mut self,
        step: &'static dyn Step,
        effects: Box<Effects>,
        adopted: bool,
    ) -> Result<(), Interrupted> {
        let name = step.name();
        let result = if adopted {
            StepResult::Adopted
        } else {
            StepResult::Made
        };
        self.metrics.step(name, result);
        self.journal.note(Event::Happened {
            step: name,
            effects,
            adopted,
        })
    }

    /// Undoes this generation and begins the next: what was closed keeps its name at Twilio.
    async fn begin_anew(
        &mut self,
        step: &'static dyn Step,
        detail: String,
    ) -> Result<Option<Ended>, Interrupted> {
        /// A message that is begun anew this often meets something that closes its things.
        const GENERATIONS_MAX: u32 = 3;
        let class = FailureClass::Permanent(DeadReason::Rejected);
        let failure = Failure::new(class, detail).at(step.name());
        let generation = self.journal.saga().generation;
        if generation >= GENERATIONS_MAX || self.reached_the_customer() {
            return Ok(Some(Ended::Failed(failure)));
        }
        if let Some(left) = self.backward(&failure).await? {
            return Ok(Some(Ended::Failed(left)));
        }
        self.journal.begin(generation + 1)?;
        Ok(None)
    }

    async fn is_taken_up(&self) -> Result<bool, Interrupted> {
        for step in self.steps {
            if !self.journal.saga().stands(step.name()) {
                continue;
            }
            match step.is_taken_up(&self.turn()).await {
                Ok(false) => {}
                Ok(true) => return Ok(true),
                Err(StepError::Call(CallError::Closed(closed))) => return Err(closed.into()),
                // Who cannot be asked may have been reached: hands off.
                Err(_) => return Ok(true),
            }
        }
        Ok(false)
    }

    fn next_step(&self) -> Option<&'static dyn Step> {
        let turn = self.turn();
        let mut steps = self.steps.iter().copied();
        steps.find(|step| !self.journal.saga().stands(step.name()) && step.applies(&turn))
    }

    fn reached_the_customer(&self) -> bool {
        let saga: &Saga = self.journal.saga();
        let mut finals = self.steps.iter().filter(|step| step.is_final());
        finals.any(|step| saga.stands(step.name()))
    }

    fn turn(&self) -> Turn<'_> {
        Turn {
            twilio: self.ground.twilio,
            campaign: self.ground.campaign,
            message: self.ground.message,
            agent: self.ground.agent,
            name: self.journal.name(),
            effects: &self.journal.saga().effects,
        }
    }
}

/// What a failed undo comes to: a failure of the undo's own kind where another try may cure it.
fn left(step: &dyn Step, error: &StepError) -> Failure {
    let own = match error {
        StepError::Call(call) => failure(call, step.operation()),
        StepError::Failed(failure) => failure.as_ref().clone(),
        StepError::Busy(detail) => Failure::new(FailureClass::Permanent(DeadReason::Stuck), detail),
    };
    let name = step.name();
    let detail = format!("the undo failed, {name} is left at Twilio: {error}");
    let class = match own.class {
        FailureClass::Permanent(_) | FailureClass::Skip(_) => {
            FailureClass::Permanent(DeadReason::Stuck)
        }
        passing => passing,
    };
    Failure {
        class,
        detail,
        ..own
    }
    .at(name)
}

/// What is left at Twilio for good: its undo is not tried again.
pub(super) fn stuck(left: Failure) -> Failure {
    Failure {
        class: FailureClass::Permanent(DeadReason::Stuck),
        ..left
    }
}
