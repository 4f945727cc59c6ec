//! The open messages of some books, by what they wait for.

use serde::Serialize;

use super::Books;

/// How many messages are open, by what they wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OpenMessages {
    /// Ready to be taken.
    pub queued: u64,
    /// Not before a given time, or until their limits grant them.
    pub scheduled: u64,
    /// After a temporary failure.
    pub retrying: u64,
    /// Until an agent or a customer is free.
    pub held: u64,
    /// Being executed, by any consumer.
    pub in_flight: u64,
}

impl From<&Books> for OpenMessages {
    fn from(books: &Books) -> Self {
        Self {
            queued: books.queued,
            scheduled: books.scheduled_total(),
            retrying: books.retrying,
            held: books.held_total(),
            in_flight: books.in_flight,
        }
    }
}

impl OpenMessages {
    /// All open messages.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.not_begun() + self.in_flight
    }

    /// The open messages that are not being executed.
    #[must_use]
    pub fn not_begun(&self) -> u64 {
        self.queued + self.scheduled + self.retrying + self.held
    }
}

impl std::ops::AddAssign for OpenMessages {
    fn add_assign(&mut self, other: Self) {
        self.queued += other.queued;
        self.scheduled += other.scheduled;
        self.retrying += other.retrying;
        self.held += other.held;
        self.in_flight += other.in_flight;
    }
}
