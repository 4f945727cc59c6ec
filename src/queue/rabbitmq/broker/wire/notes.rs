//! Notes on the filter's repairs of deliveries, for the consumers that receive them.
//!
//! In: notes from the filter. Out: each note to the consumer of its delivery. Always: a note exists before its
//! delivery arrives.
//!
//! Notes are kept outside the messages: any publisher could write a header or property that says "altered", but
//! notes never travel. The channel number and the delivery tag identify a delivery on a connection (AMQP 0-9-1,
//! section 1.8.3.13); the broker chooses the tag, and each connection has its own notes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The repairs of one delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// Text in a property or in a header's name was not UTF-8, or headers were nested too deeply.
    pub is_altered: bool,
    /// The routing key was not UTF-8.
    pub is_key_altered: bool,
    /// The original length of a truncated body, in bytes.
    pub body_was: Option<u64>,
}

/// The notes of one connection.
#[derive(Debug, Default)]
pub struct Notes {
    open: Mutex<HashMap<(u16, u64), Note>>,
}

impl Notes {
    /// Removes and returns the note of a delivery; an unchanged delivery has none.
    #[must_use]
    pub fn take(&self, channel: u16, tag: u64) -> Option<Note> {
        self.lock().remove(&(channel, tag))
    }

    pub(super) fn put(&self, channel: u16, tag: u64, note: Note) {
        self.lock().insert((channel, tag), note);
    }

    /// Removes the remaining notes of an earlier channel with this number: the new channel's tags start again.
    pub(super) fn forget(&self, channel: u16) {
        self.lock().retain(|(of, _), _| *of != channel);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(u16, u64), Note>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The numbers of repaired deliveries, over all connections of a queue.
#[derive(Debug, Default)]
pub struct MendedCounters {
    text: AtomicU64,
    key: AtomicU64,
    nesting: AtomicU64,
    body: AtomicU64,
}

impl MendedCounters {
    pub(super) fn count(&self, note: Note, text: bool, nesting: bool) {
        let add = |counter: &AtomicU64, is_so: bool| {
            counter.fetch_add(u64::from(is_so), Ordering::Relaxed);
        };
        add(&self.text, text);
        add(&self.nesting, nesting);
        add(&self.key, note.is_key_altered);
        add(&self.body, note.body_was.is_some());
    }

    /// The counts so far.
    #[must_use]
    pub fn so_far(&self) -> crate::queue::Mended {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        crate::queue::Mended {
            text: read(&self.text),
            key: read(&self.key),
            nesting: read(&self.nesting),
            body: read(&self.body),
        }
    }
}
