//! One campaign's consumer: takes deliveries, and runs a turn for each.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::engine::needs;
use crate::queue::{Backoff, Consumer};
use crate::shutdown::Stopper;
use crate::twilio::Product;

use super::ownership;
use crate::worker::hindrances::Hindered;
use crate::worker::turn::{CampaignSession, turn};
use crate::worker::{Active, WorkerState};

/// The first and the longest wait before consuming is retried after the queue refused it.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(30);

/// Consumes until stopped; then returns deliveries that have not begun and waits for those that have. While the ledger
/// is lost, or a product of Twilio that the campaign needs is away, no message is taken, and deliveries that have not
/// begun are returned to the queue.
pub(in crate::worker) async fn consume(
    shared: Arc<WorkerState>,
    active: Arc<Active>,
    stop: Stopper,
) {
    if !ownership::claim(&shared, &active, &stop).await {
        return;
    }
    let needs = needs(&active.campaign);
    let mut turns = JoinSet::new();
    let mut backoff = Backoff::new(AGAIN_AFTER, AGAIN_AFTER_MAX);
    // A turn that halts the campaign stops only its own session: no other may follow.
    while !stop.is_stopped() && active.is_consumed() {
        let Some(()) = stop.run_until_stopped(may_begin(&shared, &needs)).await else {
            break;
        };
        // While a product is away, one message at a time finds out whether it is back.
        let is_away = shared.parts.twilio.outages().has_away(&needs);
        let most = if is_away { 1 } else { shared.parts.in_flight };
        // Space for a second prefetch: for the turns of the previous session, and for those that pause after a failure.
        let turns_max = if is_away { 1 } else { 2 * usize::from(most) };
        // A session receives as many deliveries as may be in flight, and turns of the previous one may still run.
        while turns.len() >= usize::from(most) {
            if stop.run_until_stopped(turns.join_next()).await.is_none() {
                break;
            }
        }
        let Some(mut consumer) = connect(&shared, &active, &stop, &mut backoff, most).await else {
            break;
        };
        let session = stop.child();
        let taking = take(
            &shared,
            &active,
            &session,
            &mut *consumer,
            &mut turns,
            turns_max,
        );
        let taken = tokio::select! {
            biased;
            () = interrupted(&shared, &needs, is_away) => None,
            has_settled = taking => Some(has_settled),
        };
        let has_queue_ended_it = taken.is_some() && !session.is_stopped();
        session.stop();
        consumer.stop().await;
        if taken == Some(true) {
            backoff.reset();
        } else if has_queue_ended_it {
            // The queue ended it before any delivery was settled, and may do so again at once.
            let pause = shared.parts.clock.sleep(backoff.pause());
            stop.run_until_stopped(pause).await;
        }
    }
    while turns.join_next().await.is_some() {}
}

/// Waits until a message may begin: the ledger is available, and the products that it needs are back or may be back.
async fn may_begin(shared: &WorkerState, needs: &[Product]) {
    shared.parts.ledger.back().await;
    shared.parts.twilio.outages().passable(needs).await;
}

/// Waits until the session must end: no message may begin any more, or more than one at a time may.
async fn interrupted(shared: &WorkerState, needs: &[Product], is_away: bool) {
    let outages = shared.parts.twilio.outages();
    let back = async {
        match is_away {
            true => outages.back(needs).await,
            false => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = shared.parts.ledger.lost() => {}
        () = outages.impassable(needs) => {}
        () = back => {}
    }
}

async fn connect(
    shared: &WorkerState,
    active: &Active,
    stop: &Stopper,
    backoff: &mut Backoff,
    most: u16,
) -> Option<Box<dyn Consumer>> {
    let campaign = &active.campaign.id;
    let hindered = Hindered::Campaign(campaign.clone());
    loop {
        let queue = &shared.parts.queue;
        // As many as may be in flight in total: this campaign alone may occupy all slots.
        let consuming = queue.consume(campaign, most);
        match stop.run_until_stopped(consuming).await? {
            Ok(consumer) => {
                shared.hindrances.succeeded(&hindered);
                return Some(consumer);
            }
            Err(error) => {
                shared.hindrances.failed(hindered.clone(), &error);
                tracing::warn!(campaign.id = %campaign, %error, "the campaign cannot be consumed yet");
                let wait = shared.parts.clock.sleep(backoff.pause());
                stop.run_until_stopped(wait).await?;
            }
        }
    }
}

/// Spawns a turn for each delivery until the session is stopped. Returns whether a delivery was settled. The queue's
/// prefetch bounds the deliveries of a session. Each turn begins at once, because only turns are counted as held.
async fn take(
    shared: &Arc<WorkerState>,
    active: &Arc<Active>,
    session: &Stopper,
    consumer: &mut dyn Consumer,
    turns: &mut JoinSet<bool>,
    turns_max: usize,
) -> bool {
    let mut has_settled = false;
    loop {
        let delivery = tokio::select! {
            biased;
            () = session.stopped() => return has_settled,
            Some(turn) = turns.join_next(), if !turns.is_empty() => {
                has_settled |= turn.unwrap_or(false);
                continue;
            }
            delivery = consumer.next(), if turns.len() < turns_max => delivery,
        };
        let Some(delivery) = delivery else {
            return has_settled;
        };
        let (shared, active, stop) = (Arc::clone(shared), Arc::clone(active), session.clone());
        let held = shared.holding.one(&active.campaign.id);
        turns.spawn(async move {
            let session = CampaignSession {
                shared: &shared,
                active: &active,
                stop: &stop,
            };
            let is_settled = turn(session, delivery).await;
            drop(held);
            is_settled
        });
    }
}
