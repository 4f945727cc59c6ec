//! Bringing messages back: deferred ones when they are due, leased ones when their holder is dead.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use crate::ledger::columns::{campaign_id, column, count, ms, time};
use crate::ledger::{HeldFor, Result};
use crate::message::CampaignId;

pub(super) fn release_leases(conn: &Connection) -> Result<u64> {
    conn.execute("DELETE FROM overtaken", [])?;
    // By campaign, so that it reads the index of states and not a million turns.
    let released = conn
        .prepare_cached(
            "UPDATE turns SET state = 'waiting', queued = 1, queue_after = NULL,
                holder = NULL, lease_until = NULL, doubtful = 1
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
                held_for = NULL, queued = 0, queue_after = ?1
             WHERE (campaign, id) IN (
                SELECT campaign, id FROM turns
                WHERE state = 'deferred' AND wake_at <= ?1
                ORDER BY wake_at, campaign, id LIMIT ?2)",
        )?
        .execute(params![ms(now), column(limit as u64)])?;
    Ok(woken as u64)
}

pub(super) fn held(conn: &Connection) -> Result<Vec<HeldFor>> {
    conn.prepare_cached(
        "SELECT campaign, held_for, count(*) FROM turns WHERE held_for IS NOT NULL
         GROUP BY campaign, held_for",
    )?
    .query_and_then([], |row| {
        Ok(HeldFor {
            campaign: campaign_id(&row.get::<_, String>(0)?)?,
            agent: row.get(1)?,
            messages: count(row.get(2)?),
        })
    })?
    .collect()
}

pub(super) fn recall(
    conn: &Connection,
    campaign: &CampaignId,
    agent: &str,
    now: Timestamp,
    limit: usize,
) -> Result<u64> {
    let recalled = conn
        .prepare_cached(
            "UPDATE turns SET state = 'waiting', reason = NULL, due_at = NULL, wake_at = NULL,
                held_for = NULL, queued = 0, queue_after = ?3
             WHERE (campaign, id) IN (
                SELECT campaign, id FROM turns
                WHERE campaign = ?1 AND held_for = ?2 AND held_for IS NOT NULL
                ORDER BY due_at, id LIMIT ?4)",
        )?
        .execute(params![
            campaign.as_str(),
            agent,
            ms(now),
            column(limit as u64)
        ])?;
    Ok(recalled as u64)
}

pub(super) fn next_due(conn: &Connection) -> Result<Option<Timestamp>> {
    let next: Option<i64> = conn
        .prepare_cached("SELECT min(wake_at) FROM turns WHERE state = 'deferred'")?
        .query_row([], |row| row.get(0))?;
    next.map(time).transpose()
}
