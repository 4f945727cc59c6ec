//! The life of one delivery: read, taken, admitted, carried out, settled.
//!
//! Every way out settles the delivery, or leaves it to come again after the ledger or the queue failed: then what it
//! finds in the ledger decides.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::campaign::Arrivals;
use crate::engine::{Delivered, Interrupted, Job};
use crate::ledger::{Lease, LedgerError, MessageKey};
use crate::message::{Effects, Ended, Failure, Message};
use crate::outcomes::{Circumstances, SettleError, Verdict, judge};
use crate::pacing::LaneKind;
use crate::queue::Delivery;
use crate::shutdown::Stopper;
use crate::twilio::Closed;

use super::admission::{Admission, admission, cancelled, own_permit};
use super::agent_places::Count;
use super::assigning::agent_of;
use super::begin::{begin, put_off};
use super::mine::{Mine, circumstances, kind, take};
use super::refusal::{arrived, as_accepted, refuse, unwelcome, written_otherwise};
use super::report::note;
use super::set_aside::{damaged, set_aside};
use super::{Active, Shared};

/// When a delivery whose message somebody works on is looked at again.
pub(super) const HELD_AGAIN: Duration = Duration::from_secs(5);

/// The pause after a turn that the ledger or the queue broke off.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Gives one delivery its turn; tells whether it was settled.
pub(super) async fn turn(
    shared: &Shared,
    active: &Active,
    stop: &Stopper,
    delivery: Box<dyn Delivery>,
) -> bool {
    // The delivery stays with this consumer meanwhile. If it were put off, all messages of the queue would go through the delays.
    if let Some(wait) = shared.parts.ledger.gives_no_lease_for() {
        stop.run_until_stopped(shared.parts.clock.sleep(wait)).await;
    }
    if stop.is_stopped() || shared.parts.ledger.is_lost() {
        report(
            shared,
            delivery.release().await.map(drop).map_err(Into::into),
        );
        return false;
    }
    let result = run(shared, active, stop, delivery).await;
    shared.turns.fetch_add(1, Ordering::Relaxed);
    // A halted campaign's consumer takes nothing more: what it gives back would come round at once.
    if !active.is_consumed() {
        stop.stop();
    }
    let is_settled = matches!(result, Ok(true));
    if result.is_err() {
        report(shared, result.map(drop));
        // The ledger or the queue is away: what was given back must not come round at full speed.
        stop.run_until_stopped(shared.parts.clock.sleep(AFTER_FAILURE))
            .await;
    }
    is_settled
}

fn report(shared: &Shared, result: Result<(), SettleError>) {
    match result {
        Ok(()) => {}
        // Said once, not for each message.
        Err(SettleError::Ledger(error)) if shared.parts.ledger.is_lost() => {
            tracing::debug!(%error, "a delivery was not settled; it comes again");
        }
        Err(error) => tracing::warn!(%error, "a delivery was not settled; it comes again"),
    }
}

/// Whether the message had its turn. Else its delivery was put off: the session ended while another delivery's turn went on.
async fn run(
    shared: &Shared,
    active: &Active,
    stop: &Stopper,
    delivery: Box<dyn Delivery>,
) -> Result<bool, SettleError> {
    let (message, rendered) = match arrived(active, &*delivery) {
        Ok(arrived) => arrived,
        Err(refused) => {
            let id = &active.campaign.id;
            return refuse(shared, id, delivery, refused).await.map(|()| true);
        }
    };
    let written = written_otherwise(&*delivery, &message);
    let message = as_accepted(&shared.parts.ledger, written, message).await?;
    let key = MessageKey::of(&message);
    let _in_turn = tokio::select! {
        biased;
        begun = shared.in_turn.begin(&key) => begun,
        // If it were given back, each new session would deliver it again for as long as the other turn lasts.
        () = stop.stopped() => {
            delivery.retry_later(HELD_AGAIN).await?;
            return Ok(false);
        }
    };
    let result = match shared.store_refusals.spent(&key) {
        Some(refusal) => set_aside(shared, delivery, &message, &refusal).await,
        None => settle_message(shared, active, stop, delivery, message, rendered).await,
    };
    if let Err(SettleError::Ledger(error)) = &result {
        // Its delivery comes again, ever later.
        let now = shared.parts.clock.instant();
        shared.store_refusals.note(&key, error, now);
    }
    result.map(|()| true)
}

/// Takes a message and carries it out, and settles its delivery.
async fn settle_message(
    shared: &Shared,
    active: &Active,
    stop: &Stopper,
    delivery: Box<dyn Delivery>,
    message: Message,
    rendered: Result<(), Failure>,
) -> Result<(), SettleError> {
    let ledger = &shared.parts.ledger;
    let defect = delivery.defect();
    if let Some(refused) = unwelcome(ledger, &active.campaign, &message, defect).await? {
        return refuse(shared, &active.campaign.id, delivery, refused).await;
    }
    let Some((mine, delivery)) = take(shared, active, delivery, &message).await? else {
        return Ok(());
    };
    if let Some(backlog) = &mine.called_from {
        let pacer = &shared.parts.pacer;
        pacer.arrived(mine.message.campaign.as_str(), backlog);
    }
    // Accepted with its text, it keeps that, whatever the campaign says by now.
    let fit = match rendered {
        Err(failure) if mine.message.body.is_none() => Err(failure),
        _ => Ok(()),
    };
    let fit = fit.and_then(|()| Arrivals::of(&active.campaign).check(&mine.message));
    let unfit = if active.cancelled {
        Err(cancelled())
    } else {
        fit
    };
    let key = mine.lease.key.clone();
    let watch = shared.letting_go.unless_settled(&mine.lease);
    work_on(shared, active, stop, delivery, mine, unfit.err()).await?;
    watch.settled();
    shared.store_refusals.settled(&key);
    Ok(())
}

/// What becomes of a message that is ours; `unfit`: why it cannot be carried out.
async fn work_on(
    shared: &Shared,
    active: &Active,
    stop: &Stopper,
    delivery: Box<dyn Delivery>,
    mut mine: Mine,
    unfit: Option<Failure>,
) -> Result<(), SettleError> {
    if let Some(failure) = unfit {
        if mine.is_unbegun() {
            let ended = Ended::Failed(failure);
            return settle(shared, active, delivery, mine, ended).await;
        }
        // Its campaign was cancelled, or applied again with other rules, since a consumer took it: what
        // stands of it is undone.
        let agent = agent_of(shared, active, &mine.message, &mine.journal);
        mine.assigned.agent = agent.await.ok().flatten();
        return carry_out(shared, active, stop, delivery, mine, Some(failure)).await;
    }
    match admission(shared, active, &mine) {
        Admission::Go => begin(shared, active, stop, delivery, mine).await,
        not_now => put_off(shared, active, delivery, &mine, not_now).await,
    }
}

/// Runs the saga, paced, and settles what it came to.
pub(super) async fn carry_out(
    shared: &Shared,
    active: &Active,
    stop: &Stopper,
    delivery: Box<dyn Delivery>,
    mut mine: Mine,
    unfit: Option<Failure>,
) -> Result<(), SettleError> {
    let parts = &shared.parts;
    if mine.journal.is_empty() && unfit.is_none() {
        let waiting = own_permit(shared, active, &mine);
        // A drain does not wait for anybody's pace.
        let Some(Some(permit)) = stop.run_until_stopped(waiting).await else {
            return shared.settler.release(delivery, &mine.lease).await;
        };
        let lane = permit.held_up_by().unwrap_or(LaneKind::Campaign);
        parts.metrics.pacing_wait(lane, permit.waited());
    }
    // Only now: who waits for their own pace must not hold a place that others need.
    let weight = active.campaign.pace.weight.get();
    let taking = shared.places.take(&active.campaign.id, weight);
    let Some(_place) = stop.run_until_stopped(taking).await else {
        return shared.settler.release(delivery, &mine.lease).await;
    };
    let _counted = parts.metrics.message_begins();
    let began = parts.clock.instant();
    // Read once: what was undone as failed for good must be judged so.
    let circumstances = circumstances(shared, active, &mine);
    let policy = &parts.policy;
    let for_good = |failure: &Failure| policy.is_for_good(failure, circumstances);
    let job = Job {
        campaign: &active.campaign,
        message: &mine.message,
        agent: mine.assigned.agent.as_deref(),
        assigned: mine.assigned.record.clone(),
        unfit,
        lease: mine.lease.clone(),
        recorded: &mine.journal,
        taken_before: mine.lease.number > 1,
        overtaken: mine.overtaken,
        distrusted_from: mine.distrusted_from,
        switch: Arc::clone(&active.switch),
    };
    let watch = shared.letting_go.unless_settled(&mine.lease);
    let delivered = match parts.engine.deliver(job, &for_good).await {
        Ok(delivered) => delivered,
        Err(Interrupted::Closed(closed)) => {
            give_back(shared, stop, delivery, &mine.lease, &closed).await?;
            watch.settled();
            return Ok(());
        }
        // What the ledger failed to take may stand all the same: this lease is not written to again,
        // and whoever takes the message next reads what stands.
        Err(interrupted) => {
            if parts.ledger.is_lost() {
                delivery.release().await?;
                return Ok(());
            }
            return interrupt(shared, delivery, &mine.lease.key, interrupted).await;
        }
    };
    let count = Count::over(&mut mine, &delivered);
    let (strategy, api) = kind(active, &mine.message);
    parts.metrics.saga(strategy, api, began.elapsed());
    let mine = Mine {
        lease: delivered.lease.clone(),
        ..mine
    };
    let finished = finish(shared, active, delivery, mine, delivered, circumstances);
    // At once: neither waits for the other's way to the ledger.
    let (finished, ()) = tokio::join!(finished, count.end(shared));
    finished?;
    watch.settled();
    Ok(())
}

/// Gives back a message whose call did not leave.
async fn give_back(
    shared: &Shared,
    stop: &Stopper,
    delivery: Box<dyn Delivery>,
    lease: &Lease,
    closed: &Closed,
) -> Result<(), SettleError> {
    tracing::info!(message.id = %lease.key.id.in_log(), %closed, "message given back");
    if closed.is_away() {
        // It comes again at once where its campaign does not wait for what is away.
        let pause = shared.parts.clock.sleep(AFTER_FAILURE);
        stop.run_until_stopped(pause).await;
    }
    shared.settler.release(delivery, lease).await
}

/// Puts off a message whose saga broke off, unless another try would break off too.
async fn interrupt(
    shared: &Shared,
    delivery: Box<dyn Delivery>,
    key: &MessageKey,
    interrupted: Interrupted,
) -> Result<(), SettleError> {
    match interrupted {
        Interrupted::Ledger(error @ LedgerError::Refused { .. }) => {
            delivery
                .retry_later(shared.store_refusals.pause(key))
                .await?;
            return Err(error.into());
        }
        Interrupted::Ledger(LedgerError::Damaged(detail)) => {
            damaged(shared, delivery, key, detail).await?;
        }
        Interrupted::Journal(illegal) => {
            damaged(shared, delivery, key, format!("its journal: {illegal}")).await?;
        }
        interrupted => {
            tracing::warn!(message.id = %key.id.in_log(), %interrupted, "interrupted");
            delivery.retry_later(HELD_AGAIN).await?;
        }
    }
    Ok(())
}

/// Settles a message whose saga did not run.
async fn settle(
    shared: &Shared,
    active: &Active,
    delivery: Box<dyn Delivery>,
    mine: Mine,
    ended: Ended,
) -> Result<(), SettleError> {
    let verdict = judge(
        ended,
        &shared.parts.policy,
        circumstances(shared, active, &mine),
    );
    carry_verdict(shared, active, delivery, &mine, &verdict).await
}

/// Settles a message whose saga ran.
async fn finish(
    shared: &Shared,
    active: &Active,
    delivery: Box<dyn Delivery>,
    mine: Mine,
    delivered: Delivered,
    circumstances: Circumstances,
) -> Result<(), SettleError> {
    let verdict = judge(delivered.ended, &shared.parts.policy, circumstances);
    note(shared, active, &mine, &verdict).await;
    let (unwritten, effects) = (&delivered.unwritten, delivered.saga.effects);
    let attempt = mine.attempts + 1;
    let settler = &shared.settler;
    settler
        .settle(delivery, &mine.lease, unwritten, effects, attempt, &verdict)
        .await
}

pub(super) async fn carry_verdict(
    shared: &Shared,
    active: &Active,
    delivery: Box<dyn Delivery>,
    mine: &Mine,
    verdict: &Verdict,
) -> Result<(), SettleError> {
    note(shared, active, mine, verdict).await;
    let attempt = mine.attempts + 1;
    let effects = Effects::default();
    let settler = &shared.settler;
    settler
        .settle(delivery, &mine.lease, &[], effects, attempt, verdict)
        .await
}
