//! Brings messages back: when they are due, when their agent can take them, when their limits grant them.

use deadpool_postgres::{Client, GenericClient};
use jiff::Timestamp;

use super::{PostgresStore, on_client};
use crate::ledger::columns::{campaign_id, column, ms, time};
use crate::ledger::{BacklogRow, CallUp, CalledUp, Result};
use crate::message::CampaignId;

impl PostgresStore {
    pub(in crate::ledger) async fn wake(&self, now: Timestamp, limit: usize) -> Result<u64> {
        on_client!(self, |client| wake(&client, now, limit)).await
    }

    pub(in crate::ledger) async fn recall(
        &self,
        campaign: &CampaignId,
        agent: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<u64> {
        on_client!(self, |client| recall(&client, campaign, agent, now, limit)).await
    }

    pub(in crate::ledger) async fn backlogs(&self) -> Result<Vec<BacklogRow>> {
        on_client!(self, |client| backlogs(&client)).await
    }

    pub(in crate::ledger) async fn call_up(
        &self,
        calls: &[CallUp],
        now: Timestamp,
    ) -> Result<Vec<CalledUp>> {
        on_client!(self, |client| call_up(&client, calls, now)).await
    }
}

pub(super) async fn wake(client: &impl GenericClient, now: Timestamp, limit: usize) -> Result<u64> {
    // Messages that another process is waking at this moment are left to it.
    let statement = client
        .prepare_cached(
            "WITH due AS (
                SELECT campaign, id FROM turns
                WHERE state = 'deferred' AND wake_at <= $1
                ORDER BY wake_at, campaign, id LIMIT $2 FOR UPDATE SKIP LOCKED)
             UPDATE turns t SET state = 'waiting', reason = NULL, due_at = NULL, wake_at = NULL,
                held_for = NULL, queued = FALSE, queue_after = $1
             FROM due WHERE t.campaign = due.campaign AND t.id = due.id",
        )
        .await?;
    let limit = column(limit as u64);
    Ok(client.execute(&statement, &[&ms(now), &limit]).await?)
}

async fn recall(
    client: &Client,
    campaign: &CampaignId,
    agent: &str,
    now: Timestamp,
    limit: usize,
) -> Result<u64> {
    let statement = client
        .prepare_cached(
            "WITH freed AS (
                SELECT campaign, id FROM turns
                WHERE campaign = $1 AND held_for = $2 AND state = 'deferred'
                ORDER BY due_at, id LIMIT $4 FOR UPDATE SKIP LOCKED)
             UPDATE turns t SET state = 'waiting', reason = NULL, due_at = NULL, wake_at = NULL,
                held_for = NULL, queued = FALSE, queue_after = $3
             FROM freed WHERE t.campaign = freed.campaign AND t.id = freed.id",
        )
        .await?;
    let limit = column(limit as u64);
    let campaign = campaign.as_str();
    Ok(client
        .execute(&statement, &[&campaign, &agent, &ms(now), &limit])
        .await?)
}

/// One index step for each backlog, whatever its number of messages.
async fn backlogs(client: &Client) -> Result<Vec<BacklogRow>> {
    let sql = "WITH RECURSIVE one AS (
            (SELECT campaign, backlog, backlog_since FROM turns
             WHERE backlog IS NOT NULL AND state = 'deferred' AND reason = 'pace'
             ORDER BY campaign, backlog, backlog_since LIMIT 1)
            UNION ALL
            SELECT next.* FROM one, LATERAL (
                SELECT t.campaign, t.backlog, t.backlog_since FROM turns t
                WHERE t.backlog IS NOT NULL AND t.state = 'deferred' AND t.reason = 'pace'
                  AND (t.campaign, t.backlog) > (one.campaign, one.backlog)
                ORDER BY t.campaign, t.backlog, t.backlog_since LIMIT 1) next)
         SELECT campaign, backlog, backlog_since FROM one";
    let statement = client.prepare_cached(sql).await?;
    let rows = client.query(&statement, &[]).await?;
    let backlogs = rows.iter().map(|row| {
        Ok(BacklogRow {
            campaign: campaign_id(row.try_get(0)?)?,
            backlog: row.try_get(1)?,
            oldest: time(row.try_get(2)?)?,
        })
    });
    backlogs.collect()
}

/// Messages that another consumer is calling up at this moment are left to it.
async fn call_up(client: &Client, calls: &[CallUp], now: Timestamp) -> Result<Vec<CalledUp>> {
    let statement = client
        .prepare_cached(
            "WITH asked AS (
                SELECT * FROM unnest($1::TEXT[], $2::TEXT[], $3::BIGINT[])
                    WITH ORDINALITY AS asked (campaign, backlog, most, number)),
             called AS (
                SELECT asked.number, t.campaign, t.id FROM asked, LATERAL (
                    SELECT campaign, id FROM turns
                    WHERE campaign = asked.campaign AND backlog = asked.backlog
                      AND backlog IS NOT NULL AND state = 'deferred' AND reason = 'pace'
                    ORDER BY backlog_since, id LIMIT asked.most FOR UPDATE SKIP LOCKED) t),
             woken AS (
                UPDATE turns t SET state = 'waiting', reason = NULL, due_at = NULL, wake_at = NULL,
                    queued = FALSE, queue_after = $4
                FROM called WHERE t.campaign = called.campaign AND t.id = called.id
                RETURNING called.number)
             SELECT (SELECT count(*) FROM woken WHERE woken.number = asked.number),
                -- As it was before the call: those that were called up are the first.
                (SELECT t.backlog_since FROM turns t
                 WHERE t.campaign = asked.campaign AND t.backlog = asked.backlog
                   AND t.backlog IS NOT NULL AND t.state = 'deferred' AND t.reason = 'pace'
                 ORDER BY t.backlog_since, t.id OFFSET asked.most LIMIT 1)
             FROM asked ORDER BY asked.number",
        )
        .await?;
    let campaigns: Vec<_> = calls.iter().map(|call| call.campaign.as_str()).collect();
    let backlogs: Vec<_> = calls.iter().map(|call| call.backlog.as_str()).collect();
    let most: Vec<_> = calls.iter().map(|call| i64::from(call.messages)).collect();
    let rows = client
        .query(&statement, &[&campaigns, &backlogs, &most, &ms(now)])
        .await?;
    let called = rows.iter().map(|row| {
        let oldest: Option<i64> = row.try_get(1)?;
        Ok(CalledUp {
            messages: u32::try_from(row.try_get::<_, i64>(0)?).unwrap_or(u32::MAX),
            oldest: oldest.map(time).transpose()?,
        })
    });
    called.collect()
}
