//! The consumers that may live, and their rights to start changing calls.

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use tokio_postgres::Row;

use crate::ledger::columns::{campaign_id, word};
use crate::ledger::{ConsumerRow, LIVES_FOR, LedgerError, Renewal, Renewed, Result};

use super::LeaseClock;
use super::errors::keepable;
use super::take::millis;

/// One statement, so that a renewal takes one round trip and a consumer that stands still holds no lock.
pub(super) async fn renew(
    client: &impl GenericClient,
    renewal: &Renewal,
    now: Timestamp,
    clock: LeaseClock,
) -> Result<Renewed> {
    let sql = "SELECT change, stopped, states FROM renew_right($1, $2, $3, $4, $5)";
    let statement = client.prepare_cached(sql).await?;
    let row = client
        .query_one(
            &statement,
            &[
                &renewal.holder,
                &keepable(&renewal.host),
                &i64::from(renewal.pid),
                &renewal.confirmed,
                &clock.chosen(now),
            ],
        )
        .await?;
    let (ids, states): (Vec<&str>, Vec<&str>) = (row.try_get(1)?, row.try_get(2)?);
    let stopped = ids
        .into_iter()
        .zip(states)
        .map(|(id, state)| Ok((campaign_id(id)?, word(state)?)));
    Ok(Renewed {
        change: row.try_get(0)?,
        stopped: stopped.collect::<Result<_>>()?,
    })
}

pub(super) async fn end(client: &impl GenericClient, holder: &str) -> Result<()> {
    let sql = "DELETE FROM consumers WHERE holder = $1";
    let statement = client.prepare_cached(sql).await?;
    client.execute(&statement, &[&holder]).await?;
    Ok(())
}

pub(super) async fn all(
    client: &impl GenericClient,
    now: Timestamp,
    clock: LeaseClock,
) -> Result<(i64, Vec<ConsumerRow>)> {
    // One snapshot for both: a consumer that has confirmed this change has confirmed it in its row.
    let sql = "SELECT (SELECT value::BIGINT FROM meta WHERE name = 'changes'),
                   c.holder, c.host, c.pid, c.confirmed
               FROM (SELECT) one LEFT JOIN consumers c ON c.renewed_at > lease_clock($1) - $2::BIGINT
               ORDER BY c.holder";
    let statement = client.prepare_cached(sql).await?;
    let rows = client
        .query(&statement, &[&clock.chosen(now), &millis(LIVES_FOR)])
        .await?;
    let change = match rows.first() {
        Some(row) => row.try_get(0)?,
        None => {
            return Err(LedgerError::Unavailable(
                "its table of names holds no changes".to_owned(),
            ));
        }
    };
    let mut consumers = Vec::new();
    for row in &rows {
        consumers.extend(consumer(row)?);
    }
    Ok((change, consumers))
}

/// None in the row of a ledger that has no consumer.
fn consumer(row: &Row) -> Result<Option<ConsumerRow>> {
    let Some(holder) = row.try_get(1)? else {
        return Ok(None);
    };
    Ok(Some(ConsumerRow {
        holder,
        host: row.try_get(2)?,
        pid: u32::try_from(row.try_get::<_, i64>(3)?).unwrap_or(0),
        confirmed: row.try_get(4)?,
    }))
}
