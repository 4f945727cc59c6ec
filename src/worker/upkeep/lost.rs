//! What is done about messages that a campaign's queue has lost.
//!
//! In: how many messages are missing. Out: the messages published again, or the campaign paused. Always: nothing
//! is published again while the queue has messages of that campaign, so that none that is there gets a copy;
//! people purge queues to stop a campaign, so that many messages at once need an operator's `resume`.

use std::time::Duration;

use jiff::Timestamp;

use crate::intake::EnqueueError;
use crate::ledger::{
    Actor, CampaignRecord, CampaignState, LedgerError, MARKED_AT_ONCE, PUBLISH_AGAIN, PublishAgain,
    StateChange, Transition,
};
use crate::message::{CampaignId, Failure, FailureClass, PauseCause};

use crate::worker::WorkerState;

/// A message is published again at most once in this time, unless an operator has asked for it since.
const AGAIN_AFTER: Duration = Duration::from_secs(600);

/// For how long after a broker lost its disk, or a database its last transactions, missing messages are published again
/// without a pause.
const KNOWN_LOSS_FOR: Duration = Duration::from_secs(3_600);

/// A queue counts as emptied from so many messages on, where they are fewer than a fifth of the campaign's.
const EMPTIED_MIN: u64 = 10;

/// How many looks in a row must find messages missing: with [`super::QUEUE_LOOK`], a minute.
const LOOKS: usize = 4;

/// What the last looks found of one campaign.
#[derive(Clone, Debug, Default)]
pub(in crate::worker) struct LossHistory {
    /// How many messages were missing at each of the last looks, the latest last.
    missing: Vec<u64>,
    /// Whether there was no queue at the last look.
    is_deleted: bool,
    /// How many were said to be missing.
    told: u64,
    /// When messages were last published again, as it was at the looks.
    published_again_at: Option<Timestamp>,
    /// How many an operator's `resume` publishes again: those that were missing while the campaign was paused for it
    /// and no consumer held any, or else when the `resume` was first met.
    agreed: Option<u64>,
}

impl LossHistory {
    pub(in crate::worker) fn note(&mut self, missing: u64) {
        if self.missing.len() == LOOKS {
            self.missing.remove(0);
        }
        self.missing.push(missing);
    }

    /// What was missing all the while, once there were enough looks.
    pub(in crate::worker) fn lasting(&self) -> Option<u64> {
        let missing = self.missing.iter().copied().min();
        missing.filter(|_| self.missing.len() == LOOKS)
    }

    /// Forgets the looks made before the last publication: they do not show what is missing after it.
    pub(in crate::worker) fn follow(&mut self, record: &CampaignRecord) {
        if self.published_again_at != record.published_again_at {
            *self = Self {
                published_again_at: record.published_again_at,
                ..Self::default()
            };
        }
    }

    /// Forgets the looks made before the queue was deleted: they do not show what went with it.
    pub(in crate::worker) fn follow_queue(&mut self, is_deleted: bool) {
        if is_deleted && !self.is_deleted {
            self.missing.clear();
        }
        self.is_deleted = is_deleted;
    }

    /// Takes note of a look while the campaign is paused because its queue was emptied. The looks before the pause do
    /// not show what is missing after it. Where no consumer holds a message, the count is exact.
    pub(in crate::worker) fn pause(&mut self, missing: u64, held: u64) {
        self.missing.clear();
        if held == 0 {
            self.agreed = Some(missing);
        }
    }

    /// Takes note that nothing is missing.
    pub(in crate::worker) fn clear(&mut self) {
        self.told = 0;
        self.agreed = None;
    }
}

/// Messages of a campaign that its queue does not have any more.
#[derive(Clone, Copy)]
pub(in crate::worker) struct Lost {
    pub(in crate::worker) messages: u64,
    /// How many the ledger expects on the queue, with its consumers, or in a delay.
    pub(in crate::worker) expected: u64,
    /// Whether the queue has nothing ready: what waits in the ledger is missing, or with a consumer.
    pub(in crate::worker) is_drained: bool,
    pub(in crate::worker) is_deleted: bool,
}

impl Lost {
    /// Whether so many messages vanished that only an operator's `resume` publishes them again. `agreed`: how many
    /// of them a `resume` covers. `is_rest`: others were published again a short time ago, and the rest of the same
    /// loss is found a few messages at a time.
    fn is_emptied(&self, accepted: u64, agreed: u64, is_rest: bool) -> bool {
        let news = self.messages.saturating_sub(agreed);
        let most_of_it = news * 5 > accepted;
        let all_of_it = self.is_drained && news == self.expected && news >= EMPTIED_MIN;
        let is_deleted = self.is_deleted && news > 0;
        is_deleted || most_of_it || (all_of_it && !is_rest)
    }
}

/// Does what is to be done about lost messages; whether the looks that found them are spent.
pub(in crate::worker) async fn act(
    shared: &WorkerState,
    id: &CampaignId,
    lost: &Lost,
    found: &mut LossHistory,
) -> Result<bool, EnqueueError> {
    let parts = &shared.parts;
    // Read after the counts: another consumer may have published again or paused meanwhile.
    let Some(record) = parts.ledger.campaign(id).await? else {
        return Ok(true);
    };
    if record.published_again_at != found.published_again_at || !record.state.is_consumed() {
        return Ok(true);
    }
    let is_news = found.told != lost.messages;
    found.told = lost.messages;
    let resumed_at = resumed_at(&record);
    let agreed = match resumed_at {
        Some(_) => *found.agreed.get_or_insert(lost.messages),
        None => 0,
    };
    if record.state == CampaignState::Running && !is_loss_known(shared).await? {
        let accepted = parts.ledger.books(Some(id)).await?.accepted;
        let again_at = record.published_again_at;
        let is_rest = again_at.is_some_and(|at| is_recent(shared, at, AGAIN_AFTER));
        if lost.is_emptied(accepted, agreed, is_rest) {
            pause(shared, id, lost).await?;
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
    let messages = lost.messages.max(agreed);
    let again = publish_again(shared, &record, messages).await?;
    tracing::debug!(campaign.id = %id, missing = lost.messages, again, "messages are missing from the queue");
    if again > 0 {
        shared.count_published_again(again);
        tracing::warn!(
            campaign.id = %id, messages = again,
            "the queue has lost messages: they are published again"
        );
    }
    Ok(true)
}

/// Marks so many messages to be published again; how many that was.
async fn publish_again(
    shared: &WorkerState,
    record: &CampaignRecord,
    messages: u64,
) -> Result<u64, LedgerError> {
    let parts = &shared.parts;
    let now = parts.clock.now();
    let all = usize::try_from(messages).unwrap_or(usize::MAX);
    let mut again = PublishAgain {
        after: record.published_again_at,
        not_since: not_since(resumed_at(record), now),
        now,
        limit: 0,
    };
    let mut marked = 0;
    while marked < all {
        again.limit = MARKED_AT_ONCE.min(all - marked);
        let batch = parts.ledger.queue_again(&record.id, &again).await?;
        let batch = usize::try_from(batch).unwrap_or(usize::MAX);
        marked = marked.saturating_add(batch);
        if batch < again.limit {
            break;
        }
    }
    Ok(marked as u64)
}

/// A message that was published again after this time is not published once more. A `resume` ends that wait.
fn not_since(resumed_at: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let not_since = now.checked_sub(AGAIN_AFTER).unwrap_or(now);
    resumed_at.map_or(not_since, |at| not_since.max(at.min(now)))
}

/// When an operator resumed a campaign whose queue was emptied, until the publication that this `resume` asks for.
fn resumed_at(record: &CampaignRecord) -> Option<Timestamp> {
    let is_open = record.reason.as_deref() == Some(PUBLISH_AGAIN);
    is_open.then_some(record.state_since)
}

/// Whether the broker lost its disk, or the ledger's store its last transactions, a short time ago: messages missing
/// since then need no operator's `resume`.
async fn is_loss_known(shared: &WorkerState) -> Result<bool, LedgerError> {
    let ledger = &shared.parts.ledger;
    let lost_at = [ledger.broker_lost_at().await?, ledger.lost_at().await?];
    let mut lost_at = lost_at.into_iter().flatten();
    Ok(lost_at.any(|at| is_recent(shared, at, KNOWN_LOSS_FOR)))
}

/// Whether `at` is less than this time ago.
pub(in crate::worker) fn is_recent(shared: &WorkerState, at: Timestamp, within: Duration) -> bool {
    let age = shared.parts.clock.now().duration_since(at);
    let age: Duration = age.try_into().unwrap_or_default();
    age < within
}

async fn pause(shared: &WorkerState, id: &CampaignId, lost: &Lost) -> Result<(), LedgerError> {
    let parts = &shared.parts;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn lost(messages: u64, expected: u64) -> Lost {
        Lost {
            messages,
            expected,
            is_drained: true,
            is_deleted: false,
        }
    }

    #[test]
    fn many_at_once_need_an_operators_resume() {
        // (missing, expected on the queue, accepted, agreed, emptied)
        let table = [
            (150, 150, 200, 0, true),
            (5, 5, 5, 0, true),
            // The end of a long campaign: nothing is left of what waited.
            (500, 500, 100_000, 0, true),
            // A message or two got lost on the way.
            (2, 2, 100_000, 0, false),
            (50, 2_000, 100_000, 0, false),
            (41, 2_000, 200, 0, true),
            // What a `resume` covers, and what vanished since.
            (150, 150, 200, 150, false),
            (150, 150, 200, 100, true),
            (60_000, 110_000, 110_000, 60_000, false),
            (110_000, 110_000, 110_000, 60_000, true),
        ];
        for (missing, expected, accepted, agreed, is_emptied) in table {
            let lost = lost(missing, expected);
            assert_eq!(
                lost.is_emptied(accepted, agreed, false),
                is_emptied,
                "{missing} of {expected}, {agreed} agreed"
            );
        }
        let deleted = Lost {
            is_deleted: true,
            ..lost(1, 10)
        };
        assert!(deleted.is_emptied(100_000, 0, false));
        assert!(
            !deleted.is_emptied(100_000, 1, false),
            "the resume was about it"
        );
        assert!(!lost(20, 20).is_emptied(600, 0, true), "the rest of a loss");
        assert!(lost(200, 200).is_emptied(600, 0, true), "another loss");
    }

    #[test]
    fn a_resume_ends_the_wait_between_two_publications() {
        assert_eq!(not_since(None, at(1_000)), at(400));
        assert_eq!(not_since(Some(at(900)), at(1_000)), at(900));
        assert_eq!(not_since(Some(at(100)), at(1_000)), at(400));
        // The clock of the operator's machine is ahead.
        assert_eq!(not_since(Some(at(1_100)), at(1_000)), at(1_000));
    }

    #[test]
    fn only_what_is_missing_all_the_while_counts() {
        let mut found = LossHistory::default();
        for missing in [9, 7, 8] {
            found.note(missing);
            assert_eq!(found.lasting(), None, "too early to say");
        }
        found.note(12);
        assert_eq!(found.lasting(), Some(7));
        found.note(0);
        assert_eq!(found.lasting(), Some(0));
    }

    #[test]
    fn looks_before_the_queue_was_deleted_do_not_count() {
        let mut found = LossHistory::default();
        for missing in [2, 2, 2] {
            found.follow_queue(false);
            found.note(missing);
        }
        for missing in [90, 91, 92] {
            found.follow_queue(true);
            found.note(missing);
            assert_eq!(found.lasting(), None, "too early to say");
        }
        found.follow_queue(true);
        found.note(93);
        assert_eq!(found.lasting(), Some(90));
    }
}
