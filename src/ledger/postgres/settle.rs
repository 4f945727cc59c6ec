//! Writes that need a lease: events, renewal, settlement.
//!
//! Always: fenced by the lease's number, and each one statement, which is its own transaction: the row of the turn is
//! changed only while the lease is the message's, and everything else is written only if that row was changed.

use std::borrow::Cow;
use std::time::Duration;

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use tokio_postgres::types::ToSql;

use crate::ledger::columns::{
    Deferral, grows_older, keepable, later, millis, ms, outcome, to_json,
};
use crate::ledger::{
    Ending, LATE, Lease, LedgerError, Result, Settlement, UNCALLED_FOR, UNDO_AFTER, Wake,
};
use crate::message::{DeadReason, Effects, Event, WaitReason};

use super::fenced::{APPEND, Entry, FENCE, HELD, fenced, fenced_wait};
use super::server::CommittedEvent;
use super::{LeaseClock, PostgresStore, on_client};

impl PostgresStore {
    pub(in crate::ledger) async fn record(
        &self,
        lease: &Lease,
        events: &[Event],
        now: Timestamp,
    ) -> Result<()> {
        let written = on_client!(self, |client| record(&client, lease, events, now)).await;
        written.map(|written| self.committed(written))
    }

    pub(in crate::ledger) async fn renew(
        &self,
        lease: &Lease,
        now: Timestamp,
        lease_for: Duration,
    ) -> Result<Lease> {
        let clock = self.clock;
        on_client!(self, |client| renew(&client, lease, now, lease_for, clock)).await
    }

    pub(in crate::ledger) async fn settle(
        &self,
        lease: &Lease,
        events: &[Event],
        settlement: &Settlement,
        now: Timestamp,
    ) -> Result<()> {
        let settling = on_client!(self, |client| settle(
            &client, lease, events, settlement, now
        ));
        settling.await.map(|written| self.committed(written))
    }
}

/// The reason of an outcome whose undo is retried.
const STUCK: &str = DeadReason::Stuck.as_str();

pub(super) async fn record(
    client: &impl GenericClient,
    lease: &Lease,
    events: &[Event],
    now: Timestamp,
) -> Result<Option<CommittedEvent>> {
    let entry = Entry::new(lease, events, now)?;
    match entry.run(client, &fenced("turns", FENCE, ""), &[]).await {
        // It may be the lease of an undo.
        Err(LedgerError::LeaseLost) => entry.run(client, &fenced("undos", HELD, ""), &[]).await,
        recorded => recorded,
    }
}

pub(super) async fn renew(
    client: &impl GenericClient,
    lease: &Lease,
    now: Timestamp,
    lease_for: Duration,
    clock: LeaseClock,
) -> Result<Lease> {
    let (campaign, id) = (lease.key.campaign.as_str(), lease.key.id.as_str());
    let lasts = millis(lease_for);
    for (table, fence) in [("turns", FENCE), ("undos", HELD)] {
        let sql =
            format!("UPDATE {table} SET lease_until = lease_clock($4) + $5::BIGINT WHERE {fence}");
        let statement = client.prepare_cached(&sql).await?;
        let renewed = client
            .execute(
                &statement,
                &[&campaign, &id, &lease.number, &clock.chosen(now), &lasts],
            )
            .await?;
        if renewed == 1 {
            return Ok(Lease {
                until: later(now, lease_for),
                ..lease.clone()
            });
        }
    }
    Err(LedgerError::LeaseLost)
}

pub(super) async fn settle(
    client: &impl GenericClient,
    lease: &Lease,
    events: &[Event],
    settlement: &Settlement,
    now: Timestamp,
) -> Result<Option<CommittedEvent>> {
    let entry = Entry::new(lease, events, now)?;
    match settlement {
        Settlement::Ended { ending, effects } => end(client, &entry, ending, effects).await,
        Settlement::Waits {
            reason,
            due,
            wake,
            failure,
            uses_attempt,
        } => {
            let deferral = Deferral {
                reason: *reason,
                due: *due,
                wake: *wake,
                failure: failure.as_deref(),
                uses_attempt: *uses_attempt,
            };
            defer(client, &entry, &deferral, None).await
        }
        Settlement::Held { agent, due } => {
            let deferral = Deferral {
                reason: WaitReason::AgentUnavailable,
                due: *due,
                wake: Wake::Ledger,
                failure: None,
                uses_attempt: false,
            };
            defer(client, &entry, &deferral, Some(keepable(agent))).await
        }
        Settlement::Backlogged {
            backlog,
            since,
            due,
        } => backlogged(client, &entry, backlog, *since, *due).await,
        Settlement::Released { queued } => release(client, &entry, *queued).await,
    }
}

async fn end(
    client: &impl GenericClient,
    entry: &Entry<'_>,
    ending: &Ending,
    effects: &Effects,
) -> Result<Option<CommittedEvent>> {
    let sql = format!(
        "WITH held AS (
            DELETE FROM turns WHERE {FENCE} RETURNING events AS first, attempts, lease),
         written AS ({APPEND}),
         over AS (
            INSERT INTO outcomes (campaign, id, outcome, reason, detail, effects, attempts, at)
            SELECT $1, $2, $6, $7, $8, $9, held.attempts + $10::BIGINT, $4 FROM held),
         stuck AS (
            INSERT INTO undos (campaign, id, due_at, lease, events)
            SELECT $1, $2, $11, held.lease, held.first + cardinality($5::TEXT[])
            FROM held WHERE $7::TEXT = '{STUCK}')
         SELECT first FROM held"
    );
    let (word, reason) = outcome(ending);
    let died_of_one = i64::from(matches!(ending, Ending::Dead { .. }));
    let (detail, effects) = (to_json(ending)?, to_json(effects)?);
    let undo_at = entry.now + millis(UNDO_AFTER);
    entry
        .run(
            client,
            &sql,
            &[&word, &reason, &detail, &effects, &died_of_one, &undo_at],
        )
        .await
}

async fn defer(
    client: &impl GenericClient,
    entry: &Entry<'_>,
    deferral: &Deferral<'_>,
    held_for: Option<Cow<'_, str>>,
) -> Result<Option<CommittedEvent>> {
    let sql = fenced_wait(
        ", state = 'deferred', reason = $6, due_at = $7, wake_at = $8, queued = $9,
         last_failure = coalesce($10, last_failure), attempts = attempts + $11, held_for = $12,
         tried_since = CASE WHEN $13 THEN tried_since END, tried_until = CASE WHEN $13 THEN $7::BIGINT END,
         holder = NULL, lease_until = NULL",
        "$10",
    );
    let Deferral { due, failure, .. } = *deferral;
    let (wake_at, queued) = match deferral.wake {
        Wake::Ledger => (due, false),
        Wake::Queue => (later(due, LATE), true),
    };
    let is_tried_on = grows_older(deferral.reason, failure);
    let failure = failure.map(to_json).transpose()?;
    entry
        .run(
            client,
            &sql,
            &[
                &deferral.reason.as_str(),
                &ms(due),
                &ms(wake_at),
                &queued,
                &failure,
                &i64::from(deferral.uses_attempt),
                &held_for,
                &is_tried_on,
            ],
        )
        .await
}

async fn backlogged(
    client: &impl GenericClient,
    entry: &Entry<'_>,
    backlog: &str,
    since: Timestamp,
    due: Timestamp,
) -> Result<Option<CommittedEvent>> {
    let sql = fenced_wait(
        ", state = 'deferred', reason = $6, due_at = $7, wake_at = $8, queued = FALSE,
         backlog = $9, backlog_since = $10, tried_since = NULL, holder = NULL, lease_until = NULL",
        "NULL",
    );
    let wake_at = ms(later(due, UNCALLED_FOR));
    let reason = WaitReason::Pace.as_str();
    let further: [&(dyn ToSql + Sync); 5] = [&reason, &ms(due), &wake_at, &backlog, &ms(since)];
    entry.run(client, &sql, &further).await
}

async fn release(
    client: &impl GenericClient,
    entry: &Entry<'_>,
    queued: bool,
) -> Result<Option<CommittedEvent>> {
    let sql = fenced(
        "turns",
        FENCE,
        ", state = 'waiting', queued = $6, queue_after = CASE WHEN $6 THEN NULL ELSE $4::BIGINT END, tried_since = NULL,
         holder = NULL, lease_until = NULL",
    );
    entry.run(client, &sql, &[&queued]).await
}
