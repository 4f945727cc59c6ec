//! Reads and writes the records of one message.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::ledger::{Ending, LedgerError, MessageKey, Result, Standing};
use crate::message::{Event, Message};

use crate::ledger::columns::{event, from_json, ms, time, to_json, word};

/// The row of an open message in `turns`.
pub(super) struct TurnRow {
    /// Queued, waiting for a later time, or in flight.
    pub(super) standing: Standing,
    pub(super) attempts: u32,
    pub(super) lease: i64,
    /// How many events its journal had when it was last taken.
    pub(super) events_taken: u64,
    /// The backlog that it waits in or was called up from.
    pub(super) backlog: Option<String>,
    /// Whether a lease on it ended without a settlement.
    pub(super) doubtful: bool,
    /// When the current series of attempts began.
    pub(super) tried_for: Duration,
}

/// The row of a message that is over, in `outcomes`.
pub(super) struct OutcomeRow {
    pub(super) ending: Ending,
}

impl TurnRow {
    pub(super) fn of(conn: &Connection, key: &MessageKey) -> Result<Option<Self>> {
        conn.prepare_cached(
            "SELECT state, queued, reason, due_at, holder, lease_until, attempts, lease,
                events_taken, backlog, doubtful, coalesce(max(0, tried_until - tried_since), 0)
             FROM turns WHERE campaign = ?1 AND id = ?2",
        )?
        .query_row([key.campaign.as_str(), key.id.as_str()], |row| {
            Ok(Self::read(row))
        })
        .optional()?
        .transpose()
    }

    fn read(row: &Row<'_>) -> Result<Self> {
        let state: String = row.get(0)?;
        let standing = match state.as_str() {
            "waiting" => Standing::Queued {
                published: row.get(1)?,
            },
            "deferred" => Standing::Waits {
                reason: word(&row.get::<_, String>(2)?)?,
                due: time(row.get(3)?)?,
            },
            "in_flight" => Standing::InFlight {
                holder: row.get(4)?,
                until: time(row.get(5)?)?,
            },
            _ => {
                return Err(LedgerError::Damaged(format!(
                    "a turn has the unknown state {state}"
                )));
            }
        };
        Ok(Self {
            standing,
            attempts: row.get(6)?,
            lease: row.get(7)?,
            events_taken: row.get::<_, i64>(8)?.unsigned_abs(),
            backlog: row.get(9)?,
            doubtful: row.get(10)?,
            tried_for: Duration::from_millis(row.get::<_, i64>(11)?.unsigned_abs()),
        })
    }
}

impl OutcomeRow {
    pub(super) fn of(conn: &Connection, key: &MessageKey) -> Result<Option<Self>> {
        conn.prepare_cached("SELECT detail FROM outcomes WHERE campaign = ?1 AND id = ?2")?
            .query_row([key.campaign.as_str(), key.id.as_str()], |row| {
                Ok(Self::read(row))
            })
            .optional()?
            .transpose()
    }

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            ending: from_json(&row.get::<_, String>(0)?)?,
        })
    }
}

/// The message as it was accepted, and the time.
pub(super) fn accepted(
    conn: &Connection,
    key: &MessageKey,
) -> Result<Option<(Message, Timestamp)>> {
    let row: Option<(String, i64)> = conn
        .prepare_cached(
            "SELECT payload, accepted_at FROM messages WHERE campaign = ?1 AND id = ?2",
        )?
        .query_row([key.campaign.as_str(), key.id.as_str()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    row.map(|(payload, at)| Ok((from_json(&payload)?, time(at)?)))
        .transpose()
}

/// A message's journal, in order.
pub(super) fn journal(conn: &Connection, key: &MessageKey) -> Result<Vec<(Timestamp, Event)>> {
    conn.prepare_cached(
        "SELECT at, event FROM journal WHERE campaign = ?1 AND id = ?2 ORDER BY seq",
    )?
    .query_and_then([key.campaign.as_str(), key.id.as_str()], |row| {
        let at = row.get(0)?;
        Ok((time(at)?, event(at, &row.get::<_, String>(1)?)?))
    })?
    .collect()
}

/// Appends events to a message's journal.
pub(super) fn append(
    conn: &Connection,
    key: &MessageKey,
    events: &[Event],
    now: Timestamp,
) -> Result<()> {
    let of = [key.campaign.as_str(), key.id.as_str()];
    if events.is_empty() {
        return Ok(());
    }
    let next: i64 = conn
        .prepare_cached(
            "SELECT coalesce(max(seq) + 1, 0) FROM journal WHERE campaign = ?1 AND id = ?2",
        )?
        .query_row(of, |row| row.get(0))?;
    let mut insert = conn.prepare_cached(
        "INSERT INTO journal (campaign, id, seq, at, event) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for (seq, event) in (next..).zip(events) {
        insert.execute(params![of[0], of[1], seq, ms(now), to_json(event)?])?;
    }
    Ok(())
}
