//! What is sure of the past generations of messages: it need not be read again.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::step::Past;
use crate::ledger::MessageKey;
use crate::message::StepName;

/// Of how many messages the past generations are remembered.
const REMEMBERED_MAX: usize = 10_000;

/// What this process has read of generations, where that cannot change any more: those are not read again. A customer who
/// is busy for a day costs a generation at each try, and each try would read all of them.
#[derive(Debug, Default)]
pub(super) struct PastGenerations(Mutex<HashMap<MessageKey, Generations>>);

/// The generations of one message. Each has a container for every step that makes one: a campaign that is applied again
/// with another API looks for containers of another kind.
type Generations = BTreeMap<(StepName, u32), Final>;

/// What a generation is for good.
#[derive(Clone, Copy, Debug)]
enum Final {
    /// Its container is closed with nothing in it that reached the customer or an agent, and nothing reaches anybody in
    /// a closed container.
    Closed,
    /// An earlier generation than the message's own had no container when it was first read. Read so again after
    /// `settle_time`, it has none: whatever was made had to show by then.
    Absent { since: Instant, is_sure: bool },
}

impl PastGenerations {
    /// What is sure of the container that this step makes in a generation.
    pub(super) fn of(&self, key: &MessageKey, container: (StepName, u32)) -> Option<Past> {
        match self.known().get(key)?.get(&container)? {
            Final::Closed => Some(Past::Empty),
            Final::Absent { is_sure, .. } => is_sure.then_some(Past::Absent),
        }
    }

    pub(super) fn note_closed(&self, key: &MessageKey, container: (StepName, u32)) {
        self.change(key, |of| {
            of.insert(container, Final::Closed);
        });
    }

    pub(super) fn note_absent(
        &self,
        key: &MessageKey,
        container: (StepName, u32),
        settle_time: Duration,
    ) {
        let now = Instant::now();
        self.change(key, |of| {
            let first = Final::Absent {
                since: now,
                is_sure: false,
            };
            if let Final::Absent { since, is_sure } = of.entry(container).or_insert(first) {
                *is_sure |= now.saturating_duration_since(*since) >= settle_time;
            }
        });
    }

    fn change(&self, key: &MessageKey, change: impl FnOnce(&mut Generations)) {
        let mut known = self.known();
        if known.len() >= REMEMBERED_MAX && !known.contains_key(key) {
            known.clear();
        }
        change(known.entry(key.clone()).or_default());
    }

    fn known(&self) -> MutexGuard<'_, HashMap<MessageKey, Generations>> {
        // Each change is whole, whichever turn panicked while it held the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{CampaignId, MessageId};

    fn key() -> MessageKey {
        MessageKey {
            campaign: CampaignId::parse("spring").expect("an id"),
            id: MessageId::parse("one").expect("an id"),
        }
    }

    #[test]
    fn a_container_of_another_kind_is_read_whatever_is_known_of_this_one() {
        let (past, key) = (PastGenerations::default(), key());
        past.note_closed(&key, (StepName::ProxySession, 0));
        assert_eq!(
            past.of(&key, (StepName::ProxySession, 0)),
            Some(Past::Empty)
        );
        assert_eq!(past.of(&key, (StepName::ProxySession, 1)), None);
        assert_eq!(past.of(&key, (StepName::Conversation, 0)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_absent_is_so_for_good_when_it_still_is_after_the_settle_time() {
        let (past, key, settle_time) = (PastGenerations::default(), key(), Duration::from_secs(5));
        let container = (StepName::ProxySession, 0);
        past.note_absent(&key, container, settle_time);
        tokio::time::advance(settle_time - Duration::from_millis(1)).await;
        past.note_absent(&key, container, settle_time);
        assert_eq!(past.of(&key, container), None);
        tokio::time::advance(Duration::from_millis(1)).await;
        past.note_absent(&key, container, settle_time);
        assert_eq!(past.of(&key, container), Some(Past::Absent));
    }
}
