//! The third stage: a message that can be executed now. It has its agent, its own limits have granted it, and it
//! occupies a slot in flight.

use crate::ledger::{Ending, Settlement, Wake};
use crate::message::{Failure, SkipReason, Unavailable, WaitReason};
use crate::metrics::MessageEvent;
use crate::pacing::LaneKind;
use crate::pacing::backlog_name;

use super::Left;
use super::agent::{Assigning, HeldForAgent, agent_of};
use super::assignment::Assignment;
use super::leased::Leased;
use super::limits::Admission;
use crate::worker::in_flight::InFlightSlot;

/// How many agents are tried for a message when other messages take the last slots first.
const CHOICES_MAX: u32 = 4;

/// A message that can be executed now.
pub(super) struct Ready<'a> {
    pub(super) leased: Leased<'a>,
    /// Dropping it frees the slot in flight.
    pub(super) slot: InFlightSlot,
}

impl<'a> Leased<'a> {
    /// Makes the message ready. In this order: whether it may go forward, its agent, its own limits, its slot with the
    /// agent, its slot in flight.
    pub(super) async fn prepare(mut self) -> Result<Ready<'a>, Left> {
        if let Some(failure) = self.unfit.clone() {
            if self.is_unbegun() {
                return Err(self.fail(failure).await);
            }
            // Its campaign was cancelled or was applied again with other rules after a consumer took the message: its
            // effects are undone.
            let (shared, active) = (self.session.shared, self.session.active);
            let agent = agent_of(shared, active, &self.taken.message, &self.saga);
            self.assignment.agent = agent.await.ok().flatten();
            return self.in_flight().await;
        }
        match self.admission() {
            Admission::Go => {}
            not_now => return Err(self.not_now(not_now).await),
        }
        self.with_agent().await?.in_flight().await
    }

    /// Chooses the message's agent and takes a slot with that agent.
    async fn with_agent(mut self) -> Result<Self, Left> {
        // Another message, of this consumer or another one, may take the agent's last slot first. Then the campaign's
        // rule is applied again with the newer state.
        for attempt in 1.. {
            match self.assign().await {
                Assigning::Go => {}
                Assigning::Later(later, due) => {
                    return Err(self.not_now(Admission::PutOff(later, due)).await);
                }
                Assigning::Unfit(failure) => return Ok(self.unfit_for(failure)),
                Assigning::Skip(why) => return Err(self.skip_for_agent(why).await),
                Assigning::Hold(held) => return Err(self.hold(held).await),
                Assigning::GiveBack => return Err(self.release().await),
            }
            if self.is_new() {
                match self.turn_comes() {
                    Admission::Go => {}
                    not_now => {
                        self.give_back_place();
                        return Err(self.not_now(not_now).await);
                    }
                }
            }
            match self.take_place().await? {
                None => break,
                Some(full) if attempt == CHOICES_MAX => return Err(self.hold(full).await),
                Some(_) => {}
            }
            self.assignment = Assignment::default();
            // Its limits have granted it once: it is not put off a second time.
            self.taken.called_from.get_or_insert_default();
        }
        Ok(self)
    }

    fn unfit_for(mut self, failure: Failure) -> Self {
        self.unfit = Some(failure);
        self
    }

    /// Waits for the message's own limits if it is to begin, and for its slot in flight.
    async fn in_flight(mut self) -> Result<Ready<'a>, Left> {
        let stop = self.session.stop;
        let (shared, active) = (self.session.shared, self.session.active);
        if self.is_new() && self.unfit.is_none() {
            // A drain does not wait for limits.
            let Some(Some(permit)) = stop.run_until_stopped(self.permit()).await else {
                return Err(self.release().await);
            };
            // The wait may have been long: the message may have expired, or its sender may be paused.
            match self.admission() {
                Admission::Go => {}
                not_now => {
                    permit.give_back();
                    self.give_back_place();
                    return Err(self.not_now(not_now).await);
                }
            }
            let lane = permit.held_up_by().unwrap_or(LaneKind::Campaign);
            shared.parts.metrics.pacing_wait(lane, permit.waited());
        }
        // The slot comes last: a message that waits for its own limits must not occupy a slot that others need.
        let weight = active.campaign.pace.weight.get();
        let taking = shared.slots.take(&active.campaign.id, weight);
        match stop.run_until_stopped(taking).await {
            Some(slot) => Ok(Ready { leased: self, slot }),
            None => Err(self.release().await),
        }
    }

    /// Settles a message that does not begin now.
    async fn not_now(self, admission: Admission) -> Left {
        match admission {
            Admission::Go => self.release().await,
            Admission::Skip(reason) => {
                let detail = None;
                self.end(Ending::Skipped { reason, detail }).await
            }
            Admission::PutOff(later, due) => {
                self.count(MessageEvent::Waits(WaitReason::Pace));
                let settlement = Settlement::Backlogged {
                    backlog: backlog_name(&later.lanes),
                    since: self.taken.accepted_at,
                    due,
                };
                let pacer = &self.session.shared.parts.pacer;
                let campaign = self.session.active.campaign.id.as_str();
                let left = self.put_off(settlement).await;
                if matches!(left, Left::Settled) {
                    // The pacer's backlog is told only now, because the ledger has the message from now on.
                    pacer.put_off(campaign, later);
                }
                left
            }
            Admission::Later(reason, due) => {
                self.count(MessageEvent::Waits(reason));
                let settlement = Settlement::Waits {
                    reason,
                    due,
                    wake: Wake::Ledger,
                    failure: None,
                    uses_attempt: false,
                };
                self.put_off(settlement).await
            }
        }
    }

    /// Settles a message that waits for its agent.
    async fn hold(self, held: HeldForAgent) -> Left {
        self.count(MessageEvent::Waits(WaitReason::AgentUnavailable));
        tracing::debug!(
            message.id = %self.key().id.in_log(), agent = held.agent, why = %held.why,
            "message held for its agent"
        );
        let HeldForAgent { agent, due, .. } = held;
        self.put_off(Settlement::Held { agent, due }).await
    }

    async fn skip_for_agent(self, why: Unavailable) -> Left {
        let named = self.message().agent.as_ref();
        let agent = named.map_or("the agent", |agent| agent.worker.as_str());
        let ending = Ending::Skipped {
            reason: SkipReason::AgentUnavailable,
            detail: Some(format!("{agent} is {why}")),
        };
        self.end(ending).await
    }
}
