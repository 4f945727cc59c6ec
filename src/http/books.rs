//! The books for a scrape: counted again if that is cheap, otherwise not at every scrape.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::ledger::{Books, Ledger, LedgerError};
use crate::message::{CampaignId, DeadReason};
use crate::metrics::{BookState, BooksCheck, RowResult};

/// Counting takes at most one part in this many of the time. A count reads every record (about 150 ms for a million
/// messages), and flexcast does not control how often it is scraped. A ledger of 100,000 messages is counted at most
/// about once a second.
const SHARE: u32 = 50;

/// The books of all campaigns, from one snapshot.
pub(super) type Counted = Arc<BTreeMap<CampaignId, Books>>;

/// The last count, and the time of the next one.
#[derive(Debug, Default)]
pub(super) struct Counts {
    last: Mutex<Option<(Counted, Instant)>>,
}

impl Counts {
    /// Returns the books. They are at most 50 times as old as a count takes.
    pub(super) async fn books(
        &self,
        ledger: &Ledger,
        clock: Clock,
    ) -> Result<Counted, LedgerError> {
        // The lock is held during a count, so that two scrapes at once count once.
        let mut last = self.last.lock().await;
        let begun = clock.instant();
        if let Some((counted, again)) = &*last
            && begun < *again
        {
            return Ok(Arc::clone(counted));
        }
        let counted = Arc::new(ledger.books_of_each().await?);
        let again = clock.instant() + begun.elapsed() * SHARE;
        *last = Some((Arc::clone(&counted), again));
        Ok(counted)
    }
}

/// The number of messages in a state of the books.
pub(super) fn term(books: &Books, state: BookState) -> u64 {
    match state {
        BookState::Accepted => books.accepted,
        BookState::Queued => books.queued,
        BookState::Scheduled => books.scheduled_total(),
        BookState::Retrying => books.retrying,
        BookState::Held => books.held_total(),
        BookState::InFlight => books.in_flight,
        BookState::Done => books.done,
        BookState::Skipped => books.skipped_total(),
        BookState::Dead => books.dead_total(),
        BookState::Unknown => books.unknown,
    }
}

/// By how much a campaign's books are out of balance.
pub(super) fn off(books: &Books, check: BooksCheck) -> u64 {
    match check {
        BooksCheck::Messages => books.imbalance().unsigned_abs(),
        BooksCheck::Twice => books.twice,
        BooksCheck::Rows => books.rows_off(),
    }
}

/// The number of rows of a campaign's files with this result.
pub(super) fn rows(books: &Books, result: RowResult) -> u64 {
    match result {
        RowResult::Accepted => books.imported,
        RowResult::Rejected => books.rejected_total(),
        RowResult::Duplicate => books.duplicate,
        RowResult::Suppressed => books.suppressed,
    }
}

/// The number of messages that have left resources at Twilio.
pub(super) fn stuck(books: &Books) -> u64 {
    books.dead.get(&DeadReason::Stuck).copied().unwrap_or(0)
}
