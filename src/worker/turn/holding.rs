//! What this consumer holds: unsettled deliveries, and the messages whose turn is under way.
//!
//! Always: the second of two deliveries of one message waits until the first one's turn ends. After a lost connection
//! the queue delivers a message again although its first turn continues.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;

use crate::ledger::MessageKey;
use crate::message::CampaignId;

/// How many deliveries of each campaign this consumer holds.
#[derive(Clone, Debug, Default)]
pub(in crate::worker) struct Holding(Arc<Mutex<BTreeMap<CampaignId, u64>>>);

impl Holding {
    /// Counts one more delivery, until the returned value is dropped.
    pub(in crate::worker) fn one(&self, campaign: &CampaignId) -> HeldDelivery {
        self.change(campaign, |held| held + 1);
        HeldDelivery {
            of: self.clone(),
            campaign: campaign.clone(),
        }
    }

    pub(in crate::worker) fn now(&self) -> BTreeMap<CampaignId, u64> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.clone()
    }

    fn change(&self, campaign: &CampaignId, change: impl Fn(u64) -> u64) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(campaign.clone()).or_default();
        *count = change(*count);
        if *count == 0 {
            held.remove(campaign);
        }
    }
}

/// A delivery that this consumer holds.
pub(in crate::worker) struct HeldDelivery {
    of: Holding,
    campaign: CampaignId,
}

impl Drop for HeldDelivery {
    fn drop(&mut self) {
        self.of
            .change(&self.campaign, |held| held.saturating_sub(1));
    }
}

/// The messages whose turn is under way in this process, each with its lock.
#[derive(Debug, Default)]
pub(in crate::worker) struct MessagesInTurn(
    Mutex<HashMap<MessageKey, Arc<tokio::sync::Mutex<()>>>>,
);

impl MessagesInTurn {
    /// Waits until no other delivery of this message has its turn here. The turn lasts until the returned value is
    /// dropped.
    pub(in crate::worker) async fn begin(&self, key: &MessageKey) -> MessageInTurn<'_> {
        let mut turn = MessageInTurn {
            of: self,
            key: key.clone(),
            lock: None,
        };
        let lock = Arc::clone(self.locks().entry(key.clone()).or_default());
        turn.lock = Some(lock.lock_owned().await);
        turn
    }

    fn locks(&self) -> MutexGuard<'_, HashMap<MessageKey, Arc<tokio::sync::Mutex<()>>>> {
        // Each change is atomic: a panic leaves no half-made one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The turn of one message, or a delivery that waits for it. See [`MessagesInTurn::begin`].
pub(in crate::worker) struct MessageInTurn<'a> {
    of: &'a MessagesInTurn,
    key: MessageKey,
    lock: Option<OwnedMutexGuard<()>>,
}

impl Drop for MessageInTurn<'_> {
    fn drop(&mut self) {
        self.lock = None;
        let mut locks = self.of.locks();
        // Every delivery that waits for the lock has a reference to it.
        if locks
            .get(&self.key)
            .is_some_and(|lock| Arc::strong_count(lock) == 1)
        {
            locks.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::MessageId;

    #[test]
    fn what_is_held_is_counted_until_it_is_dropped() {
        let id = CampaignId::parse("spring").expect("an id");
        let holding = Holding::default();
        let (first, second) = (holding.one(&id), holding.one(&id));
        drop(first);
        assert_eq!(holding.now().get(&id), Some(&1));
        drop(second);
        assert!(holding.now().is_empty());
    }

    #[tokio::test]
    async fn of_two_deliveries_the_second_waits_for_the_end_of_the_first_ones_turn() {
        let key = |id: &str| MessageKey {
            campaign: CampaignId::parse("spring").expect("an id"),
            id: MessageId::parse(id).expect("an id"),
        };
        let (one, other) = (key("one"), key("other"));
        let messages = MessagesInTurn::default();
        let first = messages.begin(&one).await;
        let _unrelated = messages.begin(&other).await;
        let mut second = Box::pin(messages.begin(&one));
        assert!(futures::poll!(&mut second).is_pending());
        // A delivery that stops waiting does not block the others.
        let mut third = Box::pin(messages.begin(&one));
        assert!(futures::poll!(&mut third).is_pending());
        drop(third);
        drop(first);
        drop(second.await);
        assert_eq!(messages.locks().len(), 1);
    }
}
