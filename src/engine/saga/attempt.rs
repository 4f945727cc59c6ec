//! One try of one step: looks it up, makes its call, and makes the result certain.
//!
//! In: a step. Out: whether its effect exists. Always: an uncertain call is looked up before it is repeated, and after
//! a refusal that names an existing object, that object is looked up.

use crate::message::{Effects, Failure, FailureClass};
use crate::metrics::StepResult;
use crate::twilio::{CallError, Conflict, conflict, failure, is_missing};

use super::Runner;
use super::recovery::{self, AbsenceCheck, LookupResult};
use crate::engine::Interrupted;
use crate::engine::step::{Found, Repeat, Step, StepError};

/// How often one step is retried within a run after Twilio reported that it never processed the call. Beyond that the
/// message frees its slot and returns later.
const THROTTLED_MAX: u32 = 5;

/// How often a step is repeated within a run after a look-up showed that it had not happened.
const REPEATS_MAX: u32 = 2;

/// The origin of a step's effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum EffectOrigin {
    /// This run made it.
    Made,
    /// It was looked up: a call of this journal had made it.
    Adopted,
    /// It was looked up before the journal's first call of it: another ledger may have made it.
    Foreign,
}

/// The result of one try of a step.
pub(in crate::engine) enum Tried {
    Stands {
        effects: Box<Effects>,
        origin: EffectOrigin,
    },
    /// It certainly did not happen, and may be retried at once.
    Again,
    /// It was refused, or is uncertain while the journal's intent remains.
    Failed(Failure),
    Busy(String),
    /// The container is closed or gone: a new generation begins, under another name.
    Gone(String),
    /// An earlier holder intended the call. Its effect has not shown, and may come late.
    Late,
    /// An effect of this message exists that this journal did not make.
    Met(String),
    Unknown(String),
}

impl Runner<'_> {
    /// Tries one step once. The effect is looked up first if an earlier holder may have made it.
    pub(in crate::engine) async fn advance(
        &mut self,
        step: &'static dyn Step,
        suspect: &mut bool,
    ) -> Result<Tried, Interrupted> {
        let saga = self.journal.saga();
        let intended = saga.intended == Some(step.name());
        let look_first = match step.repeat() {
            Repeat::Collides | Repeat::Lists => *suspect,
            Repeat::Doubles => intended,
        };
        if look_first || saga.distrusted {
            let tried = self.look_back(step).await?;
            // If this step did not happen, later steps did not either.
            *suspect &= !matches!(tried, Tried::Again | Tried::Late);
            if !matches!(tried, Tried::Again) {
                return Ok(tried);
            }
        }
        self.act(step).await
    }

    /// Looks up an effect that an earlier holder may have made. Returns `Again` if the step may be carried out.
    pub(super) async fn look_back(
        &mut self,
        step: &'static dyn Step,
    ) -> Result<Tried, Interrupted> {
        self.metrics.step(step.name(), StepResult::InDoubt);
        let is_first = !self.is_own(step);
        let tried = match self.look(step, AbsenceCheck::Usual).await? {
            Tried::Stands { effects, .. } if is_first => Tried::Stands {
                effects,
                origin: EffectOrigin::Foreign,
            },
            tried => tried,
        };
        if !matches!(tried, Tried::Again) {
            return Ok(tried);
        }
        if is_first && let Some(tried) = self.hint(step).await? {
            return Ok(tried);
        }
        let is_inherited = self.inherited.take_if(|of| *of == step.name()).is_some();
        if is_inherited && let Some(tried) = self.inherit(step) {
            return Ok(tried);
        }
        self.journal.refuse(step.name())?;
        Ok(Tried::Again)
    }

    /// Looks for a hint that another ledger has made the effect. A hint proves nothing, so the outcome becomes unknown.
    async fn hint(&self, step: &dyn Step) -> Result<Option<Tried>, Interrupted> {
        Ok(match recovery::hint(step, &self.context()).await {
            LookupResult::Found(Found::Invisible(detail)) => Some(Tried::Unknown(detail)),
            LookupResult::Found(_) => None,
            LookupResult::Closed(closed) => return Err(closed.into()),
            LookupResult::Busy(detail) => Some(Tried::Busy(detail)),
            LookupResult::Met(detail) => Some(Tried::Met(detail)),
            LookupResult::Failed(failure) => Some(Tried::Failed(failure)),
        })
    }

    /// Whether a found effect comes from a call of this journal. For a distrusted message it does only if the journal
    /// intended the call.
    fn is_own(&self, step: &dyn Step) -> bool {
        let saga = self.journal.saga();
        !saga.distrusted || saga.intended == Some(step.name())
    }

    /// Decides before a call is repeated that an earlier holder intended and whose effect has not shown. If it has a
    /// container, that is closed first, so that a late call fails; unless an agent's task would end with it. Then a
    /// dead holder sends nothing more, and a living one is waited for.
    fn inherit(&self, step: &dyn Step) -> Option<Tried> {
        let standing = self.standing();
        let costs_a_task = standing.iter().any(|step| step.is_task());
        if standing.iter().any(|step| step.is_container()) && !costs_a_task {
            return Some(Tried::Late);
        }
        self.overtaken.then(|| {
            let detail = "the consumer that held it before is alive and may still send: waiting until it has \
                released its lease, or has ended";
            Tried::Failed(Failure::new(FailureClass::Throttled, detail).at(step.name()))
        })
    }

    async fn act(&mut self, step: &'static dyn Step) -> Result<Tried, Interrupted> {
        if let Some(number) = &self.journal.saga().effects.customer_proxy_identifier {
            self.ground.gate.sends_from(number);
        }
        let mut throttled = 0;
        let mut repeated = 0;
        loop {
            if step.repeat() == Repeat::Doubles {
                self.journal.intend(step.name()).await?;
            }
            self.acted = true;
            let call = match step.act(&self.context()).await {
                Ok(effects) => {
                    return Ok(Tried::Stands {
                        effects: Box::new(effects),
                        origin: EffectOrigin::Made,
                    });
                }
                Err(StepError::Call(call)) => call,
                Err(error) => {
                    self.journal.refuse(step.name())?;
                    return Ok(match error {
                        StepError::Busy(detail) => Tried::Busy(detail),
                        StepError::Met(_) if self.may_be_ours(throttled + repeated > 0) => {
                            self.look(step, AbsenceCheck::Taken).await?
                        }
                        StepError::Met(detail) => Tried::Met(detail),
                        StepError::Failed(failure) => Tried::Failed(*failure),
                        StepError::Call(call) => Tried::Failed(failure(&call, step.operation())),
                    });
                }
            };
            if let CallError::Closed(closed) = call {
                self.journal.refuse(step.name())?;
                return Err(closed.into());
            }
            if matches!(call, CallError::NotProcessed { .. }) && throttled < THROTTLED_MAX {
                // The lane rests now: the next pass waits for it.
                self.journal.refuse(step.name())?;
                throttled += 1;
                continue;
            }
            if !call.is_in_doubt() {
                // One call of a step may be throttled after another one was carried out.
                let is_repeated = throttled + repeated > 0;
                return self.refused(step, &call, is_repeated).await;
            }
            self.doubted = true;
            self.metrics.step(step.name(), StepResult::InDoubt);
            let tried = self.look(step, AbsenceCheck::Usual).await?;
            if !matches!(tried, Tried::Again) {
                return Ok(tried);
            }
            self.journal.refuse(step.name())?;
            if repeated == REPEATS_MAX {
                return Ok(Tried::Failed(failure(&call, step.operation())));
            }
            repeated += 1;
        }
    }

    /// Handles a refusal: after a conflict the existing object is looked up, a container that is gone leads to the next
    /// generation, and anything else is a failure.
    async fn refused(
        &mut self,
        step: &'static dyn Step,
        call: &CallError,
        repeated: bool,
    ) -> Result<Tried, Interrupted> {
        let may_be_ours = self.may_be_ours(repeated);
        let conflict_met = call.code().and_then(conflict);
        let is_met = match conflict_met {
            Some(Conflict::NameTaken) => true,
            Some(Conflict::AlreadyThere) => step.is_container(),
            _ => false,
        };
        if is_met && !may_be_ours {
            self.journal.refuse(step.name())?;
            return Ok(Tried::Met(call.to_string()));
        }
        let check = match conflict_met {
            Some(Conflict::NameTaken | Conflict::AlreadyThere) => AbsenceCheck::Taken,
            // Lists may lag behind and hide our own object: then it is not another party's.
            Some(Conflict::CustomerBusy) if may_be_ours => AbsenceCheck::Taken,
            Some(Conflict::CustomerBusy) => AbsenceCheck::Usual,
            Some(Conflict::Gone) => {
                self.journal.refuse(step.name())?;
                return Ok(Tried::Gone(call.to_string()));
            }
            None | Some(Conflict::Closed | Conflict::WrongState | Conflict::Missing) => {
                self.journal.refuse(step.name())?;
                let is_wrong_state =
                    matches!(conflict_met, Some(Conflict::Closed | Conflict::WrongState));
                let is_elsewhere = is_missing(call) || is_wrong_state;
                if is_elsewhere && let Some(gone) = self.gone_container().await? {
                    return Ok(Tried::Gone(gone));
                }
                return Ok(Tried::Failed(failure(call, step.operation())));
            }
        };
        let tried = self.look(step, check).await?;
        if !matches!(tried, Tried::Again) {
            return Ok(tried);
        }
        self.journal.refuse(step.name())?;
        if conflict_met == Some(Conflict::CustomerBusy) {
            return Ok(Tried::Busy(call.to_string()));
        }
        // Refused as existing, but not found: it may show later.
        let class = FailureClass::Transient;
        Ok(Tried::Failed(Failure {
            class,
            ..failure(call, step.operation())
        }))
    }

    /// Whether the object that Twilio reports may come from a call of this journal. For a distrusted message it was
    /// looked up right before.
    fn may_be_ours(&self, repeated: bool) -> bool {
        repeated || self.journal.resumed() || self.journal.saga().distrusted
    }

    /// The container of an earlier step that is closed or gone, if there is one.
    async fn gone_container(&self) -> Result<Option<String>, Interrupted> {
        for step in self.standing() {
            if !step.is_container() {
                continue;
            }
            match recovery::look(step, &self.context(), self.settle_time, AbsenceCheck::Taken).await
            {
                LookupResult::Found(Found::Gone(detail)) => return Ok(Some(detail)),
                LookupResult::Found(Found::Absent) => {
                    return Ok(Some(format!("the {} is gone", step.name())));
                }
                LookupResult::Closed(closed) => return Err(closed.into()),
                _ => {}
            }
        }
        Ok(None)
    }

    /// Looks the step's effect up. Returns `Again` if it certainly does not exist.
    async fn look(&self, step: &dyn Step, check: AbsenceCheck) -> Result<Tried, Interrupted> {
        let looked = recovery::look(step, &self.context(), self.settle_time, check).await;
        Ok(match looked {
            LookupResult::Found(Found::Ours(effects)) => Tried::Stands {
                effects,
                origin: EffectOrigin::Adopted,
            },
            LookupResult::Found(Found::Absent) => match step.trace_lasts() {
                Some(lasts) if self.journal.intended_before(step.name(), lasts) => {
                    Tried::Unknown(format!(
                        "it was not found, and its call was made more than {} minutes ago: its only trace may have \
                         been deleted",
                        lasts.as_secs() / 60
                    ))
                }
                _ => Tried::Again,
            },
            LookupResult::Found(Found::Gone(detail)) => Tried::Gone(detail),
            LookupResult::Found(Found::Invisible(detail)) => match step.repeat() {
                Repeat::Doubles => Tried::Unknown(detail),
                Repeat::Collides | Repeat::Lists => Tried::Gone(detail),
            },
            LookupResult::Closed(closed) => return Err(closed.into()),
            LookupResult::Busy(detail) => Tried::Busy(detail),
            LookupResult::Met(detail) => Tried::Met(detail),
            LookupResult::Failed(failure) => Tried::Failed(failure),
        })
    }
}
