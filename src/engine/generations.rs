//! What is sure of the past generations of messages: it need not be read again.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::ledger::MessageKey;

/// Of how many messages the past generations are remembered.
const REMEMBERED_MAX: usize = 10_000;

/// What this process has read of generations, where that cannot change any more: those are not read again. A customer who
/// is busy for a day costs a generation at each try, and each try would read all of them.
#[derive(Debug, Default)]
pub(super) struct PastGenerations(Mutex<HashMap<MessageKey, BTreeMap<u32, Final>>>);

/// What a generation is for good.
#[derive(Clone, Copy, Debug)]
pub(super) enum Final {
    /// Its container is closed with nothing in it that reached the customer or an agent, and nothing reaches anybody in
    /// a closed container.
    Closed,
    /// An earlier generation than the message's own had no container when it was first read. Read so again after
    /// `settle_time`, it has none: whatever was made had to show by then.
    Absent { since: Instant, is_sure: bool },
}

impl PastGenerations {
    /// What is sure of a generation.
    pub(super) fn of(&self, key: &MessageKey, generation: u32) -> Option<Final> {
        let known = self.known();
        let known = known.get(key)?.get(&generation).copied();
        known.filter(|known| matches!(known, Final::Closed | Final::Absent { is_sure: true, .. }))
    }

    pub(super) fn note_closed(&self, key: &MessageKey, generation: u32) {
        self.change(key, |of| {
            of.insert(generation, Final::Closed);
        });
    }

    pub(super) fn note_absent(&self, key: &MessageKey, generation: u32, settle_time: Duration) {
        let now = Instant::now();
        self.change(key, |of| {
            let first = Final::Absent {
                since: now,
                is_sure: false,
            };
            if let Final::Absent { since, is_sure } = of.entry(generation).or_insert(first) {
                *is_sure |= now.saturating_duration_since(*since) >= settle_time;
            }
        });
    }

    fn change(&self, key: &MessageKey, change: impl FnOnce(&mut BTreeMap<u32, Final>)) {
        let mut known = self.known();
        if known.len() >= REMEMBERED_MAX && !known.contains_key(key) {
            known.clear();
        }
        change(known.entry(key.clone()).or_default());
    }

    fn known(&self) -> MutexGuard<'_, HashMap<MessageKey, BTreeMap<u32, Final>>> {
        // Each change is whole, whichever turn panicked while it held the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
