//! The lanes and places that consumers share: rows that one changes at a time, by the server's clock.
//!
//! In: what a consumer wants. Out: what it is given. Always: a call is one statement and one round trip, so that no
//! lock is held while anything is on its way; what was changed is durable when a call returns; on connections of their
//! own, for nobody's pace waits for the ledger's calls, and lanes do not wait for places.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{ClientWrapper, GenericClient, Object};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use crate::ledger::columns::{column, count};
use crate::ledger::{LedgerError, Result};
use crate::pacing::{Answer, PlacesShare, Request};

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

/// The lanes of one ledger's consumers. Clones share connections.
#[derive(Clone)]
pub struct SharedLanes {
    connections: Connections,
    for_lanes: Own,
    for_places: Own,
}

/// A connection that one call at a time has.
type Own = Arc<Mutex<Option<ClientWrapper>>>;

impl SharedLanes {
    pub(super) fn new(connections: Connections) -> Self {
        Self {
            connections,
            for_lanes: Own::default(),
            for_places: Own::default(),
        }
    }

    /// Hands out to `holder` what it may have of its request, and tells what the server's clock showed. One answer for
    /// each want, with times on that clock, as the request's are.
    ///
    /// # Errors
    ///
    /// [`LedgerError`]: nothing was changed, or it is not known whether it was.
    pub async fn hand_out(
        &self,
        holder: &str,
        request: &Request,
    ) -> Result<(Vec<Answer>, ServerTime)> {
        self.call(&self.for_lanes, async |client| {
            handed_out(client, holder, request).await
        })
        .await
    }

    /// What the server's clock shows.
    ///
    /// # Errors
    ///
    /// As [`SharedLanes::hand_out`].
    pub async fn time(&self) -> Result<ServerTime> {
        let nothing = Request::default();
        let (_, time) = self.hand_out("", &nothing).await?;
        Ok(time)
    }

    /// Gives `holder`, which has `taken` calls under way, its share of `all` places, and tells what the server's clock
    /// showed.
    ///
    /// # Errors
    ///
    /// As [`SharedLanes::hand_out`].
    pub async fn share_places(
        &self,
        holder: &str,
        all: u32,
        taken: u32,
    ) -> Result<(PlacesShare, ServerTime)> {
        self.call(&self.for_places, async |client| {
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
            let share = PlacesShare {
                places: number(0)?,
                consumers: number(1)?,
            };
            let time = ServerTime {
                asked,
                now: count(row.try_get(2)?),
                answered,
            };
            Ok((share, time))
        })
        .await
    }

    /// Makes a call; a connection that failed is not used again.
    async fn call<T>(
        &self,
        own: &Own,
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

/// A request as the parameters of the function `hand_out`, which counts from 1.
struct Told<'a> {
    lanes: Vec<&'a str>,
    returned: (Vec<i32>, Vec<i64>),
    rested: (Vec<i32>, Vec<i64>),
    wanted: Vec<i32>,
    periods: Vec<i64>,
    slots: Vec<i64>,
    untils: Vec<i64>,
    members: Vec<i32>,
    ends: Vec<i32>,
}

impl<'a> Told<'a> {
    fn of(request: &'a Request) -> Self {
        let lanes = request.lanes();
        let of = |lane: &str| place(lanes.partition_point(|other| *other < lane));
        let told = |what: &[(String, u64)]| {
            what.iter()
                .map(|(lane, at)| (of(lane), column(*at)))
                .unzip()
        };
        let (returned, rested) = (told(&request.returns), told(&request.rests));
        let wants = &request.wants;
        let wanted = wants.iter().map(|want| of(&want.lane)).collect();
        let groups = &request.groups;
        let members = groups.iter().flatten().map(|want| place(*want)).collect();
        let ends = groups.iter().scan(0_i32, |end, group| {
            *end = end.saturating_add(i32::try_from(group.len()).unwrap_or(i32::MAX));
            Some(*end)
        });
        Self {
            returned,
            rested,
            wanted,
            periods: wants
                .iter()
                .map(|want| column(want.period.max(1)))
                .collect(),
            slots: wants.iter().map(|want| column(want.slots)).collect(),
            untils: wants.iter().map(|want| column(want.until)).collect(),
            members,
            ends: ends.collect(),
            lanes,
        }
    }
}

/// The server's number of what is at this place.
fn place(at: usize) -> i32 {
    i32::try_from(at + 1).unwrap_or(i32::MAX)
}

async fn handed_out(
    client: &ClientWrapper,
    holder: &str,
    request: &Request,
) -> Result<(Vec<Answer>, ServerTime)> {
    let sql = "SELECT at, kinds, froms, tos
               FROM hand_out($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
    let statement = client.prepare_cached(sql).await?;
    let told = Told::of(request);
    let (way, ahead) = (column(request.way), column(request.ahead));
    let asked = Instant::now();
    let row = client
        .query_one(
            &statement,
            &[
                &holder,
                &told.lanes,
                &told.returned.0,
                &told.returned.1,
                &told.rested.0,
                &told.rested.1,
                &told.wanted,
                &told.periods,
                &told.slots,
                &told.untils,
                &told.members,
                &told.ends,
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

fn answers(row: &Row) -> Result<Vec<Answer>> {
    let kinds: Vec<i32> = row.try_get(1)?;
    let (froms, tos): (Vec<i64>, Vec<i64>) = (row.try_get(2)?, row.try_get(3)?);
    let each = kinds.into_iter().zip(froms).zip(tos);
    let answers = each.map(|((kind, from), to)| match kind {
        1 => Answer::Stretch {
            from: count(from),
            to: count(to),
        },
        2 => Answer::Later(count(from)),
        _ => Answer::Open,
    });
    Ok(answers.collect())
}

/// What a probe does with these tables: a lane and a place of its own, in a transaction that it takes back and does
/// nothing more in.
pub(super) async fn probe(client: &impl GenericClient, name: &str) -> Result<()> {
    let sql = "SELECT at FROM hand_out('', ARRAY[$1::TEXT], '{}', '{}', '{1}', '{1}', '{}', '{}', '{}', '{}', '{}', '{}',
                   0, 0)";
    client.query(sql, &[&name]).await?;
    // Consumers lock the whole table to change it. Where one does so now it is usable, and a probe neither waits
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
