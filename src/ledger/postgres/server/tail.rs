//! Checks that the server still has this process's last commits: after a failover it may not.
//!
//! In: acknowledged commits, and each new connection. Out: nothing while the server has all of them. Always: if the
//! server has lost some, every campaign is distrusted and every lease is ended before the connection is used. A standby
//! replays the primary's log in order, so that it has everything before the newest commit that it has: checking the
//! newest commits is enough.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_postgres::Client;

use crate::ledger::columns::column;
use crate::ledger::{Incarnation, LedgerError, Result};

/// How many commits are remembered: the maximum number under way at once, because their acknowledgements may arrive in
/// another order than in the server's log.
const NEWEST: usize = super::limits::CONNECTIONS_MAX;

/// The newest row of a journal that a call has committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ledger::postgres) struct CommittedEvent {
    pub(in crate::ledger::postgres) campaign: String,
    pub(in crate::ledger::postgres) id: String,
    pub(in crate::ledger::postgres) seq: i64,
    /// ms.
    pub(in crate::ledger::postgres) at: i64,
    /// JSON.
    pub(in crate::ledger::postgres) event: String,
}

/// The last commits of this process. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Tail {
    records: Arc<Mutex<TailRecords>>,
    /// Locked while a loss is handled, so that it is handled once.
    looking: Arc<tokio::sync::Mutex<()>>,
    losses: Arc<AtomicU64>,
}

#[derive(Clone, Default)]
struct TailRecords {
    /// Oldest first.
    written: VecDeque<CommittedEvent>,
    /// The process's own incarnation, with its newest beat.
    beat: Option<Incarnation>,
}

impl TailRecords {
    fn is_empty(&self) -> bool {
        self.written.is_empty() && self.beat.is_none()
    }
}

impl Tail {
    /// Records a commit that the server has acknowledged.
    pub(super) fn note(&self, written: CommittedEvent) {
        let mut records = self.records();
        if records.written.len() == NEWEST {
            records.written.pop_front();
        }
        records.written.push_back(written);
    }

    /// Records the incarnation that this process has drawn, or whose beat it has raised.
    pub(super) fn note_beat(&self, incarnation: &Incarnation) {
        self.records().beat = Some(incarnation.clone());
    }

    /// How often the server lacked commits of this process.
    pub(super) fn losses(&self) -> u64 {
        self.losses.load(Ordering::SeqCst)
    }

    /// Checks on a new connection that the server has this process's commits. If some are missing, distrusts every
    /// campaign and ends every lease.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Unavailable`] when the server is a standby, which may still be behind; other errors of the
    /// server. The connection must not be used then.
    pub(super) async fn check(&self, client: &Client) -> Result<()> {
        if self.missing(client).await? == 0 {
            return Ok(());
        }
        let _alone = self.looking.lock().await;
        // Another connection may have handled the loss meanwhile.
        let missing = self.missing(client).await?;
        if missing == 0 {
            return Ok(());
        }
        distrust_everything(client).await?;
        tracing::error!(
            missing,
            "the database has lost transactions that it had acknowledged: every message of every campaign is looked for \
             at Twilio before it is sent (docs/ownership.md)"
        );
        *self.records() = TailRecords::default();
        self.losses.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    /// How many of the commits the server lacks. One round trip, or none if nothing was committed.
    async fn missing(&self, client: &Client) -> Result<i64> {
        let records = self.records().clone();
        if records.is_empty() {
            return Ok(0);
        }
        missing(client, &records).await
    }

    fn records(&self) -> MutexGuard<'_, TailRecords> {
        // A panic leaves no half-made change.
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn missing(client: &Client, records: &TailRecords) -> Result<i64> {
    let all = || records.written.iter();
    let campaigns: Vec<_> = all().map(|written| written.campaign.as_str()).collect();
    let ids: Vec<_> = all().map(|written| written.id.as_str()).collect();
    let seqs: Vec<_> = all().map(|written| written.seq).collect();
    let times: Vec<_> = all().map(|written| written.at).collect();
    let events: Vec<_> = all().map(|written| written.event.as_str()).collect();
    let token = records.beat.as_ref().map(|beat| beat.token.as_str());
    let beat = records.beat.as_ref().map_or(0, |beat| column(beat.beat));
    let sql = "SELECT
            (SELECT count(*)
             FROM unnest($1::TEXT[], $2::TEXT[], $3::BIGINT[], $4::BIGINT[], $5::TEXT[])
                AS ours (campaign, id, seq, at, event)
             WHERE NOT EXISTS (
                SELECT FROM journal j WHERE j.campaign = ours.campaign AND j.id = ours.id AND j.seq = ours.seq
                    AND j.at = ours.at AND j.event = ours.event))
            + ($6::TEXT IS NOT NULL
                AND NOT EXISTS (SELECT FROM incarnations WHERE token = $6 AND beat >= $7))::INT,
            pg_is_in_recovery()";
    let row = client
        .query_one(
            sql,
            &[&campaigns, &ids, &seqs, &times, &events, &token, &beat],
        )
        .await?;
    if row.try_get(1)? {
        let text = "the server is a standby, which takes no writes".to_owned();
        return Err(LedgerError::Unavailable(text));
    }
    Ok(row.try_get(0)?)
}

/// Distrusts the campaigns first, so that every new lease is distrusted. Then ends the earlier leases, whose journals
/// in memory may be ahead of the database.
async fn distrust_everything(client: &Client) -> Result<()> {
    let sql = "UPDATE campaigns SET distrusted_from = least(distrusted_from, applied_at)";
    client.execute(sql, &[]).await?;
    let sql = "INSERT INTO meta (name, value)
        VALUES ('store_lost_at', (extract(epoch FROM clock_timestamp()) * 1000)::BIGINT::TEXT)
        ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    client.execute(sql, &[]).await?;
    // The locks wait for takes that began before the campaigns were distrusted.
    client
        .batch_execute(
            "BEGIN;
             LOCK TABLE turns, undos IN SHARE ROW EXCLUSIVE MODE;
             UPDATE turns SET state = 'waiting', queued = TRUE, queue_after = NULL, holder = NULL, lease_until = NULL,
                doubtful = TRUE
                WHERE state = 'in_flight';
             UPDATE undos SET holder = NULL, lease_until = NULL WHERE lease_until IS NOT NULL;
             COMMIT;",
        )
        .await?;
    Ok(())
}
