//! What consumers show of themselves.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, params};
use serde_json::Value;

use crate::ledger::columns::{from_json, ms, to_json};
use crate::ledger::{Result, SHOWN_FOR};

pub(super) fn show(
    conn: &Connection,
    holder: &str,
    lanes: Option<&Value>,
    now: Timestamp,
) -> Result<()> {
    // Those of consumers that died go with the next one's.
    conn.prepare_cached("DELETE FROM shown WHERE holder = ?1 OR at < ?2")?
        .execute(params![holder, before(now, SHOWN_FOR)])?;
    if let Some(lanes) = lanes {
        conn.prepare_cached("INSERT INTO shown (holder, at, lanes) VALUES (?1, ?2, ?3)")?
            .execute(params![holder, ms(now), to_json(lanes)?])?;
    }
    Ok(())
}

pub(super) fn within(conn: &Connection, now: Timestamp, within: Duration) -> Result<Vec<Value>> {
    conn.prepare_cached("SELECT lanes FROM shown WHERE at >= ?1 ORDER BY holder")?
        .query_and_then([before(now, within)], |row| {
            from_json(&row.get::<_, String>(0)?)
        })?
        .collect()
}

fn before(now: Timestamp, span: Duration) -> i64 {
    ms(now.checked_sub(span).unwrap_or(Timestamp::MIN))
}
