//! The runner: carries out a strategy's steps in order, with a journal, from the position that the journal records.
//!
//! In: a message's journal and its strategy's steps. Out: how the run ended. Always: if recovery cannot look an effect
//! up, its intent is durable before the call; an uncertain effect is looked up before its call is repeated; a saga that
//! is being undone never goes forward.

pub(super) mod journal;
pub(super) mod attempt;
pub(super) mod recovery;
pub(super) mod generations;
pub(super) mod survey;
pub(super) mod undo;

use std::time::Duration;

use jiff::Timestamp;

use crate::message::{
    DeadReason, Effects, Ended, Event, Failure, FailureClass, SkipReason, StepName, UnknownReason,
};
use crate::metrics::{Metrics, StepResult};

use self::attempt::{EffectOrigin, Tried};
use self::generations::PastGenerations;
use self::journal::Journal;
use self::recovery::LookupResult;
use self::undo::Undoing;
use super::step::{Found, Step, StepContext};
use super::{Ground, Interrupted};

/// How often a message may meet a closed container in one run. Beyond that, something closes its containers.
const RENEWED_MAX: u32 = 3;

/// Decides whether a failure is final.
pub(super) type ForGood<'a> = &'a (dyn Fn(&Failure) -> bool + Send + Sync);

/// Runs and undoes one message's saga.
pub(super) struct Runner<'a> {
    pub(super) ground: &'a Ground<'a>,
    pub(super) journal: &'a mut Journal,
    pub(super) steps: &'a [&'static dyn Step],
    /// How long an effect may take to show in a look-up. Absence counts only after this time.
    pub(super) settle_time: Duration,
    pub(super) metrics: &'a Metrics,
    pub(super) for_good: ForGood<'a>,
    /// The generations that a survey need not read again.
    pub(super) past: &'a PastGenerations,
    /// Since when another ledger may have been active, if that is known.
    pub(super) distrusted_from: Option<Timestamp>,
    /// The intent of an earlier holder: its call may still be on its way.
    pub(super) inherited: Option<StepName>,
    /// Whether an earlier holder's lease expired while its process is alive and has not released it: it may still send.
    pub(super) overtaken: bool,
    /// Whether a call of this run may have left an effect that is not journalled.
    pub(super) acted: bool,
    /// Whether the result of a call of this run was uncertain: its effect may show later.
    pub(super) doubted: bool,
}

impl Runner<'_> {
    /// Carries the saga as far as possible: forward, and backward if it failed finally or the customer is busy.
    /// `unfit`: why it cannot go forward at all.
    ///
    /// # Errors
    ///
    /// [`Interrupted`] when the ledger or the gate prevents the run from continuing. The next holder looks up what was
    /// not recorded.
    pub(super) async fn run(&mut self, unfit: Option<Failure>) -> Result<Ended, Interrupted> {
        if let Some(ended) = self.resume().await? {
            return Ok(ended);
        }
        if self.journal.saga().distrusted
            && let Some(ended) = self.survey().await?
        {
            return Ok(ended);
        }
        let ended = match unfit {
            // Its customer was reached: it can only go forward, whatever makes it unfit.
            Some(_) if self.standing().iter().any(|step| step.is_final()) => self.forward().await?,
            Some(failure) => self.give_up(failure).await?,
            None => self.forward().await?,
        };
        let failure = match &ended {
            Ended::Failed(failure) if (self.for_good)(failure) => failure.clone(),
            Ended::Busy(detail) => busy(detail),
            _ => return Ok(ended),
        };
        // It was given up while an uncertain call could not be looked up: the outcome is unknown.
        if let Some(step) = self.journal.saga().intended {
            return Ok(ended_unknown(step, failure.to_string()));
        }
        Ok(match self.backward(&failure).await? {
            Undoing::Clean => ended,
            Undoing::HandsOff => effects_kept(ended),
            Undoing::Left(left) => self.left(left, &failure),
        })
    }

    /// Retries an undo that left effects; never goes forward.
    ///
    /// # Errors
    ///
    /// As [`Runner::run`].
    pub(super) async fn unwind(&mut self, why: &Failure) -> Result<Ended, Interrupted> {
        Ok(match self.backward(why).await? {
            Undoing::Clean | Undoing::HandsOff => Ended::Failed(why.clone()),
            Undoing::Left(left) => Ended::Failed(stuck(&left, why)),
        })
    }

    /// Continues an undo that an earlier holder began. `None` when the saga may go forward: it was not being undone, or
    /// a new generation begins.
    async fn resume(&mut self) -> Result<Option<Ended>, Interrupted> {
        let Some(failure) = self.journal.saga().failure.clone() else {
            return Ok(None);
        };
        // It was undone completely, and was then queued again: a retry, a busy customer, a replay.
        let is_over = self.journal.saga().standing.is_empty();
        match self.backward(&failure).await? {
            Undoing::HandsOff => return Ok(Some(Ended::Failed(failure))),
            Undoing::Left(left) => return Ok(Some(self.left(left, &failure))),
            Undoing::Clean => {}
        }
        Ok(match failure.class {
            FailureClass::Skip(SkipReason::CustomerBusy) if !is_over => {
                Some(Ended::Busy(failure.detail))
            }
            FailureClass::Permanent(_) | FailureClass::Skip(_) if !is_over => {
                Some(Ended::Failed(failure))
            }
            _ => {
                self.next_generation()?;
                None
            }
        })
    }

    /// Takes no further step, but checks whether the effect exists that an earlier holder intended.
    async fn give_up(&mut self, failure: Failure) -> Result<Ended, Interrupted> {
        if self.next_step().is_none() {
            return Ok(DONE);
        }
        let intended = self.journal.saga().intended;
        let mut steps = self.steps.iter().copied();
        let Some(step) = steps.find(|step| intended == Some(step.name())) else {
            return Ok(Ended::Failed(failure));
        };
        match self.look_back(step).await? {
            Tried::Stands { effects, origin } => self.stands(step, effects, origin)?,
            Tried::Late => {
                if let Some(ended) = self.overtake(step).await? {
                    return Ok(ended);
                }
            }
            Tried::Unknown(evidence) => return Ok(ended_unknown(step.name(), evidence)),
            // It is looked up again later, until the retries end.
            Tried::Failed(failure) => return Ok(Ended::Failed(failure.at(step.name()))),
            // It did not happen, or remains uncertain.
            _ => {}
        }
        Ok(match self.next_step() {
            None => DONE,
            Some(_) => Ended::Failed(failure),
        })
    }

    async fn forward(&mut self) -> Result<Ended, Interrupted> {
        let mut suspect = self.journal.resumed();
        let mut renewed = 0;
        loop {
            let Some(step) = self.next_step() else {
                return Ok(DONE);
            };
            let tried = self.advance(step, &mut suspect).await?;
            if matches!(tried, Tried::Gone(_)) && self.journal.saga().distrusted {
                // The generation changes only if the closed container's contents allow it.
                let before = self.journal.saga().generation;
                if let Some(ended) = self.survey().await? {
                    return Ok(ended);
                }
                if self.journal.saga().generation != before {
                    continue;
                }
            }
            let ended = match tried {
                Tried::Stands { effects, origin } => {
                    self.stands(step, effects, origin)?;
                    None
                }
                Tried::Again => None,
                Tried::Failed(failure) => {
                    self.metrics.step(step.name(), StepResult::Failed);
                    Some(Ended::Failed(failure.at(step.name())))
                }
                Tried::Busy(detail) => Some(Ended::Busy(detail)),
                Tried::Unknown(evidence) => Some(ended_unknown(step.name(), evidence)),
                Tried::Late => self.overtake(step).await?,
                Tried::Met(detail) => self.meet(step, detail).await?,
                Tried::Gone(detail) if renewed == RENEWED_MAX => {
                    let class = FailureClass::Permanent(DeadReason::Rejected);
                    Some(Ended::Failed(Failure::new(class, detail).at(step.name())))
                }
                Tried::Gone(detail) => {
                    renewed += 1;
                    self.renew(step, detail).await?
                }
            };
            if let Some(ended) = ended {
                return Ok(ended);
            }
            suspect &= self.journal.resumed() && renewed == 0;
        }
    }

    /// Undoes this generation and begins the next one: a closed container keeps its name at Twilio.
    async fn renew(
        &mut self,
        step: &dyn Step,
        detail: String,
    ) -> Result<Option<Ended>, Interrupted> {
        let failure = restart_reason(step.name(), detail);
        Ok(match self.backward(&failure).await? {
            Undoing::Clean => {
                self.next_generation()?;
                None
            }
            Undoing::HandsOff => {
                let class = FailureClass::Permanent(DeadReason::Rejected);
                Some(Ended::Failed(Failure { class, ..failure }))
            }
            Undoing::Left(left) => Some(self.left(left, &failure)),
        })
    }

    /// An earlier holder intended this call, and its effect has not shown. Its container is closed, so that a late call
    /// fails, and a new generation begins under another name.
    async fn overtake(&mut self, step: &'static dyn Step) -> Result<Option<Ended>, Interrupted> {
        let before = self.journal.saga().effects.clone();
        let failure = restart_reason(
            step.name(),
            "begun again under another name, so that a late call has no effect".to_owned(),
        );
        match self.backward(&failure).await? {
            Undoing::Clean => {}
            // Its container is in use: it stays, and the step is repeated in it.
            Undoing::HandsOff => {
                self.journal.refuse(step.name())?;
                return Ok(None);
            }
            Undoing::Left(left) => return Ok(Some(self.left(left, &failure))),
        }
        // The call may have succeeded between the last look-up and the end of the container.
        let context = self.context_with(&before);
        let found = match recovery::once(step, &context).await {
            LookupResult::Found(Found::Ours(effects)) => *effects,
            LookupResult::Closed(closed) => return Err(closed.into()),
            _ => {
                self.next_generation()?;
                return Ok(None);
            }
        };
        if step.is_final() {
            let sid = found.message_sid.unwrap_or_default();
            let evidence = format!(
                "{sid} was sent while its container was being closed: replies to it are lost"
            );
            return Ok(Some(ended_unknown(step.name(), evidence)));
        }
        let mut effects = before;
        effects.merge(found);
        // Recorded in the journal, so that it is found again if its undo fails.
        self.stands(step, Box::new(effects), EffectOrigin::Adopted)?;
        if let Some(left) = self.undo(step).await? {
            return Ok(Some(self.left(left, &failure)));
        }
        self.next_generation()?;
        Ok(None)
    }

    pub(super) fn next_generation(&mut self) -> Result<(), Interrupted> {
        self.acted = false;
        let generation = self.journal.saga().generation;
        self.journal.begin(generation + 1)
    }

    /// The result of a saga whose undo is not complete: the undo is retried, until the retries end.
    pub(super) fn left(&self, failure: Failure, why: &Failure) -> Ended {
        let may_pass = match failure.class {
            FailureClass::Halt => true,
            FailureClass::Transient | FailureClass::Throttled | FailureClass::Away => {
                !(self.for_good)(&failure)
            }
            FailureClass::Permanent(_) | FailureClass::Skip(_) => false,
        };
        Ended::Failed(if may_pass {
            failure
        } else {
            stuck(&failure, why)
        })
    }

    pub(super) fn stands(
        &mut self,
        step: &dyn Step,
        effects: Box<Effects>,
        origin: EffectOrigin,
    ) -> Result<(), Interrupted> {
        let name = step.name();
        let result = match origin {
            EffectOrigin::Made => StepResult::Made,
            EffectOrigin::Adopted | EffectOrigin::Foreign => StepResult::Adopted,
        };
        self.metrics.step(name, result);
        self.journal.note(Event::Happened {
            step: name,
            effects,
            adopted: origin != EffectOrigin::Made,
            foreign: origin == EffectOrigin::Foreign,
        })
    }

    /// The first step that is still to be done.
    pub(super) fn next_step(&self) -> Option<&'static dyn Step> {
        let context = self.context();
        let mut steps = self.steps.iter().copied();
        steps.find(|step| !self.journal.saga().stands(step.name()) && step.applies(&context))
    }

    /// The steps whose effects exist, in order.
    pub(super) fn standing(&self) -> Vec<&'static dyn Step> {
        let standing = self.journal.saga().standing.iter();
        let step = |name: &StepName| self.steps.iter().find(|step| step.name() == *name).copied();
        standing.filter_map(step).collect()
    }

    pub(super) fn context(&self) -> StepContext<'_> {
        self.context_with(&self.journal.saga().effects)
    }

    pub(super) fn context_with<'t>(&'t self, effects: &'t Effects) -> StepContext<'t> {
        StepContext {
            twilio: self.ground.twilio,
            campaign: self.ground.campaign,
            message: self.ground.message,
            agent: self.ground.agent,
            name: self.journal.name(),
            effects,
            undoing: self.journal.saga().failure.is_some(),
            distrusted_from: self.distrusted_from,
            settle_time: self.settle_time,
        }
    }
}

/// Every step's effect exists, made by this journal.
const DONE: Ended = Ended::Done {
    already_sent: false,
};

/// The failure of an undo that is given up for now, with the failure that caused the undo.
fn stuck(left: &Failure, why: &Failure) -> Failure {
    let what = left.step.map_or("something", StepName::as_str);
    let detail = format!("the undo failed, {what} is left at Twilio: {}", left.detail);
    Failure {
        class: FailureClass::Permanent(DeadReason::Stuck),
        detail,
        cause: Some(Box::new(why.clone())),
        ..left.clone()
    }
}

/// The result of a message that is not to be done although effects of it stay.
pub(super) fn effects_kept(ended: Ended) -> Ended {
    match ended {
        Ended::Failed(failure) if matches!(failure.class, FailureClass::Skip(_)) => {
            let detail = format!(
                "{}; an agent has accepted the task, the customer has replied, or another ledger has made it: it was \
                 left as it is",
                failure.detail
            );
            Ended::Failed(Failure { detail, ..failure })
        }
        ended => ended,
    }
}

/// A busy customer, as the failure that the journal records for an undone saga.
fn busy(detail: &str) -> Failure {
    Failure::new(FailureClass::Skip(SkipReason::CustomerBusy), detail)
}

/// The reason for undoing a generation that did not fail. The next holder begins the next generation.
pub(super) fn restart_reason(step: StepName, detail: String) -> Failure {
    Failure::new(FailureClass::Transient, detail).at(step)
}

pub(super) fn ended_unknown(step: StepName, evidence: String) -> Ended {
    Ended::Unknown {
        step,
        reason: UnknownReason::NotVisible,
        evidence,
    }
}
