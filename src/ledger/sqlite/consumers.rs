//! The consumers that may live, and their rights to start changing calls.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use crate::ledger::columns::{campaign_id, ms, word};
use crate::ledger::{ConsumerRow, Renewal, Renewed, Result};

pub(super) fn renew(conn: &Connection, renewal: &Renewal, now: Timestamp) -> Result<Renewed> {
    conn.prepare_cached(
        "INSERT INTO consumers (holder, host, pid, renewed_at, confirmed)
         VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (holder) DO UPDATE
         SET renewed_at = excluded.renewed_at, confirmed = excluded.confirmed",
    )?
    .execute(params![
        renewal.holder,
        renewal.host,
        renewal.pid,
        ms(now),
        renewal.confirmed
    ])?;
    let sql = "SELECT id, state FROM campaigns WHERE state IN ('paused', 'cancelled')";
    let stopped = conn
        .prepare_cached(sql)?
        .query_and_then([], |row| {
            let id = campaign_id(&row.get::<_, String>(0)?)?;
            Ok((id, word(&row.get::<_, String>(1)?)?))
        })?
        .collect::<Result<_>>()?;
    Ok(Renewed {
        change: last_change(conn)?,
        stopped,
    })
}

pub(super) fn end(conn: &Connection, holder: &str) -> Result<()> {
    conn.prepare_cached("DELETE FROM consumers WHERE holder = ?1")?
        .execute([holder])?;
    Ok(())
}

/// Forgets all consumers: the caller is alone with the file, so they are dead.
pub(super) fn forget(conn: &Connection) -> Result<()> {
    conn.prepare_cached("DELETE FROM consumers")?.execute([])?;
    Ok(())
}

/// Whatever their ages: the clocks of two processes may have been set between their starts.
pub(super) fn all(conn: &Connection) -> Result<(i64, Vec<ConsumerRow>)> {
    let sql = "SELECT holder, host, pid, confirmed FROM consumers ORDER BY holder";
    let rows = conn
        .prepare_cached(sql)?
        .query_and_then([], |row| {
            Ok(ConsumerRow {
                holder: row.get(0)?,
                host: row.get(1)?,
                pid: row.get(2)?,
                confirmed: row.get(3)?,
            })
        })?
        .collect::<Result<_>>()?;
    Ok((last_change(conn)?, rows))
}

fn last_change(conn: &Connection) -> Result<i64> {
    let sql = "SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'changes'";
    Ok(conn.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}
