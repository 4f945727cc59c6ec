//! Counts the messages that this process has begun for each agent, while a reading may not show them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Clock;

/// The messages in flight for each Worker, and those whose task was made recently, with the time. They are counted over
/// all task channels, because one channel may have two names.
#[derive(Debug, Default)]
struct BegunMessages {
    by_agent: BTreeMap<String, BTreeMap<u64, Option<Instant>>>,
    next: u64,
}

/// The capacity of each agent that this process's messages occupy.
#[derive(Clone, Debug)]
pub(super) struct AgentCapacity {
    begun: Arc<Mutex<BegunMessages>>,
    clock: Clock,
}

impl AgentCapacity {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            begun: Arc::default(),
            clock,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BegunMessages> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many messages of this process a reading at `read_at` may not show: all in flight, and those whose task was
    /// made later than `shows_after` before it.
    pub(super) fn unread(&self, whose: &str, read_at: Instant, shows_after: Duration) -> u32 {
        let mut begun = self.lock();
        let Some(ours) = begun.by_agent.get_mut(whose) else {
            return 0;
        };
        ours.retain(|_, made| made.is_none_or(|made| made + shows_after >= read_at));
        let count = ours.len();
        if ours.is_empty() {
            begun.by_agent.remove(whose);
        }
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Takes a slot if fewer than `max` are occupied.
    pub(super) fn take(&self, whose: &str, max: u32) -> Option<AgentSlot> {
        let mut begun = self.lock();
        let number = begun.next;
        let ours = begun.by_agent.entry(whose.to_owned()).or_default();
        if ours.len() >= usize::try_from(max).unwrap_or(usize::MAX) {
            return None;
        }
        ours.insert(number, None);
        begun.next += 1;
        Some(AgentSlot {
            of: self.clone(),
            whose: whose.to_owned(),
            number,
        })
    }
}

/// One message's slot with its agent. It is occupied until the message's saga ends, and then while its task may not
/// show in a reading.
#[derive(Debug)]
pub struct AgentSlot {
    of: AgentCapacity,
    whose: String,
    number: u64,
}

impl AgentSlot {
    /// Frees the slot at once, because the message made no task.
    pub fn give_back(self) {
        let mut begun = self.of.lock();
        if let Some(ours) = begun.by_agent.get_mut(self.whose.as_str()) {
            ours.remove(&self.number);
        }
    }
}

impl Drop for AgentSlot {
    fn drop(&mut self) {
        let now = self.of.clock.instant();
        let mut begun = self.of.lock();
        let ours = begun.by_agent.get_mut(self.whose.as_str());
        if let Some(made) = ours.and_then(|ours| ours.get_mut(&self.number)) {
            *made = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_place_counts_until_a_reading_is_sure_to_show_it() {
        let second = Duration::from_secs(1);
        let capacity = AgentCapacity::new(Clock::system());
        let alice = "WK1";
        let start = Instant::now();
        let first = capacity.take(alice, 2).expect("two are free");
        let second_one = capacity.take(alice, 2).expect("one is free");
        assert!(capacity.take(alice, 2).is_none());
        second_one.give_back();
        assert_eq!(capacity.unread(alice, start, 5 * second), 1);
        tokio::time::sleep(second).await;
        drop(first);
        let read_at = |secs| start + Duration::from_secs(secs);
        assert_eq!(capacity.unread(alice, read_at(6), 5 * second), 1);
        assert_eq!(capacity.unread(alice, read_at(7), 5 * second), 0);
    }
}
