//! Reading what is known of one message, record by record.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};

use crate::ledger::{Ending, LedgerError, MessageKey, MessageRecord, Result, Standing};
use crate::message::{Effects, Event, Failure, Message};

use crate::ledger::columns::{from_json, time, word};

/// The row of a message that is open.
pub(super) struct Turn {
    /// Waiting, deferred or in flight.
    pub(super) standing: Standing,
    pub(super) attempts: u32,
    pub(super) lease: i64,
    /// How many events its journal had when it was last taken.
    pub(super) events_taken: u64,
    /// The backlog that it waits in, or was called up from.
    pub(super) backlog: Option<String>,
    /// Whether a lease on it ended without a settlement.
    pub(super) doubtful: bool,
    /// Since when it is tried.
    pub(super) tried_since: Option<Timestamp>,
    last_failure: Option<Failure>,
}

/// The row of a message that is over.
pub(super) struct Outcome {
    pub(super) ending: Ending,
    effects: Effects,
    pub(super) attempts: u32,
    at: Timestamp,
}

impl From<Outcome> for Standing {
    fn from(outcome: Outcome) -> Self {
        Self::Over {
            ending: outcome.ending,
            effects: Box::new(outcome.effects),
            at: outcome.at,
        }
    }
}

impl Turn {
    pub(super) fn of(conn: &Connection, key: &MessageKey) -> Result<Option<Self>> {
        conn.prepare_cached(
            "SELECT state, queued, reason, due_at, holder, lease_until, attempts, lease, last_failure,
                events_taken, backlog, doubtful, tried_since
             FROM turns WHERE campaign = ?1 AND id = ?2",
        )?
        .query_row([key.campaign.as_str(), key.id.as_str()], |row| Ok(Self::read(row)))
        .optional()?
        .transpose()
    }

    fn read(row: &Row<'_>) -> Result<Self> {
        let state: String = row.get(0)?;
        let standing = match state.as_str() {
            "waiting" => Standing::Waiting {
                queued: row.get(1)?,
            },
            "deferred" => Standing::Deferred {
                reason: word(&row.get::<_, String>(2)?)?,
                due: time(row.get(3)?)?,
            },
            "in_flight" => Standing::InFlight {
                holder: row.get(4)?,
                until: time(row.get(5)?)?,
            },
            _ => return Err(LedgerError::Damaged(format!("no turn is {state}"))),
        };
        let last_failure: Option<String> = row.get(8)?;
        Ok(Self {
            standing,
            attempts: row.get(6)?,
            lease: row.get(7)?,
            events_taken: row.get::<_, i64>(9)?.unsigned_abs(),
            backlog: row.get(10)?,
            doubtful: row.get(11)?,
            tried_since: row.get::<_, Option<i64>>(12)?.map(time).transpose()?,
            last_failure: last_failure.as_deref().map(from_json).transpose()?,
        })
    }
}

impl Outcome {
    pub(super) fn of(conn: &Connection, key: &MessageKey) -> Result<Option<Self>> {
        conn.prepare_cached(
            "SELECT detail, effects, attempts, at FROM outcomes WHERE campaign = ?1 AND id = ?2",
        )?
        .query_row([key.campaign.as_str(), key.id.as_str()], |row| {
            Ok(Self::read(row))
        })
        .optional()?
        .transpose()
    }

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            ending: from_json(&row.get::<_, String>(0)?)?,
            effects: from_json(&row.get::<_, String>(1)?)?,
            attempts: row.get(2)?,
            at: time(row.get(3)?)?,
        })
    }
}

/// The message as it was accepted, and when.
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
        Ok((time(row.get(0)?)?, from_json(&row.get::<_, String>(1)?)?))
    })?
    .collect()
}

pub(super) fn find(conn: &Connection, key: &MessageKey) -> Result<Option<MessageRecord>> {
    let Some((message, accepted_at)) = accepted(conn, key)? else {
        return Ok(None);
    };
    let mut record = MessageRecord {
        message,
        accepted_at,
        attempts: 0,
        standing: Standing::Nowhere,
        last_failure: None,
        journal: journal(conn, key)?,
    };
    if let Some(outcome) = Outcome::of(conn, key)? {
        record.attempts = outcome.attempts;
        record.standing = outcome.into();
    } else if let Some(turn) = Turn::of(conn, key)? {
        record.attempts = turn.attempts;
        record.standing = turn.standing;
        record.last_failure = turn.last_failure;
    }
    Ok(Some(record))
}
