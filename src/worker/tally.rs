//! Counts the messages that end in this process, for its minutes in the log.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::metrics::MessageEvent;

/// How many messages have ended in this process, by their outcome.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    done: AtomicU64,
    skipped: AtomicU64,
    dead: AtomicU64,
    unknown: AtomicU64,
}

/// The numbers of a [`Tally`] at one moment, or the difference of two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EndedMessages {
    pub(crate) done: u64,
    pub(crate) skipped: u64,
    pub(crate) dead: u64,
    pub(crate) unknown: u64,
}

impl Tally {
    /// Counts a message's event, if it ends the message.
    pub(crate) fn count(&self, event: MessageEvent) {
        let count = match event {
            MessageEvent::Done => &self.done,
            MessageEvent::Skipped(_) => &self.skipped,
            MessageEvent::Dead(_) => &self.dead,
            MessageEvent::Unknown => &self.unknown,
            MessageEvent::Waits(_) | MessageEvent::Duplicate | MessageEvent::Redelivered => return,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// The numbers so far.
    pub(crate) fn so_far(&self) -> EndedMessages {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        EndedMessages {
            done: read(&self.done),
            skipped: read(&self.skipped),
            dead: read(&self.dead),
            unknown: read(&self.unknown),
        }
    }
}

impl EndedMessages {
    /// What was added since an earlier reading.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        Self {
            done: self.done.saturating_sub(earlier.done),
            skipped: self.skipped.saturating_sub(earlier.skipped),
            dead: self.dead.saturating_sub(earlier.dead),
            unknown: self.unknown.saturating_sub(earlier.unknown),
        }
    }

    /// All of them.
    pub(crate) fn total(&self) -> u64 {
        self.done + self.skipped + self.dead + self.unknown
    }
}
