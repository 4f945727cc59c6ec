//! The lanes and places that consumers share: rows that one changes at a time, read with the server's
//! clock.
//!
//! In: which rows, and what is to become of them. Out: what that came to. Always: the rows are locked
//! before the clock is read, in one order for all; what was changed is durable when a call returns; on a
//! connection of its own, for nobody's pace waits for the ledger's calls.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{ClientWrapper, GenericClient, Object, Transaction};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use crate::ledger::columns::{column, count};
use crate::ledger::{LedgerError, Result};
use crate::pacing::{LaneTime, Member};

use super::connection::Connections;

/// How long a call may take: what is given later is over by then.
const CALL_MAX: Duration = Duration::from_secs(3);

/// What the server's clock showed, between which moments of ours.
#[derive(Clone, Copy, Debug)]
pub struct ServerTime {
    pub asked: Instant,
    /// Nanoseconds since 1970.
    pub now: u64,
    pub answered: Instant,
}

/// The lanes of one ledger's consumers. Clones share a connection.
#[derive(Clone)]
pub struct SharedLanes {
    connections: Connections,
    own: Arc<Mutex<Option<ClientWrapper>>>,
}

impl SharedLanes {
    pub(super) fn new(connections: Connections) -> Self {
        Self {
            connections,
            own: Arc::default(),
        }
    }

    /// Changes lanes, each of which is made when it is not there.
    ///
    /// # Errors
    ///
    /// [`LedgerError`]: nothing was changed, or it is not known whether it was.
    pub async fn change<T>(
        &self,
        lanes: &[String],
        change: impl FnOnce(&mut BTreeMap<String, LaneTime>, ServerTime) -> T + Send,
    ) -> Result<T> {
        self.call(async |transaction| {
            let before = locked(transaction, lanes).await?;
            let time = clock(transaction).await?;
            let mut rows = before.clone();
            let outcome = change(&mut rows, time);
            rows.retain(|lane, row| before.get(lane) != Some(row));
            write(transaction, &rows).await?;
            Ok(outcome)
        })
        .await
    }

    /// Changes the one list of who has how many of the account's places.
    ///
    /// # Errors
    ///
    /// As [`SharedLanes::change`].
    pub async fn change_places<T>(
        &self,
        change: impl FnOnce(&mut BTreeMap<String, Member>, ServerTime) -> T + Send,
    ) -> Result<T> {
        self.call(async |transaction| {
            let sql = "LOCK TABLE account_places IN SHARE ROW EXCLUSIVE MODE";
            transaction.batch_execute(sql).await?;
            let sql = "SELECT holder, places, until FROM account_places";
            let statement = transaction.prepare_cached(sql).await?;
            let rows = transaction.query(&statement, &[]).await?;
            let rows = rows.iter().map(member).collect::<Result<Vec<_>>>()?;
            let before: BTreeMap<String, Member> = rows.into_iter().collect();
            let time = clock(transaction).await?;
            let mut after = before.clone();
            let outcome = change(&mut after, time);
            write_places(transaction, &before, &after).await?;
            Ok(outcome)
        })
        .await
    }

    /// Makes a call in one transaction; a connection that failed is not used again.
    async fn call<T>(
        &self,
        work: impl AsyncFnOnce(&Transaction<'_>) -> Result<T> + Send,
    ) -> Result<T> {
        let mut own = self.own.lock().await;
        let call = async {
            let mut client = match own.take().filter(|client| !client.is_closed()) {
                Some(client) => client,
                None => Object::take(self.connections.get().await?),
            };
            let transaction = client.transaction().await?;
            let outcome = work(&transaction).await?;
            transaction.commit().await?;
            *own = Some(client);
            Ok(outcome)
        };
        let called = tokio::time::timeout(CALL_MAX, call).await;
        let called = called.unwrap_or_else(|_| {
            let text = format!("no answer within {} s", CALL_MAX.as_secs());
            Err(LedgerError::Unavailable(text))
        });
        called.map_err(|error| self.connections.at(error))
    }
}

/// The rows of `lanes`, locked: what others change now is seen.
async fn locked(
    transaction: &impl GenericClient,
    lanes: &[String],
) -> Result<BTreeMap<String, LaneTime>> {
    let sql = "SELECT lane, free_at, period, holder, held_until FROM lanes
               WHERE lane = ANY ($1) ORDER BY lane FOR UPDATE";
    let statement = transaction.prepare_cached(sql).await?;
    let mut rows = transaction.query(&statement, &[&lanes]).await?;
    if rows.len() < lanes.len() {
        let sql = "INSERT INTO lanes (lane, free_at, period)
                   SELECT lane, 0, 1 FROM unnest($1::TEXT[]) AS lane ORDER BY lane
                   ON CONFLICT DO NOTHING";
        transaction.execute(sql, &[&lanes]).await?;
        rows = transaction.query(&statement, &[&lanes]).await?;
    }
    rows.iter().map(lane).collect()
}

fn lane(row: &Row) -> Result<(String, LaneTime)> {
    let holder: Option<String> = row.try_get(3)?;
    let until: Option<i64> = row.try_get(4)?;
    let lent = match (holder, until) {
        (Some(holder), Some(until)) => Some((holder, count(until))),
        _ => None,
    };
    let time = LaneTime {
        free_at: count(row.try_get(1)?),
        period: count(row.try_get(2)?),
        lent,
    };
    Ok((row.try_get(0)?, time))
}

async fn write(transaction: &impl GenericClient, rows: &BTreeMap<String, LaneTime>) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let lanes: Vec<&str> = rows.keys().map(String::as_str).collect();
    let free_at: Vec<i64> = rows.values().map(|row| column(row.free_at)).collect();
    let period: Vec<i64> = rows.values().map(|row| column(row.period)).collect();
    let lent = |row: &LaneTime| {
        row.lent
            .clone()
            .map(|(holder, until)| (holder, column(until)))
    };
    let (holder, until): (Vec<_>, Vec<_>) = rows.values().map(|row| lent(row).unzip()).unzip();
    let sql = "UPDATE lanes SET free_at = n.free_at, period = n.period, holder = n.holder,
                   held_until = n.held_until
               FROM unnest($1::TEXT[], $2::BIGINT[], $3::BIGINT[], $4::TEXT[], $5::BIGINT[])
                   AS n (lane, free_at, period, holder, held_until)
               WHERE lanes.lane = n.lane";
    let statement = transaction.prepare_cached(sql).await?;
    transaction
        .execute(&statement, &[&lanes, &free_at, &period, &holder, &until])
        .await?;
    Ok(())
}

fn member(row: &Row) -> Result<(String, Member)> {
    let places = u32::try_from(row.try_get::<_, i64>(1)?).unwrap_or(u32::MAX);
    let until = count(row.try_get(2)?);
    Ok((row.try_get(0)?, Member { places, until }))
}

async fn write_places(
    transaction: &impl GenericClient,
    before: &BTreeMap<String, Member>,
    after: &BTreeMap<String, Member>,
) -> Result<()> {
    for holder in before.keys().filter(|holder| !after.contains_key(*holder)) {
        let sql = "DELETE FROM account_places WHERE holder = $1";
        transaction.execute(sql, &[holder]).await?;
    }
    for (holder, member) in after {
        if before.get(holder) == Some(member) {
            continue;
        }
        let sql = "INSERT INTO account_places (holder, places, until) VALUES ($1, $2, $3)
                   ON CONFLICT (holder) DO UPDATE SET places = $2, until = $3";
        let (places, until) = (i64::from(member.places), column(member.until));
        let statement = transaction.prepare_cached(sql).await?;
        transaction
            .execute(&statement, &[holder, &places, &until])
            .await?;
    }
    Ok(())
}

/// What a probe does with these tables: a lane and a place of its own, in a transaction that it takes back and does
/// nothing more in.
pub(super) async fn probe(transaction: &impl GenericClient, name: &str) -> Result<()> {
    let rows = locked(transaction, &[name.to_owned()]).await?;
    write(transaction, &rows).await?;
    // Consumers lock the whole table to change it. Where one does so now it is usable, and a probe neither waits
    // for that consumer nor fails because of it.
    let sql = "LOCK TABLE account_places IN ROW EXCLUSIVE MODE NOWAIT";
    match transaction.batch_execute(sql).await {
        Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => return Ok(()),
        locked => locked?,
    }
    let sql = "SELECT holder, places, until FROM account_places WHERE holder = $1";
    transaction.query(sql, &[&name]).await?;
    let nothing = Member {
        places: 0,
        until: 0,
    };
    let (none, own) = (
        BTreeMap::new(),
        BTreeMap::from([(name.to_owned(), nothing)]),
    );
    write_places(transaction, &none, &own).await?;
    write_places(transaction, &own, &none).await
}

/// The server's clock, after whatever was waited for.
async fn clock(transaction: &Transaction<'_>) -> Result<ServerTime> {
    let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT";
    let statement = transaction.prepare_cached(sql).await?;
    let asked = Instant::now();
    let row = transaction.query_one(&statement, &[]).await?;
    let answered = Instant::now();
    let micros = count(row.try_get(0)?);
    let now = micros.saturating_mul(1_000);
    Ok(ServerTime {
        asked,
        now,
        answered,
    })
}
