//! What consumers show of themselves, by the store's clock: machines may differ on how old it is.

use std::time::Duration;

use deadpool_postgres::{Client, GenericClient};
use serde_json::Value;

use crate::ledger::columns::{from_json, to_json};
use crate::ledger::{Result, SHOWN_FOR};

use super::take::millis;

pub(super) async fn show(
    client: &impl GenericClient,
    holder: &str,
    lanes: Option<&Value>,
    chosen: Option<i64>,
) -> Result<()> {
    let Some(lanes) = lanes else {
        let statement = client
            .prepare_cached("DELETE FROM shown WHERE holder = $1")
            .await?;
        client.execute(&statement, &[&holder]).await?;
        return Ok(());
    };
    // Those of consumers that died go with the next one's.
    let statement = client
        .prepare_cached(
            "WITH old AS (
                DELETE FROM shown WHERE at < lease_clock($3) - $4::BIGINT AND holder <> $1)
             INSERT INTO shown (holder, at, lanes) VALUES ($1, lease_clock($3), $2)
             ON CONFLICT (holder) DO UPDATE SET at = excluded.at, lanes = excluded.lanes",
        )
        .await?;
    let (lanes, kept) = (to_json(lanes)?, millis(SHOWN_FOR));
    client
        .execute(&statement, &[&holder, &lanes, &chosen, &kept])
        .await?;
    Ok(())
}

pub(super) async fn within(
    client: &Client,
    chosen: Option<i64>,
    within: Duration,
) -> Result<Vec<Value>> {
    let sql = "SELECT lanes FROM shown WHERE at >= lease_clock($1) - $2::BIGINT ORDER BY holder";
    let statement = client.prepare_cached(sql).await?;
    let rows = client
        .query(&statement, &[&chosen, &millis(within)])
        .await?;
    rows.iter().map(|row| from_json(row.try_get(0)?)).collect()
}
