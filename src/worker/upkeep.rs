//! What the broker and dead consumers lose is brought back.
//!
//! In: what the ledger says the queue should hold, and what the queue holds. Out: leases of dead consumers
//! ended; messages that the queue has lost published again; a campaign whose queue was emptied paused. Always:
//! missing counts only what is missing in every look of a minute; nothing is published again while the queue
//! has messages of that campaign, so that none that is there gets a copy; people purge queues to stop a
//! campaign, so that much at once is never brought back without an operator's word.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use crate::intake::{EnqueueError, bind_queue};
use crate::ledger::{
    Actor, CampaignRecord, CampaignState, Ledger, LedgerError, OnQueue, PUBLISH_AGAIN, StateChange,
    Steering, Transition, Upkeep,
};
use crate::message::{CampaignId, Failure, FailureClass, PauseCause};
use crate::queue::QueueError;

use super::Shared;

/// How often the queue is looked at unless the configuration says otherwise, and how many looks in a row must find
/// messages missing: a minute.
pub const QUEUE_LOOK: Duration = Duration::from_secs(20);
const LOOKS: usize = 4;

/// How often leases of dead consumers are ended, and how many at once.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
const SWEEP_BATCH: usize = 1_000;

/// How old the broker's statistics may be and still count: a consumer reads them once a minute.
const STATISTICS_FOR: Duration = Duration::from_secs(120);

/// A message is published again at most once in this time.
const AGAIN_AFTER: Duration = Duration::from_secs(600);

/// How many messages of a campaign are marked at one look to be published again.
const AGAIN_BATCH: u64 = 5_000;

/// For how long after a broker lost its disk, or an operator resumed a campaign whose queue was emptied, missing
/// messages are published again without another pause.
const EXPECTED_FOR: Duration = Duration::from_secs(3_600);

/// A queue counts as emptied from so many messages on, where they are fewer than a fifth of the campaign's.
const EMPTIED_MIN: u64 = 10;

/// What the last looks found of one campaign.
#[derive(Clone, Debug, Default)]
struct Found {
    /// How many messages were missing at each of the last looks, the latest last.
    missing: Vec<u64>,
    /// How many were said to be missing.
    told: u64,
}

impl Found {
    fn note(&mut self, missing: u64) {
        if self.missing.len() == LOOKS {
            self.missing.remove(0);
        }
        self.missing.push(missing);
    }

    /// What was missing all the while.
    fn lasting(&self) -> u64 {
        if self.missing.len() < LOOKS {
            return 0;
        }
        self.missing.iter().copied().min().unwrap_or(0)
    }
}

/// Keeps both up for as long as it is polled.
pub(super) async fn keep(shared: &Shared) -> Infallible {
    let (clock, look_every) = (shared.parts.clock, shared.parts.queue_look);
    let mut found = BTreeMap::new();
    let mut looked: Option<Instant> = None;
    loop {
        clock.sleep(SWEEP_EVERY.min(look_every)).await;
        shared.parts.ledger.back().await;
        if let Err(error) = sweep(shared).await {
            tracing::debug!(%error, "leases of dead consumers are not ended yet");
        }
        let now = clock.instant();
        if looked.is_none_or(|at| now >= at + look_every) {
            looked = Some(now);
            if let Err(error) = look(shared, &mut found).await {
                tracing::debug!(%error, "the queue is not compared with the ledger");
            }
        }
    }
}

async fn sweep(shared: &Shared) -> Result<(), LedgerError> {
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
    parts
        .ledger
        .show_holding(&parts.holder, &holding, now)
        .await
}

async fn look(
    shared: &Shared,
    found: &mut BTreeMap<CampaignId, Found>,
) -> Result<(), EnqueueError> {
    let parts = &shared.parts;
    let records = parts.ledger.campaigns().await?;
    if find_lost_broker(shared).await? {
        found.clear();
        return Ok(());
    }
    let delayed = parts.queue.delayed().await?;
    let held = parts.ledger.holding(parts.clock.now()).await?;
    let on_queue = parts.ledger.on_queue(parts.clock.now()).await?;
    let is_worked_on = |record: &&CampaignRecord| {
        matches!(
            record.state,
            CampaignState::Running | CampaignState::Cancelled
        ) && shared.is_ours(&record.id)
    };
    for record in records.iter().filter(is_worked_on) {
        let expected = on_queue.get(&record.id).copied().unwrap_or_default();
        let held = held.get(&record.id).copied().unwrap_or_default();
        let held = held.max(unacknowledged(shared, &record.id));
        let depth = parts.queue.depth(&record.id).await;
        let (ready, is_deleted) = match depth {
            Ok(depth) => (depth.ready + depth.unsettled.max(held), false),
            Err(QueueError::Refused(_)) => (held, true),
            Err(error) => return Err(error.into()),
        };
        let missing = total(expected).saturating_sub(ready + delayed);
        let found = found.entry(record.id.clone()).or_default();
        found.note(missing);
        let lasting = found.lasting();
        if lasting == 0 {
            found.told = 0;
            continue;
        }
        let lost = Lost {
            messages: lasting,
            expected: total(expected),
            is_drained: ready <= held,
            is_deleted,
        };
        if act(shared, record, &lost, found).await? {
            *found = Found::default();
        }
    }
    Ok(())
}

/// What the broker's own statistics say that consumers hold, other programs' among them; 0 where nobody has asked
/// the broker of late.
fn unacknowledged(shared: &Shared, id: &CampaignId) -> u64 {
    let parts = &shared.parts;
    let Some(inspection) = parts.queue.inspection() else {
        return 0;
    };
    let Some(at) = inspection.at else {
        return 0;
    };
    let age = parts.clock.now().duration_since(at);
    let age: Duration = age.try_into().unwrap_or_default();
    let of_campaign = inspection
        .campaigns
        .get(id)
        .filter(|_| age < STATISTICS_FOR);
    of_campaign
        .and_then(|counts| counts.unacknowledged)
        .unwrap_or(0)
}

fn total(expected: OnQueue) -> u64 {
    expected.ready + expected.held + expected.delayed
}

/// Messages of a campaign that its queue does not have any more.
struct Lost {
    messages: u64,
    /// How many the ledger expects on the queue, with its consumers, or in a delay.
    expected: u64,
    /// Whether the queue has nothing ready: what waits in the ledger is missing, or with a consumer.
    is_drained: bool,
    is_deleted: bool,
}

impl Lost {
    /// Whether so much vanished that an operator has to say what is to become of it.
    fn is_emptied(&self, accepted: u64) -> bool {
        let most_of_it = self.messages * 5 > accepted;
        let all_of_it = self.is_drained && self.messages == self.expected;
        self.is_deleted || most_of_it || (all_of_it && self.messages >= EMPTIED_MIN)
    }
}

/// Does what is to be done about lost messages; whether anything was.
async fn act(
    shared: &Shared,
    record: &CampaignRecord,
    lost: &Lost,
    found: &mut Found,
) -> Result<bool, EnqueueError> {
    let parts = &shared.parts;
    let id = &record.id;
    let is_news = found.told != lost.messages;
    found.told = lost.messages;
    if record.state == CampaignState::Running && !is_expected(shared, record).await? {
        let accepted = parts.ledger.books(Some(id)).await?.accepted;
        if lost.is_emptied(accepted) {
            pause(shared, record, lost).await?;
            return Ok(true);
        }
    }
    if !lost.is_drained {
        if is_news {
            tracing::warn!(
                campaign.id = %id, messages = lost.messages,
                "the queue has lost messages: they are published again once it has nothing else ready"
            );
        }
        return Ok(false);
    }
    if lost.is_deleted {
        parts.queue.open(id).await?;
    }
    let now = parts.clock.now();
    let not_since = now.checked_sub(AGAIN_AFTER).unwrap_or(now);
    let limit = usize::try_from(lost.messages.min(AGAIN_BATCH)).unwrap_or(usize::MAX);
    let again = parts.ledger.queue_again(id, not_since, now, limit).await?;
    if again > 0 {
        parts.metrics.published_again(again);
        shared.published_again.fetch_add(again, Ordering::Relaxed);
        tracing::warn!(
            campaign.id = %id, messages = again,
            "the queue has lost messages: they are published again"
        );
    }
    Ok(again > 0)
}

/// Whether missing messages need no other word of an operator: the campaign was resumed after its queue was
/// emptied, or the broker lost its disk.
async fn is_expected(shared: &Shared, record: &CampaignRecord) -> Result<bool, LedgerError> {
    let parts = &shared.parts;
    let now = parts.clock.now();
    let is_recent = |at: jiff::Timestamp| {
        let age: Duration = now.duration_since(at).try_into().unwrap_or_default();
        age < EXPECTED_FOR
    };
    if record.reason.as_deref() == Some(PUBLISH_AGAIN) && is_recent(record.state_since) {
        return Ok(true);
    }
    Ok(parts.ledger.broker_lost_at().await?.is_some_and(is_recent))
}

async fn pause(shared: &Shared, record: &CampaignRecord, lost: &Lost) -> Result<(), LedgerError> {
    let parts = &shared.parts;
    let id = &record.id;
    let what = if lost.is_deleted {
        "queue deleted"
    } else {
        "queue emptied"
    };
    let reason = format!(
        "{what}: `campaign resume` publishes {} again, `campaign cancel` does not",
        lost.messages
    );
    let cause = PauseCause::QueueEmptied;
    let change = StateChange::Pause {
        by: Actor::Program { cause },
        reason: Some(reason.clone()),
    };
    let now = parts.clock.now();
    if let Transition::Made(_) = parts.ledger.change_state(id, &change, now).await? {
        tracing::error!(campaign.id = %id, %cause, reason, "campaign paused");
        let failure = Failure::new(FailureClass::Halt, reason);
        shared.halt(&failure);
    }
    Ok(())
}

/// Whether the broker has come back without anything of ours: then all that was on it is published again by
/// itself, since nobody asked for it to vanish.
async fn find_lost_broker(shared: &Shared) -> Result<bool, EnqueueError> {
    let parts = &shared.parts;
    let binding = bind_queue(&*parts.ledger, &*parts.queue, parts.clock.now());
    let again = binding.await?;
    if let Some(again) = again {
        parts.metrics.published_again(again);
        shared.published_again.fetch_add(again, Ordering::Relaxed);
    }
    Ok(again.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(messages: u64, expected: u64) -> Lost {
        Lost {
            messages,
            expected,
            is_drained: true,
            is_deleted: false,
        }
    }

    #[test]
    fn much_at_once_needs_an_operators_word() {
        // (missing, expected on the queue, accepted, emptied)
        let table = [
            (150, 150, 200, true),
            (5, 5, 5, true),
            // The end of a long campaign: nothing is left of what waited.
            (500, 500, 100_000, true),
            // A message or two got lost on the way.
            (2, 2, 100_000, false),
            (50, 2_000, 100_000, false),
            (41, 2_000, 200, true),
        ];
        for (missing, expected, accepted, is_emptied) in table {
            let lost = lost(missing, expected);
            assert_eq!(
                lost.is_emptied(accepted),
                is_emptied,
                "{missing} of {expected}"
            );
        }
        let deleted = Lost {
            is_deleted: true,
            ..lost(1, 10)
        };
        assert!(deleted.is_emptied(100_000));
    }

    #[test]
    fn only_what_is_missing_all_the_while_counts() {
        let mut found = Found::default();
        for missing in [9, 7, 8] {
            found.note(missing);
            assert_eq!(found.lasting(), 0, "too early to say");
        }
        found.note(12);
        assert_eq!(found.lasting(), 7);
        found.note(0);
        assert_eq!(found.lasting(), 0);
    }
}
