//! Messages that cannot be processed: the store refuses to write them although it works otherwise, or their records
//! contradict each other.
//!
//! In: refusals for which a probe of the store blames the message. Out: three more tries after ever longer pauses; then
//! the message is set aside as dead, with as much of it as the store accepts. Always: its delivery is settled only once
//! the message is recorded: as a dead message, or as a stray where its own row cannot be written.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::ledger::{Ending, LedgerError, MessageKey, SetAside, Stray};
use crate::message::{DeadReason, Effects, Failure, FailureClass, Message, Saga};
use crate::metrics::MessageEvent;
use crate::outcomes::SettleError;
use crate::queue::{DeadLetter, Delivery};

use crate::worker::WorkerState;

/// The pauses before the next tries of a message that the store refused.
const PAUSES: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(15),
];

/// How many refusals with different error codes count as the message's fault too. Bad content is refused with the same
/// code each time; a store that fails now and then refuses the same message with different codes.
const MIXED_MAX: usize = 10;

/// How soon a refused message returns: the longest pause, and some time for the queue.
const COMES_AGAIN_WITHIN: Duration = Duration::from_secs(60);

/// Refusals further apart than this are unrelated.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// The maximum number of messages remembered: far more than a store refuses while its probe passes.
const REMEMBERED_MAX: usize = 10_000;

/// The delay of a delivery whose message another consumer processes.
const HELD_AGAIN: Duration = Duration::from_secs(5);

/// The refused messages, how often each was refused, and why.
#[derive(Debug, Default)]
pub(in crate::worker) struct StoreRefusals(Mutex<HashMap<MessageKey, StoreRefusal>>);

/// How often the store refused a message's writes, and its last error.
#[derive(Clone, Debug)]
pub(in crate::worker) struct StoreRefusal {
    times: usize,
    /// The last error code (SQLSTATE, or SQLite's name), and how many refusals in a row had it.
    code: String,
    in_a_row: usize,
    /// How many refusals came after the message was spent: those of setting it aside.
    unset: usize,
    why: String,
    last: Instant,
}

impl StoreRefusal {
    /// Whether the message has used up its tries.
    fn is_spent(&self) -> bool {
        self.in_a_row > PAUSES.len() || self.times >= MIXED_MAX
    }
}

impl StoreRefusals {
    /// The pause before the next try of a message that was refused just now.
    pub(in crate::worker) fn pause(&self, key: &MessageKey) -> Duration {
        let times = self.lock().get(key).map_or(0, |refusal| refusal.times);
        PAUSES[times.min(PAUSES.len() - 1)]
    }

    /// Records a refusal. Ignores other errors.
    pub(in crate::worker) fn note(&self, key: &MessageKey, error: &LedgerError, now: Instant) {
        let LedgerError::Refused { code, .. } = error else {
            return;
        };
        let mut known = self.lock();
        if known.len() >= REMEMBERED_MAX {
            known.clear();
        }
        let refusal = known.entry(key.clone()).or_insert_with(|| StoreRefusal {
            times: 0,
            code: code.clone(),
            in_a_row: 0,
            unset: 0,
            why: String::new(),
            last: now,
        });
        if now > refusal.last + FORGOTTEN_AFTER {
            (refusal.times, refusal.in_a_row, refusal.unset) = (0, 0, 0);
        }
        // A spent message is only set aside: the refused write was that one.
        refusal.unset += usize::from(refusal.is_spent());
        if refusal.code != *code {
            refusal.in_a_row = 0;
            refusal.code.clone_from(code);
        }
        refusal.in_a_row += 1;
        refusal.times += 1;
        refusal.why = error.to_string();
        refusal.last = now;
        tracing::warn!(
            message.id = %key.id.in_log(), campaign.id = %key.campaign, %error, times = refusal.times,
            "the database refuses this message although it works otherwise"
        );
    }

    /// The refusals of a message that has used up its tries.
    pub(in crate::worker) fn spent(&self, key: &MessageKey) -> Option<StoreRefusal> {
        let known = self.lock();
        let refusal = known.get(key)?;
        refusal.is_spent().then(|| refusal.clone())
    }

    /// Resets the count after a settled turn: until then the store failed now and then, which is not the message's
    /// fault. Refusals with the same code still count.
    pub(in crate::worker) fn settled(&self, key: &MessageKey) {
        if let Some(refusal) = self.lock().get_mut(key) {
            refusal.times = 0;
        }
    }

    /// Forgets a message that is over.
    pub(in crate::worker) fn forget(&self, key: &MessageKey) {
        let mut known = self.lock();
        // Called for every message; the map is almost always empty.
        if !known.is_empty() {
            known.remove(key);
        }
    }

    /// Whether a message that was refused here is still to be tried, although the queue may hold it in a delay. One
    /// that was refused long ago has gone to another consumer.
    pub(in crate::worker) fn are_open(&self, now: Instant) -> bool {
        let known = self.lock();
        known
            .values()
            .any(|one| now < one.last + COMES_AGAIN_WITHIN)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<MessageKey, StoreRefusal>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sets a message aside as dead, and settles its delivery.
pub(in crate::worker) async fn set_aside(
    shared: &WorkerState,
    delivery: Box<dyn Delivery>,
    message: &Message,
    refusal: &StoreRefusal,
) -> Result<(), SettleError> {
    let parts = &shared.parts;
    let key = MessageKey::of(message);
    let effects = standing(shared, &key).await;
    let detail = detail(refusal, &effects);
    let reason = DeadReason::StoreRefused;
    let failure = Failure::new(FailureClass::Permanent(reason), detail.clone());
    let ending = Ending::Dead {
        reason,
        failure: Box::new(failure),
    };
    let now = parts.clock.now();
    let accepted = match parts
        .ledger
        .set_aside(message, &ending, &effects, now)
        .await
    {
        Ok(SetAside::Ended { accepted }) => accepted,
        Ok(SetAside::Needless) => {
            shared.store_refusals.forget(&key);
            delivery.ack().await?;
            return Ok(());
        }
        Ok(SetAside::Held) => {
            delivery.retry_later(HELD_AGAIN).await?;
            return Ok(());
        }
        // A single refusal is not enough: another try may write it.
        Err(LedgerError::Refused { .. }) if refusal.unset >= PAUSES.len() => {
            let is_known = is_known(shared, &key, &detail).await?;
            let stray = Stray {
                campaign: key.campaign.clone(),
                reason,
                detail: format!("message {}: {detail}", key.id),
                body: String::new(),
            };
            parts.ledger.record_stray(&stray, now).await?;
            is_known
        }
        Err(error) => return Err(error.into()),
    };
    tracing::error!(
        message.id = %key.id.in_log(), campaign.id = %key.campaign, detail,
        "dead-lettered: the database refuses this message again and again"
    );
    parts.metrics.dead_letter(reason);
    shared.tally.count(MessageEvent::Dead(reason));
    let letter = DeadLetter {
        reason,
        step: None,
        code: None,
        attempt: 0,
        detail,
    };
    if accepted {
        delivery.dead_letter(letter).await?;
    } else {
        // Nothing was done for it: the publisher may correct it and send it again.
        delivery.refuse(letter, Some(key.id.to_string())).await?;
    }
    shared.store_refusals.forget(&key);
    Ok(())
}

/// Whether the ledger has this message, although it refuses to end it. Such a message stays open; `status` names it if
/// that can be recorded.
async fn is_known(
    shared: &WorkerState,
    key: &MessageKey,
    detail: &str,
) -> Result<bool, LedgerError> {
    let parts = &shared.parts;
    match parts.ledger.find(key).await {
        Ok(None) => return Ok(false),
        // The publisher must not be told that nothing was done for it.
        Ok(Some(_)) | Err(LedgerError::Refused { .. }) => {}
        Err(error) => return Err(error),
    }
    let now = parts.clock.now();
    match parts.ledger.record_damaged(key, detail, now).await {
        Err(error @ LedgerError::Refused { .. }) => {
            tracing::error!(
                message.id = %key.id.in_log(), campaign.id = %key.campaign, %error,
                "the database accepts nothing of this message: it stays open in the books"
            );
        }
        recorded => recorded?,
    }
    Ok(true)
}

/// Records that a message's records contradict each other, and dead-letters its delivery: only an operator can decide
/// what to do with it.
pub(in crate::worker) async fn damaged(
    shared: &WorkerState,
    delivery: Box<dyn Delivery>,
    key: &MessageKey,
    detail: String,
) -> Result<(), SettleError> {
    let parts = &shared.parts;
    tracing::error!(
        message.id = %key.id.in_log(), campaign.id = %key.campaign, detail,
        "dead-lettered: the ledger's records of it contradict each other"
    );
    let now = parts.clock.now();
    parts.ledger.record_damaged(key, &detail, now).await?;
    parts.metrics.dead_letter(DeadReason::Damaged);
    shared.tally.count(MessageEvent::Dead(DeadReason::Damaged));
    let letter = DeadLetter {
        reason: DeadReason::Damaged,
        step: None,
        code: None,
        attempt: 0,
        detail,
    };
    delivery.dead_letter(letter).await?;
    Ok(())
}

/// The message's effects at Twilio, as far as the ledger knows them.
async fn standing(shared: &WorkerState, key: &MessageKey) -> Effects {
    let found = shared.parts.ledger.find(key).await.ok().flatten();
    let journal = found.map(|record| record.journal).unwrap_or_default();
    let events: Vec<_> = journal.into_iter().map(|(_, event)| event).collect();
    Saga::replay(&events).map_or_else(|_| Effects::default(), |saga| saga.effects)
}

fn detail(refusal: &StoreRefusal, effects: &Effects) -> String {
    let StoreRefusal { times, why, .. } = refusal;
    let left = if *effects == Effects::default() {
        ""
    } else {
        "; what it has made at Twilio stands: see its journal"
    };
    format!("refused {times} times, while the database works otherwise: {why}{left}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{CampaignId, MessageId};

    fn key() -> MessageKey {
        MessageKey {
            campaign: CampaignId::parse("spring").expect("an id"),
            id: MessageId::parse("1").expect("an id"),
        }
    }

    fn refused(code: &str) -> LedgerError {
        LedgerError::Refused {
            code: code.to_owned(),
            text: "index row too large".to_owned(),
        }
    }

    #[test]
    fn a_message_is_tried_again_three_times_ever_later() {
        let (refusals, now) = (StoreRefusals::default(), Instant::now());
        let (key, error) = (key(), refused("54000"));
        for seconds in [1, 5, 15] {
            assert!(refusals.spent(&key).is_none());
            assert_eq!(refusals.pause(&key), Duration::from_secs(seconds));
            refusals.note(&key, &error, now);
        }
        assert!(
            refusals.spent(&key).is_none(),
            "the third try is still to come"
        );
        refusals.note(&key, &error, now);
        let spent = refusals.spent(&key).expect("tried three times again");
        assert!(spent.why.contains("54000"), "{}", spent.why);
        refusals.forget(&key);
        assert!(!refusals.are_open(now));
    }

    #[test]
    fn a_message_that_a_store_refuses_in_one_way_and_another_is_tried_again_more_often() {
        let (refusals, now, key) = (StoreRefusals::default(), Instant::now(), key());
        for n in 0..MIXED_MAX {
            assert!(refusals.spent(&key).is_none(), "after {n}");
            let code = ["22003", "0A000", "XX000"][n % 3];
            refusals.note(&key, &refused(code), now);
        }
        let spent = refusals.spent(&key).expect("it does not come for ever");
        assert_eq!(spent.unset, 0);
        refusals.note(&key, &refused("21000"), now);
        let spent = refusals.spent(&key).expect("it is still to be set aside");
        assert_eq!(spent.unset, 1, "refused once");
    }

    #[test]
    fn a_settled_turn_ends_the_count_of_different_refusals_and_not_that_of_equal_ones() {
        let (refusals, now, key) = (StoreRefusals::default(), Instant::now(), key());
        for n in 0..3 * MIXED_MAX {
            refusals.note(&key, &refused(["22003", "0A000"][n % 2]), now);
            refusals.settled(&key);
            assert!(refusals.spent(&key).is_none(), "after {n}");
        }
        for _ in 0..=PAUSES.len() {
            refusals.note(&key, &refused("22P05"), now);
            refusals.settled(&key);
        }
        assert!(
            refusals.spent(&key).is_some(),
            "its end is refused each time"
        );
    }
}
