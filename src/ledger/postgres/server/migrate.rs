//! Brings the schema up to date when a process connects.
//!
//! In: a connection. Out: a schema of this program's edition. Always: several processes may do this at once: one works,
//! and the others wait for it and find nothing left to do.

use tokio_postgres::{Client, Transaction};

use crate::ledger::{LedgerError, Result};

use super::limits::{LIVING, SCHEMA};

/// The migrations of all editions, oldest first.
const EDITIONS: [&str; 17] = [
    include_str!("../../migrations/postgres/0001_ledger.sql"),
    include_str!("../../migrations/postgres/0002_undos.sql"),
    include_str!("../../migrations/postgres/0003_overtaken.sql"),
    include_str!("../../migrations/postgres/0004_lanes.sql"),
    include_str!("../../migrations/postgres/0005_manifest.sql"),
    include_str!("../../migrations/postgres/0006_waiting.sql"),
    include_str!("../../migrations/postgres/0007_steering.sql"),
    include_str!("../../migrations/postgres/0008_upkeep.sql"),
    include_str!("../../migrations/postgres/0009_incarnations.sql"),
    include_str!("../../migrations/postgres/0010_one_round_trip.sql"),
    include_str!("../../migrations/postgres/0011_agents.sql"),
    include_str!("../../migrations/postgres/0012_trying.sql"),
    include_str!("../../migrations/postgres/0013_backlogs.sql"),
    include_str!("../../migrations/postgres/0014_starts.sql"),
    include_str!("../../migrations/postgres/0015_words_and_age.sql"),
    include_str!("../../migrations/postgres/0016_operations.sql"),
    include_str!("../../migrations/postgres/0017_origins.sql"),
];

/// The key of the advisory lock that serializes migrations: "flexcast" in ASCII.
const LOCK: i64 = 0x666c_6578_6361_7374;

/// Brings the schema up to date, on a connection whose search path is the schema.
pub(super) async fn migrate(client: &mut Client) -> Result<()> {
    // Reads come first: a role that may not create anything can use an existing schema.
    if edition(client).await? == Some(EDITIONS.len()) {
        return Ok(());
    }
    let transaction = client.transaction().await?;
    transaction
        .execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])
        .await?;
    let from = edition_within(&transaction).await?;
    // Edition 0 is a new ledger, which no consumer can know.
    if (1..EDITIONS.len()).contains(&from) {
        refuse_beside_consumers(&transaction).await?;
    }
    for (number, sql) in EDITIONS.iter().enumerate().skip(from) {
        transaction.batch_execute(sql).await?;
        let number = i64::try_from(number + 1).unwrap_or(i64::MAX);
        transaction
            .execute("INSERT INTO migrations (number) VALUES ($1)", &[&number])
            .await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Refuses a migration while a consumer works on the ledger: that consumer knows only the present schema. Consumers of
/// all versions show by the same lock that they are alive ([`LIVING`]). `objsubid` 2 is a lock with two keys.
async fn refuse_beside_consumers(transaction: &Transaction<'_>) -> Result<()> {
    let sql = format!(
        "SELECT count(DISTINCT l.pid), min(host(a.client_addr))
        FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
        WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.classid = {LIVING}
          AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    );
    let row = transaction.query_one(&sql, &[]).await?;
    let consumers: i64 = row.try_get(0)?;
    if consumers == 0 {
        return Ok(());
    }
    let from: Option<String> = row.try_get(1)?;
    let from = from.map_or(String::new(), |address| {
        format!(", the first one at {address}")
    });
    let which = format!(" ({consumers} connected{from})");
    Err(LedgerError::consumer_of_older_schema(&which))
}

/// The edition of the schema. Creates the schema and its table of editions if they do not exist.
async fn edition_within(transaction: &Transaction<'_>) -> Result<usize> {
    let row = transaction
        .query_one("SELECT to_regnamespace($1) IS NULL", &[&SCHEMA])
        .await?;
    if row.try_get(0)? {
        transaction
            .batch_execute(&format!("CREATE SCHEMA {SCHEMA}"))
            .await?;
    }
    transaction
        .batch_execute(
            "CREATE TABLE IF NOT EXISTS migrations (
                number     BIGINT PRIMARY KEY,
                applied_at TIMESTAMPTZ NOT NULL DEFAULT now()
             )",
        )
        .await?;
    let row = transaction.query_one(NEWEST, &[]).await?;
    known(row.try_get(0)?)
}

/// The edition of the schema; None if it does not exist.
async fn edition(client: &Client) -> Result<Option<usize>> {
    let table = format!("{SCHEMA}.migrations");
    let row = client
        .query_one("SELECT to_regclass($1) IS NULL", &[&table])
        .await?;
    if row.try_get(0)? {
        return Ok(None);
    }
    let row = client.query_one(NEWEST, &[]).await?;
    known(row.try_get(0)?).map(Some)
}

const NEWEST: &str = "SELECT coalesce(max(number), 0) FROM migrations";

fn known(edition: i64) -> Result<usize> {
    usize::try_from(edition)
        .ok()
        .filter(|edition| *edition <= EDITIONS.len())
        .ok_or_else(|| LedgerError::newer_schema(edition, EDITIONS.len()))
}
