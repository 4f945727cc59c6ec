//! The backlogs of a ledger on SQLite.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::SqliteLedger;
use crate::ledger::columns::{campaign_id, ms, time};
use crate::ledger::{BacklogRow, Backlogs, CallUp, CalledUp, LedgerError, Result};

#[async_trait]
impl Backlogs for SqliteLedger {
    async fn backlogs(&self) -> Result<Vec<BacklogRow>> {
        self.read(all).await
    }

    async fn call_up(&self, calls: &[CallUp], now: Timestamp) -> Result<Vec<CalledUp>> {
        let calls = calls.to_vec();
        self.write(move |conn| calls.iter().map(|call| call_up(conn, call, now)).collect())
            .await
    }
}

/// One step in the index for each backlog, however many messages it has.
fn all(conn: &Connection) -> Result<Vec<BacklogRow>> {
    let mut next = conn.prepare_cached(
        "SELECT campaign, backlog, backlog_since FROM turns INDEXED BY turns_in_backlog
         WHERE backlog IS NOT NULL AND state = 'deferred' AND reason = 'pace'
           AND (campaign, backlog) > (?1, ?2)
         ORDER BY campaign, backlog, backlog_since LIMIT 1",
    )?;
    let mut rows: Vec<BacklogRow> = Vec::new();
    loop {
        let after = rows.last().map_or(("", ""), |last| {
            (last.campaign.as_str(), last.backlog.as_str())
        });
        let row = next.query_row(after, |row| {
            Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?))
        });
        let Some((campaign, backlog, oldest)) = row.optional()? else {
            return Ok(rows);
        };
        rows.push(BacklogRow {
            campaign: campaign_id(&campaign)?,
            backlog,
            oldest: time(oldest)?,
        });
    }
}

fn call_up(conn: &Connection, call: &CallUp, now: Timestamp) -> Result<CalledUp> {
    let of = (call.campaign.as_str(), call.backlog.as_str());
    let called = conn
        .prepare_cached(
            "UPDATE turns SET state = 'waiting', reason = NULL, due_at = NULL, wake_at = NULL,
                queued = 0, queue_after = ?3
             WHERE (campaign, id) IN (
                SELECT campaign, id FROM turns INDEXED BY turns_in_backlog
                WHERE campaign = ?1 AND backlog = ?2 AND backlog IS NOT NULL
                  AND state = 'deferred' AND reason = 'pace'
                ORDER BY backlog_since, id LIMIT ?4)",
        )?
        .execute(params![of.0, of.1, ms(now), call.messages])?;
    let oldest = conn
        .prepare_cached(
            "SELECT backlog_since FROM turns INDEXED BY turns_in_backlog
             WHERE campaign = ?1 AND backlog = ?2 AND backlog IS NOT NULL
               AND state = 'deferred' AND reason = 'pace'
             ORDER BY backlog_since LIMIT 1",
        )?
        .query_row(of, |row| row.get(0))
        .optional()?;
    Ok(CalledUp {
        messages: u32::try_from(called)
            .map_err(|_| LedgerError::Damaged("more were called up than asked for".to_owned()))?,
        oldest: oldest.map(time).transpose()?,
    })
}
