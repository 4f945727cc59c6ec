//! One campaign's consumer: takes deliveries and gives each its turn.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::queue::{Backoff, Consumer};
use crate::shutdown::Stopper;

use super::{Active, Shared, ownership, turn};

/// The first and the longest wait before consuming is tried again after the queue refused.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(30);

/// Consumes until stopped; then gives back what has not begun and waits for what has. While the
/// ledger is lost nothing is taken: what was delivered and not begun is the queue's again.
pub(super) async fn consume(shared: Arc<Shared>, active: Arc<Active>, stop: Stopper) {
    if !ownership::claim(&shared, &active, &stop).await {
        return;
    }
    let mut turns = JoinSet::new();
    let mut backoff = Backoff::new(AGAIN_AFTER, AGAIN_AFTER_MAX);
    // Who halts the campaign in its turn stops one session, and there must be no other.
    while !stop.is_stopped() && active.is_consumed() {
        let Some(()) = stop.run_until_stopped(shared.parts.ledger.back()).await else {
            break;
        };
        // A session brings as many deliveries as may be in flight; the last one's may still be in work.
        let in_flight = usize::from(shared.parts.in_flight);
        while turns.len() >= in_flight {
            if stop.run_until_stopped(turns.join_next()).await.is_none() {
                break;
            }
        }
        let Some(mut consumer) = connect(&shared, &active, &stop, &mut backoff).await else {
            break;
        };
        let session = stop.child();
        if take(&shared, &active, &session, &mut *consumer, &mut turns).await {
            backoff.reset();
        }
        session.stop();
        consumer.stop().await;
    }
    while turns.join_next().await.is_some() {}
}

async fn connect(
    shared: &Shared,
    active: &Active,
    stop: &Stopper,
    backoff: &mut Backoff,
) -> Option<Box<dyn Consumer>> {
    loop {
        let campaign = &active.campaign.id;
        let queue = &shared.parts.queue;
        // As many as can be in flight: this campaign alone may fill all places.
        let consuming = queue.consume(campaign, shared.parts.in_flight);
        match stop.run_until_stopped(consuming).await? {
            Ok(consumer) => return Some(consumer),
            Err(error) => {
                tracing::warn!(campaign.id = %campaign, %error, "cannot consume yet");
                let wait = shared.parts.clock.sleep(backoff.pause());
                stop.run_until_stopped(wait).await?;
            }
        }
    }
}

/// Spawns a turn for each delivery until the session is stopped or the ledger lost; tells whether a delivery was
/// settled. The queue's prefetch bounds the deliveries of a session. Each gets its turn at once, because only turns are
/// counted as held: so there is room for a second prefetch, for the turns of the session before and for those that
/// pause after a failure.
async fn take(
    shared: &Arc<Shared>,
    active: &Arc<Active>,
    session: &Stopper,
    consumer: &mut dyn Consumer,
    turns: &mut JoinSet<bool>,
) -> bool {
    let turns_max = 2 * usize::from(shared.parts.in_flight);
    let mut has_settled = false;
    let mut lost = std::pin::pin!(shared.parts.ledger.lost());
    loop {
        let delivery = tokio::select! {
            biased;
            () = session.stopped() => return has_settled,
            () = &mut lost => return has_settled,
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
            let is_settled = turn::turn(&shared, &active, &stop, delivery).await;
            drop(held);
            is_settled
        });
    }
}
