//! The runner: a strategy's steps in order, journalled, from wherever the journal stands.
//!
//! In: a message's journal and its strategy's steps. Out: how the run ended. Always: what recovery
//! cannot look up is durable before its call; what is uncertain is looked up before anything is
//! repeated; a saga that is being undone never goes forward.

use std::time::Duration;

use jiff::Timestamp;

use crate::message::{
    DeadReason, Effects, Ended, Event, Failure, FailureClass, SkipReason, StepName, UnknownReason,
};
use crate::metrics::{Metrics, StepResult};

use super::attempt::{EffectOrigin, Tried};
use super::generations::PastGenerations;
use super::journal::Journal;
use super::recovery::{self, LookupResult};
use super::step::{Found, Step, StepContext};
use super::undo::Undoing;
use super::{Ground, Interrupted};

/// A message that meets a closed container this often within one run meets something that closes
/// its things.
const RENEWED_MAX: u32 = 3;

/// Decides whether a failure is one for good.
pub(super) type ForGood<'a> = &'a (dyn Fn(&Failure) -> bool + Send + Sync);

/// Runs and undoes one message's saga.
pub(super) struct Runner<'a> {
    pub(super) ground: &'a Ground<'a>,
    pub(super) journal: &'a mut Journal,
    pub(super) steps: &'a [&'static dyn Step],
    /// How long an effect may take to show in a look-up; absence counts after it.
    pub(super) settle_time: Duration,
    pub(super) metrics: &'a Metrics,
    pub(super) for_good: ForGood<'a>,
    /// The generations that a survey need not read again.
    pub(super) past: &'a PastGenerations,
    /// Since when another ledger may have been at work, where that is known.
    pub(super) distrusted_from: Option<Timestamp>,
    /// The intent of somebody before us: its call may still be on its way.
    pub(super) inherited: Option<StepName>,
    /// Whether somebody whose lease ran out lives and has not let go.
    pub(super) overtaken: bool,
    /// Whether a call of this run may have left an effect that is not journalled.
    pub(super) acted: bool,
    /// Whether a call of this run was in doubt: what it made may show later.
    pub(super) doubted: bool,
}

impl Runner<'_> {
    /// Carries the saga as far as it goes: forward, and backward when it failed for good or the
    /// customer is busy. `unfit`: why it cannot go forward at all.
    ///
    /// # Errors
    ///
    /// [`Interrupted`] when the ledger or the gate lets nothing more be done: what was not recorded
    /// is found again by the next taker.
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
            // Its customer was reached: there is only forward, whatever speaks against it.
            Some(_) if self.standing().iter().any(|step| step.is_final()) => self.forward().await?,
            Some(failure) => self.give_up(failure).await?,
            None => self.forward().await?,
        };
        let failure = match &ended {
            Ended::Failed(failure) if (self.for_good)(failure) => failure.clone(),
            Ended::Busy(detail) => busy(detail),
            _ => return Ok(ended),
        };
        // Given up with a call in doubt that could not be looked up: nobody knows.
        if let Some(step) = self.journal.saga().intended {
            return Ok(unknown(step, failure.to_string()));
        }
        Ok(match self.backward(&failure).await? {
            Undoing::Clean => ended,
            Undoing::HandsOff => left_as_it_is(ended),
            Undoing::Left(left) => self.left(left, &failure),
        })
    }

    /// Tries once more to undo what an undo before has left; never goes forward.
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

    /// Goes on with an undo that somebody else began. `None` when the saga may go forward: it was
    /// not being undone, or it is begun anew.
    async fn resume(&mut self) -> Result<Option<Ended>, Interrupted> {
        let Some(failure) = self.journal.saga().failure.clone() else {
            return Ok(None);
        };
        // Undone to its end, and put on the queue again: a retry, a busy customer, a replay.
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

    /// Goes no step further, but looks whether the one stands that somebody before us meant to do.
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
            Tried::Unknown(evidence) => return Ok(unknown(step.name(), evidence)),
            // Looked for again later, until that is given up.
            Tried::Failed(failure) => return Ok(Ended::Failed(failure.at(step.name()))),
            // It did not happen, or the doubt stands.
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
                // By what the closed container says, never by itself.
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
                Tried::Unknown(evidence) => Some(unknown(step.name(), evidence)),
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

    /// Undoes this generation and begins the next: what was closed keeps its name at Twilio.
    async fn renew(
        &mut self,
        step: &dyn Step,
        detail: String,
    ) -> Result<Option<Ended>, Interrupted> {
        let failure = anew(step.name(), detail);
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

    /// Somebody before us meant to make this call, and it has not shown: its container is closed, so
    /// that it fails when it comes after all, and everything is begun anew under another name.
    async fn overtake(&mut self, step: &'static dyn Step) -> Result<Option<Ended>, Interrupted> {
        let before = self.journal.saga().effects.clone();
        let failure = anew(
            step.name(),
            "begun anew, so that a late call comes to nothing".to_owned(),
        );
        match self.backward(&failure).await? {
            Undoing::Clean => {}
            // Its container is in use: it stays, and what did not show is repeated in it.
            Undoing::HandsOff => {
                self.journal.refuse(step.name())?;
                return Ok(None);
            }
            Undoing::Left(left) => return Ok(Some(self.left(left, &failure))),
        }
        // Between the last look and the end of the container it may have come.
        let turn = self.turn_with(&before);
        let found = match recovery::once(step, &turn).await {
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
            return Ok(Some(unknown(step.name(), evidence)));
        }
        let mut effects = before;
        effects.merge(found);
        // In the journal, so that it is found again should its undo fail.
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

    /// What a saga comes to whose undo is not over: it is tried again, until that is given up.
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
        let turn = self.turn();
        let mut steps = self.steps.iter().copied();
        steps.find(|step| !self.journal.saga().stands(step.name()) && step.applies(&turn))
    }

    /// The steps whose effect stands, in order.
    pub(super) fn standing(&self) -> Vec<&'static dyn Step> {
        let standing = self.journal.saga().standing.iter();
        let step = |name: &StepName| self.steps.iter().find(|step| step.name() == *name).copied();
        standing.filter_map(step).collect()
    }

    pub(super) fn turn(&self) -> StepContext<'_> {
        self.turn_with(&self.journal.saga().effects)
    }

    pub(super) fn turn_with<'t>(&'t self, effects: &'t Effects) -> StepContext<'t> {
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

/// Every step stands, by this journal.
const DONE: Ended = Ended::Done {
    already_sent: false,
};

/// An undo that is given up for now, and what was to be undone for.
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

/// A message that is not to be done, and of which something stays.
pub(super) fn left_as_it_is(ended: Ended) -> Ended {
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

/// A busy customer, as the failure that the journal keeps of an undone saga.
fn busy(detail: &str) -> Failure {
    Failure::new(FailureClass::Skip(SkipReason::CustomerBusy), detail)
}

/// Why a generation is undone that did not fail: whoever takes over begins the next one.
pub(super) fn anew(step: StepName, detail: String) -> Failure {
    Failure::new(FailureClass::Transient, detail).at(step)
}

pub(super) fn unknown(step: StepName, evidence: String) -> Ended {
    Ended::Unknown {
        step,
        reason: UnknownReason::NotVisible,
        evidence,
    }
}
