//! Recalls messages that are held for their agents, when an agent can take them.
//!
//! In: the agents that messages are held for. Out: as many of these messages waiting again as the agents can take.
//! Always: a message returns when its agent can take it, not to check that; one round runs at a time, beside the
//! worker's loop, so that a slow reply of Twilio's delays nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::campaign::WhenUnavailable;
use crate::engine::Availability;
use crate::ledger::{HeldFor, LedgerError};
use crate::message::Unavailable;

use super::Campaigns;
use crate::worker::{Active, WorkError, WorkerState};

/// How many agents are read in one round: at 20 reads a second, a quarter of a round's time.
const LOOKED_AT_MAX: usize = 50;

/// The rounds of one consumer.
pub(in crate::worker) struct AgentRecalls {
    shared: Arc<WorkerState>,
    /// When the last round began.
    looked: Option<Instant>,
    round: Option<AbortOnDropHandle<()>>,
    /// The position at which the next round begins.
    from: usize,
}

impl AgentRecalls {
    pub(in crate::worker) fn new(shared: Arc<WorkerState>) -> Self {
        Self {
            shared,
            looked: None,
            round: None,
            from: 0,
        }
    }

    /// Begins a round if the last one has ended and its readings are outdated.
    pub(in crate::worker) async fn look(&mut self, campaigns: &Campaigns) -> Result<(), WorkError> {
        let parts = &self.shared.parts;
        let now = parts.clock.instant();
        let is_early = |at: Instant| now < at + parts.agents.read_for;
        let is_under_way = self.round.as_ref().is_some_and(|one| !one.is_finished());
        if is_under_way || self.looked.is_some_and(is_early) {
            return Ok(());
        }
        self.looked = Some(now);
        let mut held = Vec::new();
        for one in parts.ledger.held().await? {
            if let Some(active) = campaigns.consumed(&one.campaign) {
                held.push((active, one));
            }
        }
        if held.is_empty() {
            return Ok(());
        }
        let from = self.from % held.len();
        held.rotate_left(from);
        held.truncate(LOOKED_AT_MAX);
        self.from = from + held.len();
        let shared = Arc::clone(&self.shared);
        let round = tokio::spawn(async move {
            if let Err(error) = round(&shared, held).await {
                tracing::debug!(%error, "held messages are looked at again later");
            }
        });
        self.round = Some(AbortOnDropHandle::new(round));
        Ok(())
    }
}

/// Reads each agent, and recalls as many messages as they can take.
async fn round(shared: &WorkerState, held: Vec<(Arc<Active>, HeldFor)>) -> Result<(), LedgerError> {
    // How many messages each agent was given in this round.
    let mut given = BTreeMap::new();
    for (active, one) in held {
        let count = count(shared, &active, &one, &mut given).await;
        let limit = usize::try_from(count.min(one.messages)).unwrap_or(usize::MAX);
        if limit == 0 {
            continue;
        }
        let parts = &shared.parts;
        let now = parts.clock.now();
        let recalling = parts.ledger.recall(&one.campaign, &one.agent, now, limit);
        let recalled = recalling.await?;
        tracing::info!(
            campaign.id = %one.campaign, agent = one.agent, messages = recalled,
            "held messages are brought back"
        );
    }
    Ok(())
}

/// How many of these messages can return now.
async fn count(
    shared: &WorkerState,
    active: &Active,
    held: &HeldFor,
    given: &mut BTreeMap<String, u32>,
) -> u64 {
    let agents = &active.campaign.agents;
    let rule = agents.when_unavailable;
    // The campaign does not hold them any more: its current rule ends them.
    let is_held = matches!(rule, WhenUnavailable::Hold | WhenUnavailable::Next);
    if active.cancelled || !is_held {
        return held.messages;
    }
    let mut names = vec![&held.agent];
    if rule == WhenUnavailable::Next {
        names.extend(&agents.list);
    }
    let channel = active.campaign.flex.task_channel.as_deref();
    let (mut slots, mut all_gone) = (0, true);
    for name in names {
        let twilio = &shared.parts.twilio;
        let looking = active.agents.availability(twilio, name, channel);
        let (agent, availability) = match looking.await {
            Ok(looked) => looked,
            Err(error) => {
                tracing::debug!(%error, "an agent is looked at again later");
                all_gone = false;
                continue;
            }
        };
        all_gone &= availability == Availability::Not(Unavailable::Gone);
        let Some(agent) = agent else {
            continue;
        };
        let given = given.entry(agent.sid.clone()).or_insert(0);
        let left = availability.left().saturating_sub(*given);
        let wanted = held.messages.saturating_sub(slots);
        let taken = left.min(u32::try_from(wanted).unwrap_or(u32::MAX));
        *given += taken;
        slots += u64::from(taken);
    }
    // No agent can ever take them: they return and end for that reason.
    if all_gone { held.messages } else { slots }
}
