//! Bringing messages back: deferred ones when they are due, leased ones when their holder is dead.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use crate::ledger::Result;

use crate::ledger::columns::{column, ms, time};

pub(super) fn release_leases(conn: &Connection) -> Result<u64> {
    conn.execute("DELETE FROM overtaken", [])?;
    // By campaign, so that it reads the index of states and not a million turns.
    let released = conn
        .prepare_cached(
            "UPDATE turns SET state = 'waiting', queued = 1, queue_after = NULL,
                holder = NULL, lease_until = NULL
             WHERE campaign IN (SELECT id FROM campaigns) AND state = 'in_flight'",
        )?
        .execute([])?;
    conn.prepare_cached("UPDATE undos SET holder = NULL, lease_until = NULL")?
        .execute([])?;
    Ok(released as u64)
}

pub(super) fn wake(conn: &Connection, now: Timestamp, limit: usize) -> Result<u64> {
    let woken = conn
        .prepare_cached(
            "UPDATE turns SET state = 'waiting', reason = NULL, due_at = NULL, wake_at = NULL,
                queued = 0, queue_after = ?1
             WHERE (campaign, id) IN (
                SELECT campaign, id FROM turns
                WHERE state = 'deferred' AND wake_at <= ?1
                ORDER BY wake_at, campaign, id LIMIT ?2)",
        )?
        .execute(params![ms(now), column(limit as u64)])?;
    Ok(woken as u64)
}

pub(super) fn next_due(conn: &Connection) -> Result<Option<Timestamp>> {
    let next: Option<i64> = conn
        .prepare_cached("SELECT min(wake_at) FROM turns WHERE state = 'deferred'")?
        .query_row([], |row| row.get(0))?;
    next.map(time).transpose()
}
