//! Who gets a message's task: its agent if they can take it, else as its campaign says.
//!
//! In: a message that is ours to begin or to go on with. Out: its agent, or when it is looked at again.
//! Always: what may stand at Twilio already is gone on with, whether its agent can take it or not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use crate::campaign::WhenUnavailable;
use crate::engine::{
    Agent, AgentDirectory, AgentError, Availability, Choice, Interrupted, Job, WhenNot, choose,
    tasks_agent_now,
};
use crate::message::{Assignee, Event, Failure, Message, Saga, Unavailable};
use crate::pacing::PutOff;
use crate::twilio::{CallError, Product};

use super::admission::turn_comes_later;
use super::mine::{Mine, spread};
use super::{Active, Parts, Shared};

/// The agents of each workspace: campaigns that share agents share what is known of them.
#[derive(Default)]
pub(crate) struct Agents(Mutex<BTreeMap<String, Arc<AgentDirectory>>>);

impl Agents {
    pub(super) fn of(&self, workspace: &str, parts: &Parts) -> Arc<AgentDirectory> {
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
    Hold(Held),
    /// Its turn comes later, whoever its agent is then.
    Later(PutOff, Timestamp),
    /// The gate let no look at it through: it is given back.
    GiveBack,
}

/// For whom a message is held, and until when at the latest.
pub(super) struct Held {
    pub(super) agent: String,
    pub(super) why: Unavailable,
    pub(super) due: Timestamp,
}

/// Finds out who gets the message's task, and notes it in `mine`.
pub(super) async fn assign(shared: &Shared, active: &Active, mine: &mut Mine) -> Assigning {
    let Ok(saga) = Saga::replay(&mine.journal) else {
        // The engine says what is wrong with it.
        return Assigning::Go;
    };
    let Some(name) = decided(saga.assigned.as_ref(), &mine.message) else {
        return Assigning::Go;
    };
    if mine.journal.is_empty()
        && let Some((put_off, due)) = comes_later(shared, active, mine, &name).await
    {
        return Assigning::Later(put_off, due);
    }
    let (own, availability) = match look(shared, active, &mine.message, &name).await {
        Ok(looked) => looked,
        Err(error) => return not_found(shared, &error),
    };
    mine.assigned.agent = own.clone();
    mine.assigned.may_stand = saga.has_acted();
    let Availability::Not(why) = availability else {
        return Assigning::Go;
    };
    shared.parts.metrics.agent_unavailable(why);
    match may_stand(shared, active, mine, own.as_deref()).await {
        Ok(false) => elsewhere(shared, active, mine, (name, availability), saga.begun).await,
        Ok(true) if own.is_none() => Assigning::Unfit(AgentError::Unknown(name).failure()),
        Ok(true) => {
            mine.assigned.may_stand = true;
            Assigning::Go
        }
        Err(_) => Assigning::GiveBack,
    }
}

/// What becomes of a message whose agent could not be found.
fn not_found(shared: &Shared, error: &AgentError) -> Assigning {
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

/// When the turn of a message comes whose agent is there, if that is not soon. Of one whose agent is not,
/// its campaign's rule is asked first: another may take it at once.
async fn comes_later(
    shared: &Shared,
    active: &Active,
    mine: &mut Mine,
    name: &str,
) -> Option<(PutOff, Timestamp)> {
    let Ok((agent, true)) = active.agents.look(&shared.parts.twilio, name).await else {
        return None;
    };
    mine.assigned.agent = Some(agent);
    turn_comes_later(shared, active, mine)
}

/// What becomes of a message of which nothing stands and whose agent cannot take it.
async fn elsewhere(
    shared: &Shared,
    active: &Active,
    mine: &mut Mine,
    (name, availability): (String, Availability),
    has_begun: bool,
) -> Assigning {
    mine.assigned.agent = None;
    let rule = match has_begun {
        // Nothing stands of it; but it was decided whose it is.
        true => WhenUnavailable::Hold,
        false => active.campaign.agents.when_unavailable,
    };
    let list = match rule {
        WhenUnavailable::Next => match others(shared, active, mine).await {
            Ok(list) => list,
            Err(error) => return not_found(shared, &error),
        },
        _ => Vec::new(),
    };
    let when = WhenNot {
        rule,
        now: shared.parts.clock.now(),
        wait: shared.parts.agents.wait,
        spread: spread(mine),
        // What has begun does not expire any more.
        expires_at: mine.message.expires_at.filter(|_| !has_begun),
    };
    // From the last look to the place nobody comes in between: who chooses next sees this choice.
    let mut after = active
        .last_next
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let channel = task_channel(active, &mine.message);
    let left = |one: &Looked| match (&one.0, channel, one.1) {
        (Some(agent), Some(channel), Availability::Free { .. }) => {
            active.agents.room(agent, channel)
        }
        _ => one.1,
    };
    let places: Vec<Availability> = list.iter().map(left).collect();
    let choice = choose(availability, &places, *after, &when);
    tracing::debug!(message.id = %mine.lease.key.id.in_log(), agent = name, ?choice, "agent unavailable");
    match choice {
        Choice::Own => {}
        Choice::Other(at) => {
            *after = at;
            let other = list.into_iter().nth(at).and_then(|(agent, _)| agent);
            let record = other.as_ref().map(|agent| agent.sid.clone());
            let taken = other.as_ref().zip(channel);
            mine.assigned.place = taken.and_then(|(agent, at)| active.agents.take(agent, at));
            mine.assigned.record = record.map(Assignee::Agent);
            mine.assigned.agent = other;
        }
        Choice::Queue => mine.assigned.record = Some(Assignee::Queue),
        Choice::Skip(why) => return Assigning::Skip(why),
        Choice::Never => return Assigning::Unfit(AgentError::Unknown(name).failure()),
        Choice::Hold(why, due) => {
            let agent = name;
            return Assigning::Hold(Held { agent, why, due });
        }
    }
    Assigning::Go
}

/// The agent of what has begun, as it was decided.
pub(super) async fn agent_of(
    shared: &Shared,
    active: &Active,
    message: &Message,
    journal: &[Event],
) -> Result<Option<Arc<Agent>>, AgentError> {
    let assigned = journal.iter().rev().find_map(|event| match event {
        Event::Assigned { to } => Some(to),
        _ => None,
    });
    let Some(name) = decided(assigned, message) else {
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
pub(super) fn task_channel<'a>(active: &'a Active, message: &Message) -> Option<&'a str> {
    let channel = active.campaign.flex.task_channel.as_deref();
    channel.filter(|_| tasks_agent_now(&active.campaign, message))
}

/// An agent, if anybody answers to the name, and whether they can take a message.
type Looked = (Option<Arc<Agent>>, Availability);

async fn look(
    shared: &Shared,
    active: &Active,
    message: &Message,
    name: &str,
) -> Result<Looked, AgentError> {
    let channel = task_channel(active, message);
    let twilio = &shared.parts.twilio;
    active.agents.availability(twilio, name, channel).await
}

/// The campaign's list, looked at. One whom several answer to is nobody.
async fn others(shared: &Shared, active: &Active, mine: &Mine) -> Result<Vec<Looked>, AgentError> {
    let mut list = Vec::new();
    for name in &active.campaign.agents.list {
        let looked = match look(shared, active, &mine.message, name).await {
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
async fn may_stand(
    shared: &Shared,
    active: &Active,
    mine: &Mine,
    agent: Option<&Agent>,
) -> Result<bool, Interrupted> {
    if mine.lease.number == 1 {
        return Ok(false);
    }
    let job = Job {
        campaign: &active.campaign,
        message: &mine.message,
        agent,
        assigned: None,
        unfit: None,
        lease: mine.lease.clone(),
        recorded: &mine.journal,
        taken_before: true,
        overtaken: mine.overtaken,
        distrusted_from: mine.distrusted_from,
        switch: Arc::clone(&active.switch),
    };
    shared.parts.engine.may_stand(&job).await
}
