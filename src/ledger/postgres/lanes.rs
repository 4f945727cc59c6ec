//! The lanes and places that consumers share: rows that one consumer changes at a time, by the server's clock.
//!
//! In: a consumer's request. Out: what it is granted. Always: a call is one statement and one round trip, so that no
//! lock is held during a transmission; changes are durable when a call returns; the calls have their own connections,
//! so that limits do not wait for the ledger's calls, and lanes do not wait for places.

use std::time::Duration;

use deadpool_postgres::{ClientWrapper, GenericClient, Object};
use tokio::time::Instant;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use crate::ledger::columns::{column, count};
use crate::ledger::{LedgerError, Result};
use crate::pacing::{
    ConcurrencyShare, LaneAnswers, LaneRequest, ServerTime, SliceAnswer, StartAnswer,
};

use super::PostgresStore;
use super::server::OwnConnection;

/// The maximum time of a call. Time slices that are granted later have passed already.
const CALL_MAX: Duration = Duration::from_secs(3);

impl PostgresStore {
    /// Grants what is available of a request, and returns the time of the server's clock. The result has one answer for
    /// each want and each start. Its times are on that clock, as the request's are.
    ///
    /// # Errors
    ///
    /// [`LedgerError`]: nothing was changed, or it is unknown whether something was.
    pub(in crate::ledger) async fn hand_out(
        &self,
        request: &LaneRequest,
    ) -> Result<(LaneAnswers, ServerTime)> {
        let work = async |client: &ClientWrapper| handed_out(client, request).await;
        self.on_own(&self.for_limits.for_lanes, work).await
    }

    /// Grants `holder`, which has `taken` calls under way, its share of `all` places, and returns the time of the
    /// server's clock.
    ///
    /// # Errors
    ///
    /// As [`PostgresStore::hand_out`].
    pub(in crate::ledger) async fn share_concurrency(
        &self,
        holder: &str,
        all: u32,
        taken: u32,
    ) -> Result<(ConcurrencyShare, ServerTime)> {
        let work = async |client: &ClientWrapper| places(client, holder, all, taken).await;
        self.on_own(&self.for_limits.for_places, work).await
    }

    /// Makes a call. A connection that failed is not used again.
    async fn on_own<T>(
        &self,
        own: &OwnConnection,
        work: impl AsyncFnOnce(&ClientWrapper) -> Result<T> + Send,
    ) -> Result<T> {
        let mut own = own.lock().await;
        let call = async {
            let client = match own.take().filter(|client| !client.is_closed()) {
                Some(client) => client,
                None => Object::take(self.connections.get().await?),
            };
            let outcome = work(&client).await?;
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

async fn places(
    client: &ClientWrapper,
    holder: &str,
    all: u32,
    taken: u32,
) -> Result<(ConcurrencyShare, ServerTime)> {
    let sql = "SELECT share, consumers, at FROM share_places($1, $2, $3)";
    let statement = client.prepare_cached(sql).await?;
    let (all, taken) = (i64::from(all), i64::from(taken));
    let asked = Instant::now();
    let row = client
        .query_one(&statement, &[&holder, &all, &taken])
        .await?;
    let answered = Instant::now();
    let number = |column| -> Result<u32> {
        let number: i64 = row.try_get(column)?;
        Ok(u32::try_from(number).unwrap_or(u32::MAX))
    };
    let share = ConcurrencyShare {
        concurrency: number(0)?,
        consumers: number(1)?,
    };
    let time = ServerTime {
        asked,
        now: count(row.try_get(2)?),
        answered,
    };
    Ok((share, time))
}

/// A request as the parameters of the function `hand_out`, whose indexes begin at 1.
struct RequestColumns<'a> {
    lanes: Vec<&'a str>,
    periods: Vec<i64>,
    unused: (Vec<i32>, Vec<i64>, Vec<i64>),
    rested: (Vec<i32>, Vec<i64>),
    wanted: (Vec<i32>, Vec<i64>, Vec<i64>),
    members: (Vec<i32>, Vec<i32>),
    taken: (Vec<i32>, Vec<i64>, Vec<i64>),
    starts: (Vec<i32>, Vec<i64>),
}

impl<'a> RequestColumns<'a> {
    fn of(request: &'a LaneRequest) -> Self {
        let (lanes, periods): (Vec<&str>, Vec<u64>) = request.lanes().into_iter().unzip();
        let of = |lane: &str| place(lanes.partition_point(|other| *other < lane));
        let unused = request.unused.iter();
        let unused = unused.map(|it| (of(&it.lane), column(it.slots), column(it.end)));
        let rests = request.rests.iter();
        let wants = request.wants.iter();
        let wants = wants.map(|want| (of(&want.lane), column(want.slots), column(want.until)));
        let members = request.groups.iter().flatten().map(|want| place(*want));
        let taken = request.starts.iter().flat_map(|start| &start.lanes);
        let taken = taken.map(|it| (of(&it.lane), column(it.slots), column(it.credit)));
        let not_before = request.starts.iter().map(|it| column(it.not_before));
        Self {
            periods: periods.into_iter().map(column).collect(),
            unused: unused.collect(),
            rested: rests.map(|(lane, at)| (of(lane), column(*at))).unzip(),
            wanted: wants.collect(),
            members: (members.collect(), ends(request.groups.iter().map(Vec::len))),
            taken: taken.collect(),
            starts: (
                ends(request.starts.iter().map(|start| start.lanes.len())),
                not_before.collect(),
            ),
            lanes,
        }
    }
}

/// The indexes, from 1, of the last items of several lists that are concatenated.
fn ends(sizes: impl Iterator<Item = usize>) -> Vec<i32> {
    let end = |end: &mut i32, size: usize| {
        *end = end.saturating_add(i32::try_from(size).unwrap_or(i32::MAX));
        Some(*end)
    };
    sizes.scan(0, end).collect()
}

/// Converts an index from 0 to the server's index from 1.
fn place(at: usize) -> i32 {
    i32::try_from(at + 1).unwrap_or(i32::MAX)
}

async fn handed_out(
    client: &ClientWrapper,
    request: &LaneRequest,
) -> Result<(LaneAnswers, ServerTime)> {
    let sql = "SELECT at, kinds, froms, tos, start_at, start_late
               FROM hand_out($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
                   $19)";
    let statement = client.prepare_cached(sql).await?;
    let columns = RequestColumns::of(request);
    let (way, ahead) = (column(request.way), column(request.ahead));
    let asked = Instant::now();
    let row = client
        .query_one(
            &statement,
            &[
                &columns.lanes,
                &columns.periods,
                &columns.unused.0,
                &columns.unused.1,
                &columns.unused.2,
                &columns.rested.0,
                &columns.rested.1,
                &columns.wanted.0,
                &columns.wanted.1,
                &columns.wanted.2,
                &columns.members.0,
                &columns.members.1,
                &columns.taken.0,
                &columns.taken.1,
                &columns.taken.2,
                &columns.starts.0,
                &columns.starts.1,
                &way,
                &ahead,
            ],
        )
        .await?;
    let answered = Instant::now();
    let time = ServerTime {
        asked,
        now: count(row.try_get(0)?),
        answered,
    };
    Ok((answers(&row)?, time))
}

fn answers(row: &Row) -> Result<LaneAnswers> {
    let kinds: Vec<i32> = row.try_get(1)?;
    let (froms, tos): (Vec<i64>, Vec<i64>) = (row.try_get(2)?, row.try_get(3)?);
    let each = kinds.into_iter().zip(froms).zip(tos);
    let wants = each.map(|((kind, from), to)| match kind {
        1 => SliceAnswer::Slice {
            from: count(from),
            to: count(to),
        },
        2 => SliceAnswer::Later(count(from)),
        _ => SliceAnswer::Open,
    });
    let (moments, late): (Vec<i64>, Vec<i32>) = (row.try_get(4)?, row.try_get(5)?);
    let starts = moments.into_iter().zip(late).map(|(at, late)| {
        let at = count(at);
        match usize::try_from(late).unwrap_or(0).checked_sub(1) {
            Some(lane) => StartAnswer::Later { lane, at },
            None => StartAnswer::At(at),
        }
    });
    Ok(LaneAnswers {
        wants: wants.collect(),
        starts: starts.collect(),
    })
}

/// Probes these tables with a lane and a place of its own, in a transaction that is rolled back. It must be the last
/// statement of that transaction.
pub(super) async fn probe(client: &impl GenericClient, name: &str) -> Result<()> {
    let sql = "SELECT at FROM hand_out(ARRAY[$1::TEXT], '{0}', '{}', '{}', '{}', '{1}', '{1}', '{}', '{}', '{}', '{}', '{}',
                   '{}', '{}', '{}', '{}', '{}', 0, 0)";
    client.query(sql, &[&name]).await?;
    // Consumers lock the whole table to change it. If one does so now, the table is usable, and the probe neither waits
    // for that consumer nor fails because of it.
    let sql = "LOCK TABLE account_places IN ROW EXCLUSIVE MODE NOWAIT";
    match client.batch_execute(sql).await {
        Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => return Ok(()),
        locked => locked?,
    }
    let sql = "SELECT holder, places, until FROM account_places WHERE holder = $1";
    client.query(sql, &[&name]).await?;
    let sql = "INSERT INTO account_places AS p (holder, places, until) VALUES ($1, 0, 0)
               ON CONFLICT (holder) DO UPDATE SET places = excluded.places, until = excluded.until";
    client.execute(sql, &[&name]).await?;
    let sql = "DELETE FROM account_places WHERE holder = $1";
    client.execute(sql, &[&name]).await?;
    Ok(())
}
