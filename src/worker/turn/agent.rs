//! Who gets a message's task: its agent if they can take it, else as its campaign says; and its place with that agent.
//!
//! In: a leased message. Out: its agent, or when it is looked at again. Always: what may stand at Twilio already is gone
//! on with, whether its agent can take it or not. A place is taken before the message begins, and counted with those of
//! all consumers, until a look at the agent is sure to show the task.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use crate::campaign::WhenUnavailable;
use crate::engine::{
    Agent, AgentDirectory, AgentError, Availability, Choice, Delivered, Interrupted, Place,
    WhenNot, choose, tasks_agent_now,
};
use crate::ledger::{AgentWish, Lease, LedgerError};
use crate::message::{Assignee, Ended, Failure, FailureClass, Message, Saga, Unavailable};
use crate::pacing::PutOff;
use crate::twilio::{CallError, Product};

use super::leased::Leased;
use crate::worker::{Active, WorkerParts, WorkerState};

/// The agents of each workspace: campaigns that share agents share what is known of them.
#[derive(Default)]
pub(crate) struct AgentDirectories(Mutex<BTreeMap<String, Arc<AgentDirectory>>>);

impl AgentDirectories {
    pub(in crate::worker) fn of(
        &self,
        workspace: &str,
        parts: &WorkerParts,
    ) -> Arc<AgentDirectory> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = known.entry(workspace.to_owned());
        let new = || Arc::new(AgentDirectory::new(workspace, parts.agents, parts.clock));
        Arc::clone(directory.or_insert_with(new))
    }
}

/// What becomes of a message by its agent.
pub(super) enum Assigning {
    /// It may be begun, or gone on with.
    Go,
    /// It cannot go forward.
    Unfit(Failure),
    Skip(Unavailable),
    Hold(HeldForAgent),
    /// Its turn comes later, whoever its agent is then.
    Later(PutOff, Timestamp),
    /// The gate let no look at it through: it is given back.
    GiveBack,
}

/// For which agent a message is held, and until when at the latest.
pub(super) struct HeldForAgent {
    pub(super) agent: String,
    pub(super) why: Unavailable,
    pub(super) due: Timestamp,
}

/// Who is to have a message's task.
#[derive(Default)]
pub(super) struct Assignment {
    /// None: nobody by name, or not known yet.
    pub(super) agent: Option<Arc<Agent>>,
    /// What is to be recorded of it, where it is not simply whom the message names.
    pub(super) record: Option<Assignee>,
    /// Whether something of the message may stand at Twilio: it is gone on with.
    may_stand: bool,
    /// The place that the message takes with the agent until it is over.
    pub(super) place: Option<Place>,
    /// Whether the consumers' store counts the message as begun for the agent.
    is_counted: bool,
}

impl Leased<'_> {
    /// Finds out who gets the message's task, and notes it in the assignment.
    pub(super) async fn assign(&mut self) -> Assigning {
        let shared = self.session.shared;
        let Some(name) = decided(self.saga.assigned.as_ref(), self.message()) else {
            return Assigning::Go;
        };
        if self.is_new()
            && let Some((put_off, due)) = self.comes_later(&name).await
        {
            return Assigning::Later(put_off, due);
        }
        let (own, availability) = match self.look(&name).await {
            Ok(looked) => looked,
            Err(error) => return not_found(shared, &error),
        };
        self.assignment.agent = own.clone();
        self.assignment.may_stand = self.saga.has_acted();
        let Availability::Not(why) = availability else {
            return Assigning::Go;
        };
        shared.parts.metrics.agent_unavailable(why);
        match self.may_stand().await {
            Ok(false) => self.elsewhere(name, availability).await,
            Ok(true) if own.is_none() => Assigning::Unfit(AgentError::Unknown(name).failure()),
            Ok(true) => {
                self.assignment.may_stand = true;
                Assigning::Go
            }
            Err(_) => Assigning::GiveBack,
        }
    }

    /// When the turn of a message comes whose agent is there, if that is not soon. Of one whose agent is not,
    /// its campaign's rule is asked first: another may take it at once.
    async fn comes_later(&mut self, name: &str) -> Option<(PutOff, Timestamp)> {
        let twilio = &self.session.shared.parts.twilio;
        let Ok((agent, true)) = self.session.active.agents.look(twilio, name).await else {
            return None;
        };
        self.assignment.agent = Some(agent);
        self.turn_comes_later()
    }

    /// What becomes of a message of which nothing stands and whose agent cannot take it.
    async fn elsewhere(&mut self, name: String, availability: Availability) -> Assigning {
        let (shared, active) = (self.session.shared, self.session.active);
        let has_begun = self.saga.begun;
        self.assignment.agent = None;
        let rule = match has_begun {
            // Nothing stands of it; but it was decided whose it is.
            true => WhenUnavailable::Hold,
            false => active.campaign.agents.when_unavailable,
        };
        let list = match rule {
            WhenUnavailable::Next => match self.others().await {
                Ok(list) => list,
                Err(error) => return not_found(shared, &error),
            },
            _ => Vec::new(),
        };
        let when = WhenNot {
            rule,
            now: shared.parts.clock.now(),
            wait: shared.parts.agents.wait,
            spread: self.spread(),
            // What has begun does not expire any more.
            expires_at: self.message().expires_at.filter(|_| !has_begun),
        };
        // From the last look to the place nobody comes in between: who chooses next sees this choice.
        let mut after = active
            .last_next
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let channel = task_channel(active, self.message());
        let left = |one: &LookedUpAgent| match (&one.0, channel, one.1) {
            (Some(agent), Some(channel), Availability::Free { .. }) => {
                active.agents.room(agent, channel)
            }
            _ => one.1,
        };
        let places: Vec<Availability> = list.iter().map(left).collect();
        let choice = choose(availability, &places, *after, &when);
        tracing::debug!(message.id = %self.key().id.in_log(), agent = name, ?choice, "agent unavailable");
        match choice {
            Choice::Own => {}
            Choice::Other(at) => {
                *after = at;
                let other = list.into_iter().nth(at).and_then(|(agent, _)| agent);
                let record = other.as_ref().map(|agent| agent.sid.clone());
                let taken = other.as_ref().zip(channel);
                let place = taken.and_then(|(agent, at)| active.agents.take(agent, at));
                self.assignment.place = place;
                self.assignment.record = record.map(Assignee::Agent);
                self.assignment.agent = other;
            }
            Choice::Queue => self.assignment.record = Some(Assignee::Queue),
            Choice::Skip(why) => return Assigning::Skip(why),
            Choice::Never => return Assigning::Unfit(AgentError::Unknown(name).failure()),
            Choice::Hold(why, due) => {
                let agent = name;
                return Assigning::Hold(HeldForAgent { agent, why, due });
            }
        }
        Assigning::Go
    }

    async fn look(&self, name: &str) -> Result<LookedUpAgent, AgentError> {
        let active = self.session.active;
        let channel = task_channel(active, self.message());
        let twilio = &self.session.shared.parts.twilio;
        active.agents.availability(twilio, name, channel).await
    }

    /// The campaign's list, looked at. One whom several answer to is nobody.
    async fn others(&self) -> Result<Vec<LookedUpAgent>, AgentError> {
        let mut list = Vec::new();
        for name in &self.session.active.campaign.agents.list {
            let looked = match self.look(name).await {
                Err(error @ AgentError::Several { .. }) => {
                    tracing::warn!(%error, "agents.list: left out");
                    (None, Availability::Not(Unavailable::Gone))
                }
                looked => looked?,
            };
            list.push(looked);
        }
        Ok(list)
    }

    /// Whether something of it may stand: then it is gone on with.
    async fn may_stand(&self) -> Result<bool, Interrupted> {
        if self.taken.lease.number == 1 {
            return Ok(false);
        }
        let engine = &self.session.shared.parts.engine;
        engine.may_stand(&self.job()).await
    }

    /// Takes the message's place with its agent. Some: there is none any more.
    ///
    /// # Errors
    ///
    /// [`LedgerError`]: the consumers' store does not tell.
    pub(super) async fn take_place(&mut self) -> Result<Option<HeldForAgent>, LedgerError> {
        let active = self.session.active;
        let Some(agent) = self.assignment.agent.clone() else {
            return Ok(None);
        };
        let Some(channel) = task_channel(active, self.message()) else {
            return Ok(None);
        };
        if self.assignment.place.is_none() {
            let taken = active.agents.take(&agent, channel);
            self.assignment.place = match self.assignment.may_stand {
                // It has its task already, or is about to: it counts, and is not put off.
                true => taken.or_else(|| active.agents.take_anyway(&agent)),
                false => taken,
            };
        }
        let is_taken = self.assignment.place.is_some();
        if is_taken && self.count_place(&agent, channel).await? {
            return Ok(None);
        }
        self.give_back_place();
        let parts = &self.session.shared.parts;
        let now = parts.clock.now();
        let named = self.message().agent.as_ref();
        Ok(Some(HeldForAgent {
            agent: named.map_or_else(|| agent.sid.clone(), |named| named.worker.clone()),
            why: Unavailable::Full,
            due: now.checked_add(parts.agents.wait).unwrap_or(now),
        }))
    }

    /// Counts the message in the consumers' store, if there is one; false when others have the agent's last places.
    async fn count_place(&mut self, agent: &Agent, channel: &str) -> Result<bool, LedgerError> {
        let (parts, active) = (&self.session.shared.parts, self.session.active);
        let read = active.agents.read(agent, channel);
        let (free, read_at) = read.unwrap_or((0, parts.clock.instant()));
        let wish = AgentWish {
            agent: &agent.sid,
            lease: &self.taken.lease,
            free,
            read_at,
            shows_after: parts.agents.shows_after,
            kept_for: parts.agents.kept_for(),
            anyway: self.assignment.may_stand,
        };
        let Some(answer) = parts.ledger.begin_for_agent(&wish).await? else {
            return Ok(true);
        };
        let begun = answer.others.saturating_add(u32::from(answer.taken));
        active.agents.note_begun(agent, read_at, begun);
        self.assignment.is_counted = answer.taken;
        Ok(answer.taken)
    }

    /// The message does not begin for its agent now.
    pub(super) fn give_back_place(&mut self) {
        if let Some(place) = self.assignment.place.take() {
            place.give_back();
        }
    }
}

/// What is counted of a message whose run is over.
pub(super) struct CountedPlace {
    lease: Lease,
    /// Whether the consumers' store counts it.
    is_shared: bool,
    /// Whether its task may have been made.
    may_stand: bool,
}

impl CountedPlace {
    /// Of a message that was carried out: its place here is free if its task certainly does not stand.
    pub(super) fn over(leased: &mut Leased<'_>, delivered: &Delivered) -> Self {
        let is_clean = is_clean(delivered);
        if let Some(place) = leased.assignment.place.take().filter(|_| is_clean) {
            place.give_back();
        }
        Self {
            lease: leased.taken.lease.clone(),
            is_shared: leased.assignment.is_counted,
            may_stand: !is_clean,
        }
    }

    /// Tells the consumers' store.
    pub(super) async fn end(self, shared: &WorkerState) {
        if !self.is_shared {
            return;
        }
        let ledger = &shared.parts.ledger;
        if let Err(error) = ledger.end_for_agent(&self.lease, self.may_stand).await {
            let id = &self.lease.key.id;
            tracing::debug!(message.id = %id.in_log(), %error, "counted for its agent until a later look shows its task");
        }
    }
}

/// Whether a run certainly left nothing with the agent. A call that may have been lost may have.
fn is_clean(delivered: &Delivered) -> bool {
    let may_pass =
        |failure: &Failure| matches!(failure.class, FailureClass::Transient | FailureClass::Away);
    let is_doubtful = match &delivered.ended {
        Ended::Done { .. } | Ended::Unknown { .. } => true,
        Ended::Failed(failure) => may_pass(failure),
        Ended::Busy(_) => false,
    };
    !is_doubtful && !delivered.saga.has_acted()
}

/// What becomes of a message whose agent could not be found.
fn not_found(shared: &WorkerState, error: &AgentError) -> Assigning {
    // Where agents cannot be looked for, no message is at fault.
    let is_away = || {
        let outages = shared.parts.twilio.outages();
        outages.has_away(&[Product::Taskrouter])
    };
    match error {
        AgentError::Call(CallError::Closed(_)) => Assigning::GiveBack,
        AgentError::Call(_) if is_away() => Assigning::GiveBack,
        error => Assigning::Unfit(error.failure()),
    }
}

/// The agent of what has begun, as it was decided.
pub(in crate::worker) async fn agent_of(
    shared: &WorkerState,
    active: &Active,
    message: &Message,
    saga: &Saga,
) -> Result<Option<Arc<Agent>>, AgentError> {
    let Some(name) = decided(saga.assigned.as_ref(), message) else {
        return Ok(None);
    };
    let resolving = active.agents.resolve(&shared.parts.twilio, &name);
    resolving.await.map(Some)
}

/// By which name its agent is looked for; none: nobody by name.
fn decided(assigned: Option<&Assignee>, message: &Message) -> Option<String> {
    match assigned {
        Some(Assignee::Agent(sid)) => Some(sid.clone()),
        Some(Assignee::Queue) => None,
        None => message.agent.as_ref().map(|agent| agent.worker.clone()),
    }
}

/// The task channel in which there has to be a place for the message; none where its task comes later.
fn task_channel<'a>(active: &'a Active, message: &Message) -> Option<&'a str> {
    let channel = active.campaign.flex.task_channel.as_deref();
    channel.filter(|_| tasks_agent_now(&active.campaign, message))
}

/// An agent, if anybody answers to the name, and whether they can take a message.
type LookedUpAgent = (Option<Arc<Agent>>, Availability);
