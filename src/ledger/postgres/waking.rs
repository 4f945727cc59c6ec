//! Bringing messages back: deferred ones when they are due, leased ones when their holder is dead.

use deadpool_postgres::{Client, GenericClient};
use jiff::Timestamp;

use crate::ledger::columns::{campaign_id, column, count, ms, time};
use crate::ledger::{HeldFor, Result};
use crate::message::CampaignId;

pub(super) async fn release_leases(client: &Client) -> Result<u64> {
    client.execute("DELETE FROM overtaken", &[]).await?;
    let sql = "UPDATE turns SET state = 'waiting', queued = TRUE, queue_after = NULL,
                   holder = NULL, lease_until = NULL, doubtful = TRUE
               WHERE state = 'in_flight'";
    let released = client.execute(sql, &[]).await?;
    let sql = "UPDATE undos SET holder = NULL, lease_until = NULL";
    client.execute(sql, &[]).await?;
    Ok(released)
}

pub(super) async fn wake(client: &impl GenericClient, now: Timestamp, limit: usize) -> Result<u64> {
    // What another process is waking at this moment is left to it.
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

pub(super) async fn held(client: &Client) -> Result<Vec<HeldFor>> {
    let sql = "SELECT campaign, held_for, count(*) FROM turns WHERE held_for IS NOT NULL
               GROUP BY campaign, held_for ORDER BY campaign, held_for";
    let statement = client.prepare_cached(sql).await?;
    let rows = client.query(&statement, &[]).await?;
    let held = rows.iter().map(|row| {
        Ok(HeldFor {
            campaign: campaign_id(row.try_get(0)?)?,
            agent: row.try_get(1)?,
            messages: count(row.try_get(2)?),
        })
    });
    held.collect()
}

pub(super) async fn recall(
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

pub(super) async fn next_due(client: &impl GenericClient) -> Result<Option<Timestamp>> {
    let sql = "SELECT min(wake_at) FROM turns WHERE state = 'deferred'";
    let statement = client.prepare_cached(sql).await?;
    let row = client.query_one(&statement, &[]).await?;
    row.try_get::<_, Option<i64>>(0)?.map(time).transpose()
}
