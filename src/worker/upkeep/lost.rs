//! Handles messages that a campaign's queue has lost.
//!
//! In: how many messages are missing. Out: the messages published again, or the campaign paused. Always: nothing is
//! published again while the queue has messages of that campaign, so that no message there is duplicated; because
//! operators purge queues to stop a campaign, large losses need an operator's `resume`.

use std::time::Duration;

use jiff::Timestamp;

use crate::intake::EnqueueError;
use crate::ledger::{
    Actor, CampaignRecord, CampaignState, LedgerError, MARKED_AT_ONCE, PUBLISH_AGAIN, PublishAgain,
    StateChange, Transition,
};
use crate::message::{CampaignId, Failure, FailureClass, PauseCause};

use crate::worker::WorkerState;

/// The least time between two publications of a message, unless an operator has run `resume` since.
const AGAIN_AFTER: Duration = Duration::from_secs(600);

/// For how long after the broker lost its disk, or the database its last transactions, missing messages are published
/// again without a pause.
const KNOWN_LOSS_FOR: Duration = Duration::from_secs(3_600);

/// The least number of messages whose loss counts as an emptied queue where they are less than a fifth of the campaign.
const EMPTIED_MIN: u64 = 10;

/// How many comparisons in a row must find messages missing: with [`super::QUEUE_LOOK`], a minute.
const LOOKS: usize = 4;

/// The results of the last comparisons for one campaign.
#[derive(Clone, Debug, Default)]
pub(in crate::worker) struct LossHistory {
    /// How many messages were missing at each of the last comparisons, oldest first.
    missing: Vec<u64>,
    /// Whether the queue did not exist at the last comparison.
    is_deleted: bool,
    /// The number of missing messages that was logged last.
    told: u64,
    /// When messages were last published again, as of these comparisons.
    published_again_at: Option<Timestamp>,
    /// How many messages an operator's `resume` publishes again: those that were missing while the campaign was paused
    /// and no consumer held a message, or else those that were missing when the `resume` was first seen.
    agreed: Option<u64>,
}

impl LossHistory {
    pub(in crate::worker) fn note(&mut self, missing: u64) {
        if self.missing.len() == LOOKS {
            self.missing.remove(0);
        }
        self.missing.push(missing);
    }

    /// How many messages were missing in every comparison, once there were enough of them.
    pub(in crate::worker) fn lasting(&self) -> Option<u64> {
        let missing = self.missing.iter().copied().min();
        missing.filter(|_| self.missing.len() == LOOKS)
    }

    /// Forgets the comparisons made before the last publication: they do not show what is missing after it.
    pub(in crate::worker) fn follow(&mut self, record: &CampaignRecord) {
        if self.published_again_at != record.published_again_at {
            *self = Self {
                published_again_at: record.published_again_at,
                ..Self::default()
            };
        }
    }

    /// Forgets the comparisons made before the queue was deleted: they do not count what was deleted with it.
    pub(in crate::worker) fn follow_queue(&mut self, is_deleted: bool) {
        if is_deleted && !self.is_deleted {
            self.missing.clear();
        }
        self.is_deleted = is_deleted;
    }

    /// Records a comparison made while the campaign is paused because its queue was emptied. Those before the pause do
    /// not show what is missing after it. If no consumer holds a message, the count is exact.
    pub(in crate::worker) fn pause(&mut self, missing: u64, held: u64) {
        self.missing.clear();
        if held == 0 {
            self.agreed = Some(missing);
        }
    }

    /// Records that nothing is missing.
    pub(in crate::worker) fn clear(&mut self) {
        self.told = 0;
        self.agreed = None;
    }
}

/// Messages of a campaign that its queue has lost.
#[derive(Clone, Copy)]
pub(in crate::worker) struct Lost {
    pub(in crate::worker) messages: u64,
    /// How many messages should be on the queue, with its consumers, or in a delay, according to the ledger.
    pub(in crate::worker) expected: u64,
    /// Whether the queue has no ready message: messages that wait in the ledger are lost, or with a consumer.
    pub(in crate::worker) is_drained: bool,
    pub(in crate::worker) is_deleted: bool,
}

impl Lost {
    /// Whether the loss is so large that only an operator's `resume` publishes the messages again. `agreed`: how many
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

/// Handles lost messages. Returns whether the comparisons that found them are used up.
pub(in crate::worker) async fn act(
    shared: &WorkerState,
    id: &CampaignId,
    lost: &Lost,
    history: &mut LossHistory,
) -> Result<bool, EnqueueError> {
    let parts = &shared.parts;
    // Read after the counts: another consumer may have published again, or paused the campaign, meanwhile.
    let Some(record) = parts.ledger.campaign(id).await? else {
        return Ok(true);
    };
    if record.published_again_at != history.published_again_at || !record.state.is_consumed() {
        return Ok(true);
    }
    let is_news = history.told != lost.messages;
    history.told = lost.messages;
    let resumed_at = resumed_at(&record);
    let agreed = match resumed_at {
        Some(_) => *history.agreed.get_or_insert(lost.messages),
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

/// Marks up to this many messages to be published again. Returns how many it marked.
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

/// The time since when a message must not have been published again, to be published again now. A `resume` ends the
/// wait.
fn not_since(resumed_at: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let not_since = now.checked_sub(AGAIN_AFTER).unwrap_or(now);
    resumed_at.map_or(not_since, |at| not_since.max(at.min(now)))
}

/// When an operator resumed a campaign whose queue was emptied, until the publication that this `resume` asks for.
fn resumed_at(record: &CampaignRecord) -> Option<Timestamp> {
    let is_open = record.reason.as_deref() == Some(PUBLISH_AGAIN);
    is_open.then_some(record.state_since)
}

/// Whether the broker lost its disk, or the ledger's store its last transactions, a short time ago. Messages that are
/// missing since then need no operator's `resume`.
async fn is_loss_known(shared: &WorkerState) -> Result<bool, LedgerError> {
    let ledger = &shared.parts.ledger;
    let lost_at = [ledger.broker_lost_at().await?, ledger.lost_at().await?];
    let mut lost_at = lost_at.into_iter().flatten();
    Ok(lost_at.any(|at| is_recent(shared, at, KNOWN_LOSS_FOR)))
}

/// Whether `at` is less than this long ago.
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
            // The end of a long campaign: no waiting message is left.
            (500, 500, 100_000, 0, true),
            // One or two messages were lost.
            (2, 2, 100_000, 0, false),
            (50, 2_000, 100_000, 0, false),
            (41, 2_000, 200, 0, true),
            // Messages that a `resume` covers, and messages lost since.
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
        let mut history = LossHistory::default();
        for missing in [9, 7, 8] {
            history.note(missing);
            assert_eq!(history.lasting(), None, "too early to say");
        }
        history.note(12);
        assert_eq!(history.lasting(), Some(7));
        history.note(0);
        assert_eq!(history.lasting(), Some(0));
    }

    #[test]
    fn looks_before_the_queue_was_deleted_do_not_count() {
        let mut history = LossHistory::default();
        for missing in [2, 2, 2] {
            history.follow_queue(false);
            history.note(missing);
        }
        for missing in [90, 91, 92] {
            history.follow_queue(true);
            history.note(missing);
            assert_eq!(history.lasting(), None, "too early to say");
        }
        history.follow_queue(true);
        history.note(93);
        assert_eq!(history.lasting(), Some(90));
    }
}
