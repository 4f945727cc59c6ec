//! Bringing messages back: deferred ones when they are due, leased ones when their holder is dead.

use deadpool_postgres::Client;
use jiff::Timestamp;

use crate::ledger::Result;
use crate::ledger::columns::{column, ms, time};

pub(super) async fn release_leases(client: &Client) -> Result<u64> {
    client.execute("DELETE FROM overtaken", &[]).await?;
    let sql = "UPDATE turns SET state = 'waiting', queued = TRUE, queue_after = NULL,
                   holder = NULL, lease_until = NULL
               WHERE state = 'in_flight'";
    let released = client.execute(sql, &[]).await?;
    let sql = "UPDATE undos SET holder = NULL, lease_until = NULL";
    client.execute(sql, &[]).await?;
    Ok(released)
}

pub(super) async fn wake(client: &Client, now: Timestamp, limit: usize) -> Result<u64> {
    // What another process is waking at this moment is left to it.
    let statement = client
        .prepare_cached(
            "WITH due AS (
                SELECT campaign, id FROM turns
                WHERE state = 'deferred' AND wake_at <= $1
                ORDER BY wake_at, campaign, id LIMIT $2 FOR UPDATE SKIP LOCKED)
             UPDATE turns t SET state = 'waiting', reason = NULL, due_at = NULL, wake_at = NULL,
                queued = FALSE, queue_after = $1
             FROM due WHERE t.campaign = due.campaign AND t.id = due.id",
        )
        .await?;
    let limit = column(limit as u64);
    Ok(client.execute(&statement, &[&ms(now), &limit]).await?)
}

pub(super) async fn next_due(client: &Client) -> Result<Option<Timestamp>> {
    let sql = "SELECT min(wake_at) FROM turns WHERE state = 'deferred'";
    let statement = client.prepare_cached(sql).await?;
    let row = client.query_one(&statement, &[]).await?;
    row.try_get::<_, Option<i64>>(0)?.map(time).transpose()
}
