//! Recovers what the broker and dead consumers lose.
//!
//! In: what the queue should hold according to the ledger, and what it holds. Out: the leases of dead consumers ended;
//! lost messages published again; a ledger whose file was removed or replaced marked as lost. Always: a message counts
//! as lost only if it is missing in every comparison of a minute.

mod lost;

mod abandoned_leases;
mod orphans;
mod undos;

pub(super) mod broker;
pub(super) mod lanes;
pub(super) mod minutes;
pub(super) mod outages;
pub(super) mod store;

pub(super) use abandoned_leases::{AbandonedLeases, LeaseWatch};
pub(super) use orphans::Orphans;
pub(super) use undos::Undos;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use tokio::time::Instant;

use crate::intake::{EnqueueError, bind_queue};
use crate::ledger::{CampaignRecord, LedgerError, OnQueue};
use crate::message::{CampaignId, PauseCause};
use crate::queue::{Depth, QueueError};

use crate::worker::{WorkerState, is_among};
use abandoned_leases::UnansweredCheck;
use lost::{LossHistory, Lost, act, is_recent};

/// How often the queue is compared with the ledger unless the configuration says otherwise.
pub const QUEUE_LOOK: Duration = Duration::from_secs(20);

/// How often leases of dead consumers are ended, and how many in one call.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
const SWEEP_BATCH: usize = 1_000;

/// How long a consumer has to mark what a broker has lost. Two consumers that mark would publish all of it twice.
const MARKED_WITHIN: Duration = Duration::from_secs(60);

/// The maximum age of the broker's statistics: a consumer reads them once a minute.
const STATISTICS_FOR: Duration = Duration::from_secs(120);

/// Ends expired leases and compares queue and ledger, of the campaigns in `only` or of all, for as long as the future
/// is polled.
pub(super) async fn keep(shared: &WorkerState, only: &[CampaignId]) -> Infallible {
    let (clock, look_every) = (shared.parts.clock, shared.parts.queue_look);
    let mut histories = BTreeMap::new();
    let mut looked: Option<Instant> = None;
    loop {
        clock.sleep(SWEEP_EVERY.min(look_every)).await;
        shared.parts.ledger.back().await;
        if let Err(error) = shared.parts.ledger.in_place().await {
            // The call has marked the ledger as lost.
            tracing::debug!(%error, "the ledger is not where it was opened");
            continue;
        }
        if let Err(error) = sweep(shared).await {
            tracing::debug!(%error, "leases of dead consumers are not ended yet");
        }
        let now = clock.instant();
        if looked.is_none_or(|at| now >= at + look_every) {
            looked = Some(now);
            if let Err(error) = look(shared, only, &mut histories).await {
                tracing::debug!(%error, "the queue is not compared with the ledger");
            }
        }
    }
}

async fn sweep(shared: &WorkerState) -> Result<(), LedgerError> {
    let parts = &shared.parts;
    let now = parts.clock.now();
    let swept = parts
        .ledger
        .sweep_leases(&parts.holder, now, SWEEP_BATCH)
        .await?;
    if swept > 0 {
        tracing::warn!(
            messages = swept,
            "consumers died holding messages: their leases have ended"
        );
    }
    let holding = shared.holding.now();
    let showing = parts.ledger.show_holding(&parts.holder, &holding, now);
    showing.await?;
    let check = UnansweredCheck {
        holder: &parts.holder,
        now,
        lease_for: parts.engine.lease_for(),
    };
    let ending = shared
        .abandoned_leases
        .end_unanswered(&parts.ledger, &check);
    ending.await
}

async fn look(
    shared: &WorkerState,
    only: &[CampaignId],
    histories: &mut BTreeMap<CampaignId, LossHistory>,
) -> Result<(), EnqueueError> {
    let parts = &shared.parts;
    if find_lost_broker(shared).await? {
        histories.clear();
        return Ok(());
    }
    let mut records = parts.ledger.campaigns().await?;
    records.retain(|record| {
        (record.state.is_consumed() || is_emptied(record)) && is_among(only, &record.id)
    });
    histories.retain(|id, _| records.iter().any(|record| record.id == *id));
    let now = parts.clock.now();
    let delayed_before = parts.queue.delayed().await?;
    let held = parts.ledger.holding(now).await?;
    let on_queue = parts.ledger.on_queue(now).await?;
    let mut depths = Vec::new();
    for record in &records {
        depths.push(match parts.queue.depth(&record.id).await {
            Ok(depth) => (depth, false),
            Err(QueueError::Refused(_)) => (Depth::default(), true),
            Err(error) => return Err(error.into()),
        });
    }
    // Two counts, because messages move between queues and delays meanwhile: the first includes those that have left a
    // delay since, the second those that have entered one.
    let delayed = delayed_before.max(parts.queue.delayed().await?);
    for (record, (depth, is_deleted)) in records.iter().zip(depths) {
        let expected = on_queue.get(&record.id).copied().unwrap_or_default();
        let shown = held.get(&record.id).copied().unwrap_or_default();
        let held = shown.max(unacknowledged(shared, &record.id));
        tracing::debug!(
            campaign.id = %record.id, expected.ready, expected.held, expected.delayed,
            depth.ready, depth.unsettled, held, delayed,
            "the queue is compared with the ledger"
        );
        let history = histories.entry(record.id.clone()).or_default();
        history.follow(record);
        history.follow_queue(is_deleted);
        let missing = missing(expected, depth, held, delayed);
        if is_emptied(record) {
            history.pause(missing, held.max(expected.held));
            continue;
        }
        history.note(missing);
        let Some(lasting) = history.lasting() else {
            continue;
        };
        if lasting == 0 {
            history.clear();
            continue;
        }
        let lost = Lost {
            messages: lasting,
            expected: total(expected),
            is_drained: depth.ready == 0,
            is_deleted,
        };
        if act(shared, &record.id, &lost, history).await? {
            *history = LossHistory::default();
        }
    }
    Ok(())
}

/// Whether the program has paused the campaign because its queue was emptied.
fn is_emptied(record: &CampaignRecord) -> bool {
    record.program_pause() == Some(PauseCause::QueueEmptied)
}

/// How many messages consumers hold, those of other programs included, according to the broker's statistics; 0 without
/// recent statistics.
fn unacknowledged(shared: &WorkerState, id: &CampaignId) -> u64 {
    let parts = &shared.parts;
    let Some(inspection) = parts.queue.inspection() else {
        return 0;
    };
    let is_fresh = inspection
        .at
        .is_some_and(|at| is_recent(shared, at, STATISTICS_FOR));
    let of_campaign = inspection.campaigns.get(id).filter(|_| is_fresh);
    of_campaign
        .and_then(|counts| counts.unacknowledged)
        .unwrap_or(0)
}

/// How many messages are neither on the queue, nor in a delay, nor with a consumer. A message with a valid lease is not
/// missing, even if its holder's last count lacks it: the holder settles it, with its delivery or without.
fn missing(expected: OnQueue, depth: Depth, held: u64, delayed: u64) -> u64 {
    let not_taken = depth.unsettled.max(held).saturating_sub(expected.held);
    let there = depth.ready + delayed + not_taken;
    (expected.ready + expected.delayed).saturating_sub(there)
}

fn total(expected: OnQueue) -> u64 {
    expected.ready + expected.held + expected.delayed
}

/// Whether the broker has lost all its data. Then everything that was on it is published again without an operator's
/// `resume`, because no operator removed it.
async fn find_lost_broker(shared: &WorkerState) -> Result<bool, EnqueueError> {
    let parts = &shared.parts;
    if parts.queue.is_bound().await? {
        return Ok(false);
    }
    // Another consumer first marks what was lost and then binds the queue. If it dies before that, or the disk is lost
    // once more, this consumer does it later.
    let lost_at = parts.ledger.broker_lost_at().await?;
    if lost_at.is_some_and(|at| is_recent(shared, at, MARKED_WITHIN)) {
        return Ok(true);
    }
    let binding = bind_queue(&parts.ledger, &*parts.queue, parts.clock.now());
    let again = binding.await?;
    if let Some(again) = again {
        shared.count_published_again(again);
    }
    Ok(again.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_lease_is_not_missing_whatever_its_holder_has_shown_last() {
        // (expected: ready, held, delayed), (ready, held, delayed), missing
        let table = [
            ((10, 5, 2), (10, 5, 2), 0),
            ((10, 5, 2), (0, 5, 2), 10),
            ((10, 5, 2), (0, 5, 0), 12),
            // Consumers hold deliveries that they have not taken yet.
            ((10, 5, 2), (4, 11, 2), 0),
            // They received them after their last record.
            ((0, 5, 0), (0, 2, 0), 0),
            // They have settled many since their last record.
            ((10, 5, 0), (0, 50, 0), 0),
        ];
        for ((ready, held, delayed), queue, lost) in table {
            let expected = OnQueue {
                ready,
                held,
                delayed,
            };
            let depth = Depth {
                ready: queue.0,
                unsettled: 0,
            };
            assert_eq!(
                missing(expected, depth, queue.1, queue.2),
                lost,
                "{queue:?}"
            );
        }
    }
}
