//! A message's place with its agent: taken before it begins, and counted with those of all consumers.
//!
//! In: a message whose agent is known. Out: its place, or that another message was faster. Always: what is taken
//! here counts in the consumers' store as well, where there is one; until a look at the agent is sure to show the task.

use crate::engine::{Agent, Delivered};
use crate::ledger::{AgentWish, Lease};
use crate::message::Unavailable;
use crate::outcomes::SettleError;

use super::assigning::{Held, task_channel};
use super::begin::is_clean;
use super::mine::Mine;
use super::{Active, Shared};

/// Takes the message's place with its agent. Some: there is none any more.
///
/// # Errors
///
/// [`SettleError`]: the consumers' store does not tell.
pub(super) async fn take_place(
    shared: &Shared,
    active: &Active,
    mine: &mut Mine,
) -> Result<Option<Held>, SettleError> {
    let Some(agent) = mine.assigned.agent.clone() else {
        return Ok(None);
    };
    let Some(channel) = task_channel(active, &mine.message) else {
        return Ok(None);
    };
    if mine.assigned.place.is_none() {
        let taken = active.agents.take(&agent, channel);
        mine.assigned.place = match mine.assigned.may_stand {
            // It has its task already, or is about to: it counts, and is not put off.
            true => taken.or_else(|| active.agents.take_anyway(&agent)),
            false => taken,
        };
    }
    let is_taken = mine.assigned.place.is_some();
    if is_taken && count(shared, active, mine, &agent, channel).await? {
        return Ok(None);
    }
    if let Some(place) = mine.assigned.place.take() {
        place.give_back();
    }
    let now = shared.parts.clock.now();
    let named = mine.message.agent.as_ref();
    Ok(Some(Held {
        agent: named.map_or_else(|| agent.sid.clone(), |named| named.worker.clone()),
        why: Unavailable::Full,
        due: now.checked_add(shared.parts.agents.wait).unwrap_or(now),
    }))
}

/// Counts the message in the consumers' store, if there is one; false when others have the agent's last places.
async fn count(
    shared: &Shared,
    active: &Active,
    mine: &mut Mine,
    agent: &Agent,
    channel: &str,
) -> Result<bool, SettleError> {
    let parts = &shared.parts;
    let read = active.agents.read(agent, channel);
    let (free, read_at) = read.unwrap_or((0, parts.clock.instant()));
    let wish = AgentWish {
        agent: &agent.sid,
        lease: &mine.lease,
        free,
        read_at,
        shows_after: parts.agents.shows_after,
        kept_for: parts.agents.kept_for(),
        anyway: mine.assigned.may_stand,
    };
    let Some(answer) = parts.ledger.begin_for_agent(&wish).await? else {
        return Ok(true);
    };
    let begun = answer.others.saturating_add(u32::from(answer.taken));
    active.agents.note_begun(agent, read_at, begun);
    mine.assigned.is_counted = answer.taken;
    Ok(answer.taken)
}

/// What is counted of a message whose run is over.
pub(super) struct Count {
    lease: Lease,
    /// Whether the consumers' store counts it.
    is_shared: bool,
    /// Whether its task may have been made.
    may_stand: bool,
}

impl Count {
    /// Of a message that was carried out: its place here is free if its task certainly does not stand.
    pub(super) fn over(mine: &mut Mine, delivered: &Delivered) -> Self {
        let is_clean = is_clean(delivered);
        if let Some(place) = mine.assigned.place.take().filter(|_| is_clean) {
            place.give_back();
        }
        Self {
            lease: mine.lease.clone(),
            is_shared: mine.assigned.is_counted,
            may_stand: !is_clean,
        }
    }

    /// Tells the consumers' store.
    pub(super) async fn end(self, shared: &Shared) {
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
