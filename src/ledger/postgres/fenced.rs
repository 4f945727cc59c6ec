//! Fenced statements: they change the turn or the undo only while a lease is valid, and append events only if they did.

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use tokio_postgres::types::ToSql;

use super::server::CommittedEvent;
use crate::ledger::columns::{ms, to_json};
use crate::ledger::{Lease, LedgerError, Result};
use crate::message::Event;

/// Selects the turn while the lease is the message's. A statement that waited for the row's lock checks the row again
/// after the other change.
pub(super) const FENCE: &str = "campaign = $1 AND id = $2 AND lease = $3 AND state = 'in_flight'";

/// Selects the undo while the lease is the undo's.
pub(super) const HELD: &str =
    "campaign = $1 AND id = $2 AND lease = $3 AND lease_until IS NOT NULL";

/// Adds to the number of events, and returns the number of the first new one.
const COUNT: &str = "events = events + cardinality($5::TEXT[])";
const FIRST: &str = "events - cardinality($5::TEXT[]) AS first";

/// Appends the events $5 at the time $4, if `held` has a row.
pub(super) const APPEND: &str = "INSERT INTO journal (campaign, id, seq, at, event)
    SELECT $1, $2, held.first + given.n - 1, $4::BIGINT, given.event
    FROM held, unnest($5::TEXT[]) WITH ORDINALITY AS given (event, n)";

/// The common parameters of a fenced statement. Its own parameters begin at $6.
pub(super) struct Entry<'a> {
    lease: &'a Lease,
    /// ms.
    pub(super) now: i64,
    events: Vec<String>,
}

impl<'a> Entry<'a> {
    pub(super) fn new(lease: &'a Lease, events: &[Event], now: Timestamp) -> Result<Self> {
        Ok(Self {
            lease,
            now: ms(now),
            events: events.iter().map(to_json).collect::<Result<_>>()?,
        })
    }

    /// Runs a fenced statement. Returns the newest row that it wrote to the journal.
    pub(super) async fn run(
        &self,
        client: &impl GenericClient,
        sql: &str,
        further: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<CommittedEvent>> {
        let statement = client.prepare_cached(sql).await?;
        let key = &self.lease.key;
        let (campaign, id) = (key.campaign.as_str(), key.id.as_str());
        let mut parameters: Vec<&(dyn ToSql + Sync)> =
            vec![&campaign, &id, &self.lease.number, &self.now, &self.events];
        parameters.extend(further);
        let row = client.query_opt(&statement, &parameters).await?;
        let first: i64 = row.ok_or(LedgerError::LeaseLost)?.try_get(0)?;
        let last = self.events.iter().zip(first..).last();
        Ok(last.map(|(event, seq)| CommittedEvent {
            campaign: campaign.to_owned(),
            id: id.to_owned(),
            seq,
            at: self.now,
            event: event.clone(),
        }))
    }
}

/// A statement that changes the turn or the undo, and appends the events if it did.
pub(super) fn fenced(table: &str, fence: &str, change: &str) -> String {
    format!(
        "WITH held AS (UPDATE {table} SET {COUNT}{change} WHERE {fence} RETURNING {FIRST}),
         written AS ({APPEND})
         SELECT first FROM held"
    )
}

/// A statement that puts off a message: it changes the turn, appends the events, and records the wait. $6 is the reason
/// of the wait, $7 its due time, and `failure` the parameter of the failure that is retried.
pub(super) fn fenced_wait(change: &str, failure: &str) -> String {
    format!(
        "WITH held AS (UPDATE turns SET {COUNT}{change} WHERE {FENCE} RETURNING {FIRST}),
         written AS ({APPEND}),
         waiting AS (
            INSERT INTO waits (campaign, id, at, reason, due_at, failure)
            SELECT $1, $2, $4::BIGINT, $6::TEXT, $7::BIGINT, {failure}::TEXT FROM held)
         SELECT first FROM held"
    )
}
