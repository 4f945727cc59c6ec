//! Chooses the agent who gets a message's task, and takes a slot with that agent: its own agent if available, else as
//! the campaign's rule says.
//!
//! In: a leased message. Out: its agent, or when it is checked again. Always: a message that may have effects at Twilio
//! continues, whether its agent is available or not. A slot is taken before the message begins. It is counted with
//! those of all consumers until a reading of the agent is sure to show the task.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use crate::campaign::WhenUnavailable;
use crate::engine::{
    Agent, AgentDirectory, AgentError, Availability, Choice, Delivered, Interrupted, WhenNot,
    choose, tasks_agent_now,
};
use crate::ledger::{AgentWish, Lease, LedgerError};
use crate::message::{Assignee, Ended, Failure, FailureClass, Message, Saga, Unavailable};
use crate::pacing::PutOff;
use crate::twilio::{CallError, Product};

use super::leased::Leased;
use crate::worker::{Active, WorkerParts, WorkerState};

/// The agents of each workspace. Campaigns that share agents share their readings.
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

/// What the state of a message's agent means for the message.
pub(super) enum Assigning {
    /// It may begin or continue.
    Go,
    /// It cannot go forward.
    Unfit(Failure),
    Skip(Unavailable),
    Hold(HeldForAgent),
    /// Its own limits grant it later. The agent is decided then.
    Later(PutOff, Timestamp),
    /// The gate did not let the look-up through: the message is returned.
    GiveBack,
}

/// The agent that a message is held for, and when it is checked again at the latest.
pub(super) struct HeldForAgent {
    pub(super) agent: String,
    pub(super) why: Unavailable,
    pub(super) due: Timestamp,
}

impl Leased<'_> {
    /// Decides who gets the message's task, and stores it in the assignment.
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

    /// When the limits of a message grant it whose agent is available, if that is not soon. If the agent is
    /// unavailable, the campaign's rule comes first: another agent may take the message at once.
    async fn comes_later(&mut self, name: &str) -> Option<(PutOff, Timestamp)> {
        let twilio = &self.session.shared.parts.twilio;
        let Ok((agent, true)) = self.session.active.agents.look(twilio, name).await else {
            return None;
        };
        self.assignment.agent = Some(agent);
        self.turn_comes_later()
    }

    /// Applies the campaign's rule to a message without effects whose agent cannot take it.
    async fn elsewhere(&mut self, name: String, availability: Availability) -> Assigning {
        let (shared, active) = (self.session.shared, self.session.active);
        let has_begun = self.saga.begun;
        self.assignment.agent = None;
        let rule = match has_begun {
            // It has no effects, but its agent was decided: it waits for that agent.
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
            // A message that has begun does not expire.
            expires_at: self.message().expires_at.filter(|_| !has_begun),
        };
        // The lock makes choosing and taking a slot one step: the next choice sees this one.
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
        let availabilities: Vec<Availability> = list.iter().map(left).collect();
        let choice = choose(availability, &availabilities, *after, &when);
        tracing::debug!(message.id = %self.key().id.in_log(), agent = name, ?choice, "agent unavailable");
        match choice {
            Choice::Own => {}
            Choice::Other(at) => {
                *after = at;
                let other = list.into_iter().nth(at).and_then(|(agent, _)| agent);
                let record = other.as_ref().map(|agent| agent.sid.clone());
                let taken = other.as_ref().zip(channel);
                let slot = taken.and_then(|(agent, at)| active.agents.take(agent, at));
                self.assignment.slot = slot;
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

    /// The campaign's list of agents, with their availability. A name that fits several agents counts as gone.
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
            let pauses = self.session.shared.parts.engine.pauses();
            let is_paused = |agent: &Arc<Agent>| pauses.covers_agent(agent);
            list.push(match looked {
                (Some(agent), _) if is_paused(&agent) => {
                    (Some(agent), Availability::Not(Unavailable::Paused))
                }
                looked => looked,
            });
        }
        Ok(list)
    }

    /// Whether the message may have effects at Twilio: then it continues.
    async fn may_stand(&self) -> Result<bool, Interrupted> {
        if self.taken.lease.number == 1 {
            return Ok(false);
        }
        let engine = &self.session.shared.parts.engine;
        engine.may_stand(&self.job()).await
    }

    /// Takes the message's slot with its agent. Returns why it is held if there is no slot.
    ///
    /// # Errors
    ///
    /// [`LedgerError`]: the consumers' store did not answer.
    pub(super) async fn take_place(&mut self) -> Result<Option<HeldForAgent>, LedgerError> {
        let active = self.session.active;
        let Some(agent) = self.assignment.agent.clone() else {
            return Ok(None);
        };
        let Some(channel) = task_channel(active, self.message()) else {
            return Ok(None);
        };
        if self.assignment.slot.is_none() {
            let taken = active.agents.take(&agent, channel);
            self.assignment.slot = match self.assignment.may_stand {
                // It has its task already or is about to: it is counted even without a free slot, and is not put off.
                true => taken.or_else(|| active.agents.take_anyway(&agent)),
                false => taken,
            };
        }
        let is_taken = self.assignment.slot.is_some();
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

    /// Counts the message in the consumers' store, if there is one. False when other consumers have the agent's last
    /// slots.
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

    /// Gives the slot back, because the message does not begin for its agent now.
    pub(super) fn give_back_place(&mut self) {
        if let Some(slot) = self.assignment.slot.take() {
            slot.give_back();
        }
    }
}

/// The count that a message leaves behind when its run is over.
pub(super) struct CountedPlace {
    lease: Lease,
    /// Whether the consumers' store counts it.
    is_shared: bool,
    /// Whether its task may exist.
    may_stand: bool,
}

impl CountedPlace {
    /// Ends the count of an executed message. Its slot here is free if its task certainly does not exist.
    pub(super) fn over(leased: &mut Leased<'_>, delivered: &Delivered) -> Self {
        let is_clean = is_clean(delivered);
        if let Some(slot) = leased.assignment.slot.take().filter(|_| is_clean) {
            slot.give_back();
        }
        Self {
            lease: leased.taken.lease.clone(),
            is_shared: leased.assignment.is_counted,
            may_stand: !is_clean,
        }
    }

    /// Updates the consumers' store.
    pub(super) async fn end(self, shared: &WorkerState) {
        if !self.is_shared {
            return;
        }
        let ledger = &shared.parts.ledger;
        if let Err(error) = ledger.end_for_agent(&self.lease, self.may_stand).await {
            let id = &self.lease.key.id;
            tracing::debug!(message.id = %id.in_log(), %error, "counted for its agent until a reading shows its task");
        }
    }
}

/// Whether a run certainly left no task with the agent. A call whose reply was lost may have made one.
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

/// What happens to a message whose agent could not be looked up.
fn not_found(shared: &WorkerState, error: &AgentError) -> Assigning {
    // While agents cannot be looked up at all, it is not the message's fault.
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

/// The agent of a message that has begun, as it was decided then.
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

/// The name by which the message's agent is looked up. None: no agent by name.
fn decided(assigned: Option<&Assignee>, message: &Message) -> Option<String> {
    match assigned {
        Some(Assignee::Agent(sid)) => Some(sid.clone()),
        Some(Assignee::Queue) => None,
        None => message.agent.as_ref().map(|agent| agent.worker.clone()),
    }
}

/// The task channel in which the agent needs a free slot. None if the message's task is made later.
fn task_channel<'a>(active: &'a Active, message: &Message) -> Option<&'a str> {
    let channel = active.campaign.flex.task_channel.as_deref();
    channel.filter(|_| tasks_agent_now(&active.campaign, message))
}

/// The agent, if the name is known, and whether they can take a message.
type LookedUpAgent = (Option<Arc<Agent>>, Availability);
