//! The books as a scrape sees them: counted anew when that is cheap, else not at every scrape.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::ledger::{Books, Ledger, LedgerError};
use crate::message::{CampaignId, DeadReason};
use crate::metrics::{BookState, BooksCheck, RowResult};

/// What counting may take of the time that passes: one part in so many. Every record is counted, some
/// 150 ms for a million messages, and who scrapes how often is not ours to say. A ledger of 100,000
/// messages is counted at every scrape of more than a second or so.
const SHARE: u32 = 50;

/// The books of every campaign, one snapshot.
pub(super) type Counted = Arc<BTreeMap<CampaignId, Books>>;

/// The last count, and when the next one is due.
#[derive(Debug, Default)]
pub(super) struct Counts {
    last: Mutex<Option<(Counted, Instant)>>,
}

impl Counts {
    /// The books, at most so old as counting them anew would take 50 times.
    pub(super) async fn books(
        &self,
        ledger: &Ledger,
        clock: Clock,
    ) -> Result<Counted, LedgerError> {
        // Held while counting: two scrapes at once count once.
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

/// A term of the books.
pub(super) fn term(books: &Books, state: BookState) -> u64 {
    match state {
        BookState::Accepted => books.accepted,
        BookState::Waiting => books.waiting,
        BookState::Deferred => books.deferred_total(),
        BookState::InFlight => books.in_flight,
        BookState::Done => books.done,
        BookState::Skipped => books.skipped_total(),
        BookState::Dead => books.dead_total(),
        BookState::Unknown => books.unknown,
    }
}

/// By how much a campaign's books are off.
pub(super) fn off(books: &Books, check: BooksCheck) -> u64 {
    match check {
        BooksCheck::Messages => books.imbalance().unsigned_abs(),
        BooksCheck::Twice => books.twice,
        BooksCheck::Rows => books.rows_off(),
    }
}

/// Rows of a campaign's files.
pub(super) fn rows(books: &Books, result: RowResult) -> u64 {
    match result {
        RowResult::Accepted => books.imported,
        RowResult::Rejected => books.rejected_total(),
        RowResult::Duplicate => books.duplicate,
        RowResult::Suppressed => books.suppressed,
    }
}

/// Messages that have left something at Twilio.
pub(super) fn stuck(books: &Books) -> u64 {
    books.dead.get(&DeadReason::Stuck).copied().unwrap_or(0)
}
