//! Brings messages back: when they are due, when their agent can take them, when their limits grant them.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::SqliteStore;
use crate::ledger::columns::{campaign_id, column, ms, time};
use crate::ledger::{BacklogRow, CallUp, CalledUp, LedgerError, Result};
use crate::message::CampaignId;

impl SqliteStore {
    pub(in crate::ledger) async fn wake(&self, now: Timestamp, limit: usize) -> Result<u64> {
        self.write(move |conn| wake(conn, now, limit)).await
    }

    pub(in crate::ledger) async fn recall(
        &self,
        campaign: &CampaignId,
        agent: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<u64> {
        let (campaign, agent) = (campaign.clone(), agent.to_owned());
        self.write(move |conn| recall(conn, &campaign, &agent, now, limit))
            .await
    }

    pub(in crate::ledger) async fn backlogs(&self) -> Result<Vec<BacklogRow>> {
        self.read(backlogs).await
    }

    pub(in crate::ledger) async fn call_up(
        &self,
        calls: &[CallUp],
        now: Timestamp,
    ) -> Result<Vec<CalledUp>> {
        let calls = calls.to_vec();
        self.write(move |conn| calls.iter().map(|call| call_up(conn, call, now)).collect())
            .await
    }
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

fn recall(
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

/// One index step for each backlog, whatever its number of messages.
fn backlogs(conn: &Connection) -> Result<Vec<BacklogRow>> {
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
        messages: u32::try_from(called).map_err(|_| {
            LedgerError::Damaged("more messages were called up than requested".to_owned())
        })?,
        oldest: oldest.map(time).transpose()?,
    })
}
