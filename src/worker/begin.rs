//! Whether a message is begun now: its agent, then its own lanes, then its place with the agent.

use crate::engine::Delivered;
use crate::ledger::Settlement;
use crate::message::{DeferReason, Ended, Failure, FailureClass, SkipReason, Unavailable};
use crate::metrics::MessageEvent;
use crate::outcomes::{SettleError, Verdict};
use crate::pacing::backlog_name;
use crate::queue::Delivery;
use crate::shutdown::Stopper;

use super::admission::{Admission, turn_comes};
use super::agent_places::take_place;
use super::assigning::{Assigning, Held, assign};
use super::mine::{Assigned, Mine, kind};
use super::turn::{carry_out, carry_verdict};
use super::{Active, Shared};

/// How often an agent is looked for whose last place another message then takes first.
const CHOICES_MAX: u32 = 4;

/// What becomes of a message that may be begun, or gone on with, by its agent and its lanes.
pub(super) async fn begin(
    shared: &Shared,
    active: &Active,
    stop: &Stopper,
    delivery: Box<dyn Delivery>,
    mut mine: Mine,
) -> Result<(), SettleError> {
    let mut full = None;
    // Another message may be faster with an agent's last place, of this consumer or of another one: then the campaign's
    // rule says what becomes of this one, by what is known now.
    for _ in 0..CHOICES_MAX {
        match assign(shared, active, &mut mine).await {
            Assigning::Go => {}
            Assigning::Later(later, due) => {
                let not_now = Admission::PutOff(later, due);
                return put_off(shared, active, delivery, &mine, not_now).await;
            }
            Assigning::Unfit(failure) => {
                return carry_out(shared, active, stop, delivery, mine, Some(failure)).await;
            }
            Assigning::Skip(why) => {
                let verdict = agent_skip(&mine, why);
                return carry_verdict(shared, active, delivery, &mine, &verdict).await;
            }
            Assigning::Hold(held) => return hold(shared, active, delivery, &mine, held).await,
            Assigning::GiveBack => return shared.settler.release(delivery, &mine.lease).await,
        }
        if mine.journal.is_empty() {
            match turn_comes(shared, active, &mine) {
                Admission::Go => {}
                not_now => {
                    if let Some(place) = mine.assigned.place.take() {
                        place.give_back();
                    }
                    return put_off(shared, active, delivery, &mine, not_now).await;
                }
            }
        }
        full = take_place(shared, active, &mut mine).await?;
        if full.is_none() {
            break;
        }
        mine.assigned = Assigned::default();
        // Its turn has come: it is not put off a second time.
        mine.called_from.get_or_insert_default();
    }
    match full {
        None => carry_out(shared, active, stop, delivery, mine, None).await,
        Some(held) => hold(shared, active, delivery, &mine, held).await,
    }
}

/// A message that is not begun now.
pub(super) async fn put_off(
    shared: &Shared,
    active: &Active,
    delivery: Box<dyn Delivery>,
    mine: &Mine,
    admission: Admission,
) -> Result<(), SettleError> {
    match admission {
        Admission::Go => Ok(()),
        Admission::Skip(reason) => {
            let verdict = Verdict::Skip {
                reason,
                detail: None,
            };
            carry_verdict(shared, active, delivery, mine, &verdict).await
        }
        Admission::PutOff(later, due) => {
            let (strategy, api) = kind(active, &mine.message);
            let event = MessageEvent::Deferred(DeferReason::Pace);
            shared.parts.metrics.message(event, strategy, api);
            let settlement = Settlement::Backlogged {
                backlog: backlog_name(&later.lanes),
                since: mine.accepted_at,
                due,
            };
            let settler = &shared.settler;
            settler.put_off(delivery, &mine.lease, settlement).await?;
            // Only now is it there to be called up.
            let pacer = &shared.parts.pacer;
            pacer.put_off(active.campaign.id.as_str(), later);
            Ok(())
        }
        Admission::Later(reason, due) => {
            let (strategy, api) = kind(active, &mine.message);
            let event = MessageEvent::Deferred(reason);
            shared.parts.metrics.message(event, strategy, api);
            let settler = &shared.settler;
            settler.defer(delivery, &mine.lease, reason, due).await
        }
    }
}

/// A message that waits for its agent.
async fn hold(
    shared: &Shared,
    active: &Active,
    delivery: Box<dyn Delivery>,
    mine: &Mine,
    held: Held,
) -> Result<(), SettleError> {
    let (strategy, api) = kind(active, &mine.message);
    let event = MessageEvent::Deferred(DeferReason::AgentUnavailable);
    shared.parts.metrics.message(event, strategy, api);
    tracing::debug!(
        message.id = %mine.lease.key.id.in_log(), agent = held.agent, why = %held.why,
        "message held for its agent"
    );
    let Held { agent, due, .. } = held;
    let settlement = Settlement::Held { agent, due };
    let settler = &shared.settler;
    settler.put_off(delivery, &mine.lease, settlement).await
}

fn agent_skip(mine: &Mine, why: Unavailable) -> Verdict {
    let named = mine.message.agent.as_ref();
    let agent = named.map_or("the agent", |agent| agent.worker.as_str());
    Verdict::Skip {
        reason: SkipReason::AgentUnavailable,
        detail: Some(format!("{agent} is {why}")),
    }
}

/// Whether a run certainly left nothing with the agent. A call that may have been lost may have.
pub(super) fn is_clean(delivered: &Delivered) -> bool {
    let may_pass =
        |failure: &Failure| matches!(failure.class, FailureClass::Transient | FailureClass::Away);
    let is_doubtful = match &delivered.ended {
        Ended::Done { .. } | Ended::Unknown { .. } => true,
        Ended::Failed(failure) => may_pass(failure),
        Ended::Busy(_) => false,
    };
    !is_doubtful && !delivered.saga.has_acted()
}
