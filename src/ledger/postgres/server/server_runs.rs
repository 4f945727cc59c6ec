//! Tracks which run of the database server this process works with, and when messages may be taken in it.
//!
//! In: each new connection. Out: the run, and how long no message may be taken. Always: after a failover the server may
//! not know a lease that a consumer still holds. That consumer starts no call once it knows of the new run, and its
//! right to call, which only a server can renew, has expired when the first message is taken in the new run.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::Client;

use crate::ledger::{RIGHT_FOR, Result, StoreRun};

/// How long no message is taken in a new run. It is longer than any right that the previous run gave, and long enough
/// for living consumers to check their last commits.
const REST: Duration = RIGHT_FOR.saturating_mul(2);

/// The server's run. Clones share it.
#[derive(Clone, Default)]
pub(in crate::ledger::postgres) struct ServerRuns {
    /// None until the first check, which needs the schema.
    known: Arc<Mutex<Option<KnownRun>>>,
}

#[derive(Clone, Copy)]
struct KnownRun {
    run: StoreRun,
    takes_from: Instant,
}

impl ServerRuns {
    /// Reads which run of the server a connection leads to, and records a new run in the ledger.
    pub(super) async fn look(&self, client: &Client) -> Result<()> {
        let (run, since) = match read(client).await? {
            (run, Some(since)) => (run, since),
            (run, None) => {
                note(client, run).await?;
                (run, read(client).await?.1.unwrap_or_default())
            }
        };
        let run = StoreRun(run);
        let mut known = self.known();
        if known.is_none_or(|known| known.run != run) {
            let takes_from = Instant::now() + REST.saturating_sub(since);
            *known = Some(KnownRun { run, takes_from });
        }
        Ok(())
    }

    /// The same on a later connection.
    pub(super) async fn look_again(&self, client: &Client) -> Result<()> {
        let is_known = self.known().is_some();
        if is_known {
            self.look(client).await?;
        }
        Ok(())
    }

    /// The run of the newest connection.
    pub(in crate::ledger::postgres) fn current(&self) -> StoreRun {
        self.known()
            .map_or_else(StoreRun::default, |known| known.run)
    }

    /// How long no message may be taken yet. None: messages may be taken.
    pub(in crate::ledger::postgres) fn rest(&self) -> Option<Duration> {
        let takes_from = (*self.known())?.takes_from;
        let left = takes_from.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    fn known(&self) -> MutexGuard<'_, Option<KnownRun>> {
        // The value is replaced as a whole: a panic leaves no half-written one.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The server's run, and for how long the ledger has known it, if it does. Each server process start is another run, a
/// standby's too.
async fn read(client: &Client) -> Result<(i64, Option<Duration>)> {
    let sql = "SELECT run, (extract(epoch FROM clock_timestamp()) * 1000)::BIGINT - split_part(meta.value, ' ', 2)::BIGINT
        FROM (SELECT (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::BIGINT AS run) server
            LEFT JOIN meta ON name = 'store_run' AND split_part(meta.value, ' ', 1) = run::TEXT";
    let row = client.query_one(sql, &[]).await?;
    let since: Option<i64> = row.try_get(1)?;
    // If the clock was set back meanwhile, the wait is as long as in a new run, and no longer.
    let since = since.map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or_default()));
    Ok((row.try_get(0)?, since))
}

/// Records a run that begins now. The first run that a ledger records gets the time 0: no earlier server can have lost
/// transactions of this ledger.
async fn note(client: &Client, run: i64) -> Result<()> {
    let sql = "INSERT INTO meta AS kept (name, value) VALUES ('store_run', $1::BIGINT || ' 0')
        ON CONFLICT (name) DO UPDATE
            SET value = $1::BIGINT || ' ' || (extract(epoch FROM clock_timestamp()) * 1000)::BIGINT
            WHERE split_part(kept.value, ' ', 1) <> ($1::BIGINT)::TEXT";
    client.execute(sql, &[&run]).await?;
    Ok(())
}
