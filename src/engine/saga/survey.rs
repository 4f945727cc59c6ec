//! Surveys what exists at Twilio of a message that another ledger may have carried out.
//!
//! In: a distrusted message. Out: that it is done already, that its outcome is unknown, or the generation to continue
//! with. Always: every generation's container is read, closed ones too; a closed container leads to the next generation
//! only if nothing in it reached the customer or an agent.

use crate::message::{Effects, Ended, Event, StepName};

use super::attempt::EffectOrigin;
use super::recovery::{self, LookupResult};
use super::undo::Undoing;
use crate::engine::Interrupted;
use crate::engine::saga::{Runner, effects_kept, ended_unknown, restart_reason};
use crate::engine::step::{Past, Step, StepContext};

/// This many generations in a row without a container end the search. A generation may have failed before it made one.
const ABSENT_MAX: u32 = 2;

/// The generations at Twilio of a message that is not done there.
#[derive(Default)]
struct Traces {
    /// The last generation that has a container, and whether the container is open.
    latest: Option<(u32, bool)>,
}

/// The result of reading the generations.
enum SurveyResult {
    Traces(Traces),
    /// This generation carried the message out.
    Done(u32, Box<Effects>),
    /// A closed container does not show how far the message came.
    Unclear(String),
    Failed(Box<Ended>),
}

impl Runner<'_> {
    /// Reads what exists at Twilio of a distrusted message. `None` when the message continues, in the generation that
    /// the journal has then.
    ///
    /// # Errors
    ///
    /// As [`Runner::run`].
    pub(super) async fn survey(&mut self) -> Result<Option<Ended>, Interrupted> {
        let context = self.context();
        let mut steps = self.steps.iter().copied();
        let Some(anchor) = steps.find(|step| step.is_named() && step.applies(&context)) else {
            return Ok(None);
        };
        Ok(match self.read_generations(anchor).await? {
            SurveyResult::Done(generation, effects) => {
                Some(self.was_done(anchor, generation, effects)?)
            }
            SurveyResult::Unclear(detail) => Some(ended_unknown(anchor.name(), detail)),
            SurveyResult::Failed(ended) => Some(*ended),
            SurveyResult::Traces(traces) => {
                self.go_on_from(anchor.name(), &traces)?;
                None
            }
        })
    }

    async fn read_generations(&self, anchor: &dyn Step) -> Result<SurveyResult, Interrupted> {
        let own = self.journal.saga().generation;
        let mut traces = Traces::default();
        let mut absent = 0;
        let mut generation = 0;
        while absent < ABSENT_MAX || generation <= own {
            let past = match self.past_of(anchor, generation).await {
                Ok(past) => past,
                Err(LookupResult::Closed(closed)) => return Err(closed.into()),
                Err(LookupResult::Failed(failure)) => {
                    let ended = Ended::Failed(failure.at(anchor.name()));
                    return Ok(SurveyResult::Failed(Box::new(ended)));
                }
                Err(LookupResult::Busy(detail) | LookupResult::Met(detail)) => {
                    return Ok(SurveyResult::Unclear(detail));
                }
                Err(LookupResult::Found(_)) => return Ok(SurveyResult::Traces(traces)),
            };
            match past {
                Past::Absent => {
                    if generation < own {
                        let (key, container) = (self.journal.key(), (anchor.name(), generation));
                        self.past.note_absent(key, container, self.settle_time);
                    }
                    absent += 1;
                }
                Past::Open => {
                    absent = 0;
                    traces.latest = Some((generation, true));
                }
                Past::Empty => {
                    let container = (anchor.name(), generation);
                    self.past.note_closed(self.journal.key(), container);
                    absent = 0;
                    traces.latest = Some((generation, false));
                }
                Past::Done(effects) => return Ok(SurveyResult::Done(generation, effects)),
                Past::Unclear(detail) => return Ok(SurveyResult::Unclear(detail)),
            }
            generation += 1;
        }
        Ok(SurveyResult::Traces(traces))
    }

    /// The state of a generation at Twilio. If it is known to be final, it is not read again.
    async fn past_of(&self, anchor: &dyn Step, generation: u32) -> Result<Past, LookupResult> {
        let container = (anchor.name(), generation);
        if let Some(sure) = self.past.of(self.journal.key(), container) {
            return Ok(sure);
        }
        let name = self.journal.name_of(generation);
        let nothing = Effects::default();
        let context = StepContext {
            name: &name,
            ..self.context_with(&nothing)
        };
        recovery::past(anchor, &context).await
    }

    /// Ends a message that another ledger has carried out.
    fn was_done(
        &mut self,
        anchor: &dyn Step,
        generation: u32,
        effects: Box<Effects>,
    ) -> Result<Ended, Interrupted> {
        if generation > self.journal.saga().generation {
            self.move_on_to(anchor.name(), generation)?;
        }
        if !self.journal.saga().stands(anchor.name()) && self.journal.saga().failure.is_none() {
            self.stands(anchor, effects, EffectOrigin::Foreign)?;
        }
        Ok(Ended::Done { already_sent: true })
    }

    /// Continues in the container that is open, or in the generation after the last one.
    fn go_on_from(&mut self, anchor: StepName, traces: &Traces) -> Result<(), Interrupted> {
        let own = self.journal.saga().generation;
        match traces.latest {
            Some((generation, true)) if generation > own => self.move_on_to(anchor, generation),
            Some((generation, false)) if generation >= own => {
                self.move_on_to(anchor, generation + 1)
            }
            _ => Ok(()),
        }
    }

    /// Leaves this generation, which another ledger has undone, for a later one.
    fn move_on_to(&mut self, anchor: StepName, generation: u32) -> Result<(), Interrupted> {
        let saga = self.journal.saga();
        if saga.has_acted() && saga.failure.is_none() {
            let step = saga.standing.first().copied().or(saga.intended);
            let detail = "another ledger has undone it, and has begun it again";
            let step = step.unwrap_or(anchor);
            let failure = Box::new(restart_reason(step, detail.to_owned()));
            self.journal.note(Event::Failed { failure })?;
        }
        for step in self.journal.saga().standing.clone() {
            self.journal.note(Event::Undone { step })?;
        }
        self.acted = false;
        self.journal.begin(generation)
    }

    /// Handles an effect of this message that its journal did not make: from now on the message is distrusted.
    pub(in crate::engine) async fn meet(
        &mut self,
        step: &'static dyn Step,
        detail: String,
    ) -> Result<Option<Ended>, Interrupted> {
        tracing::warn!(
            message.id = %self.ground.message.id().in_log(), step = %step.name(), detail,
            "another ledger has begun this message: its objects at Twilio are looked up before every step"
        );
        // The existing container may hold all effects of the message. If instead the Conversation of another
        // Interaction has the name, this journal has made a second Interaction, which is undone.
        let met = step.is_container();
        self.journal.note(Event::Distrusted { met })?;
        if !met {
            let why = restart_reason(step.name(), detail);
            match self.backward(&why).await? {
                Undoing::Clean => self.next_generation()?,
                Undoing::HandsOff => return Ok(Some(effects_kept(Ended::Failed(why)))),
                Undoing::Left(left) => return Ok(Some(self.left(left, &why))),
            }
        }
        self.survey().await
    }
}
