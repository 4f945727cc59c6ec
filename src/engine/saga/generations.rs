//! Remembers final facts about past generations of messages, so that they are not read again.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::engine::step::Past;
use crate::ledger::MessageKey;
use crate::message::StepName;

/// The maximum number of messages remembered.
const REMEMBERED_MAX: usize = 10_000;

/// The generations that this process has read and that cannot change any more. They are not read again: a customer who
/// is busy for a day costs a generation at each attempt, and each attempt would read all of them.
#[derive(Debug, Default)]
pub(in crate::engine) struct PastGenerations(Mutex<HashMap<MessageKey, Generations>>);

/// The generations of one message. A generation has an entry for every kind of container: a campaign that is applied
/// again with another API looks for another kind.
type Generations = BTreeMap<(StepName, u32), Final>;

/// The final state of a generation.
#[derive(Clone, Copy, Debug)]
enum Final {
    /// Its container is closed and contains nothing that reached the customer or an agent. Nothing can reach anybody in
    /// a closed container.
    Closed,
    /// It is earlier than the message's own generation and had no container when it was first read. If a reading after
    /// `settle_time` shows none either, it has none: its container would have shown by then.
    Absent { since: Instant, is_sure: bool },
}

impl PastGenerations {
    /// The final state of this step's container in a generation, if it is known.
    pub(in crate::engine) fn of(
        &self,
        key: &MessageKey,
        container: (StepName, u32),
    ) -> Option<Past> {
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
        // Each change is atomic: a panic leaves no half-made one.
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
