//! Writes that need a lease: events, renewal, settlement. Always: fenced by the lease's number.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::ledger::{
    Ending, LATE, Lease, LedgerError, Result, Settlement, UNCALLED_FOR, UNDO_AFTER, Wake,
};
use crate::message::{DeadReason, Effects, Event, WaitReason};

use crate::ledger::columns::{Deferral, grows_older, later, ms, outcome, to_json};

use super::message::append;
use super::{SqliteStore, undos};

impl SqliteStore {
    pub(in crate::ledger) async fn record(
        &self,
        lease: &Lease,
        events: &[Event],
        now: Timestamp,
    ) -> Result<()> {
        let (lease, events) = (lease.clone(), events.to_vec());
        self.write(move |conn| record(conn, &lease, &events, now))
            .await
    }

    pub(in crate::ledger) async fn renew(
        &self,
        lease: &Lease,
        now: Timestamp,
        lease_for: Duration,
    ) -> Result<Lease> {
        let lease = lease.clone();
        self.write(move |conn| renew(conn, &lease, now, lease_for))
            .await
    }

    pub(in crate::ledger) async fn settle(
        &self,
        lease: &Lease,
        events: &[Event],
        settlement: &Settlement,
        now: Timestamp,
    ) -> Result<()> {
        let (lease, events) = (lease.clone(), events.to_vec());
        let settlement = settlement.clone();
        self.write(move |conn| settle(conn, &lease, &events, &settlement, now))
            .await
    }
}

/// Fails unless the lease is still the message's. Returns the number of failed attempts.
fn fence(conn: &Connection, lease: &Lease) -> Result<i64> {
    conn.prepare_cached(
        "SELECT attempts FROM turns
         WHERE campaign = ?1 AND id = ?2 AND lease = ?3 AND state = 'in_flight'",
    )?
    .query_row(params![campaign(lease), id(lease), lease.number], |row| {
        row.get(0)
    })
    .optional()?
    .ok_or(LedgerError::LeaseLost)
}

pub(super) fn record(
    conn: &Connection,
    lease: &Lease,
    events: &[Event],
    now: Timestamp,
) -> Result<()> {
    held(conn, lease)?;
    append(conn, &lease.key, events, now)
}

/// Fails unless the lease is still that of the message's turn or of its undo.
fn held(conn: &Connection, lease: &Lease) -> Result<()> {
    match fence(conn, lease) {
        Err(LedgerError::LeaseLost) if undos::is_held(conn, lease)? => Ok(()),
        fenced => fenced.map(drop),
    }
}

pub(super) fn renew(
    conn: &Connection,
    lease: &Lease,
    now: Timestamp,
    lease_for: Duration,
) -> Result<Lease> {
    held(conn, lease)?;
    let until = later(now, lease_for);
    // One of these rows has the lease; the other statement changes nothing.
    for sql in [
        "UPDATE turns SET lease_until = ?3
         WHERE campaign = ?1 AND id = ?2 AND state = 'in_flight' AND lease = ?4",
        "UPDATE undos SET lease_until = ?3
         WHERE campaign = ?1 AND id = ?2 AND lease_until IS NOT NULL AND lease = ?4",
    ] {
        conn.prepare_cached(sql)?.execute(params![
            campaign(lease),
            id(lease),
            ms(until),
            lease.number
        ])?;
    }
    Ok(Lease {
        until,
        ..lease.clone()
    })
}

pub(super) fn settle(
    conn: &Connection,
    lease: &Lease,
    events: &[Event],
    settlement: &Settlement,
    now: Timestamp,
) -> Result<()> {
    let attempts = fence(conn, lease)?;
    append(conn, &lease.key, events, now)?;
    match settlement {
        Settlement::Ended { ending, effects } => end(conn, lease, ending, effects, attempts, now),
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
            defer(conn, lease, &deferral, attempts, now)
        }
        Settlement::Held { agent, due } => {
            let deferral = Deferral {
                reason: WaitReason::AgentUnavailable,
                due: *due,
                wake: Wake::Ledger,
                failure: None,
                uses_attempt: false,
            };
            defer(conn, lease, &deferral, attempts, now)?;
            conn.prepare_cached("UPDATE turns SET held_for = ?3 WHERE campaign = ?1 AND id = ?2")?
                .execute([campaign(lease), id(lease), agent.as_str()])?;
            Ok(())
        }
        Settlement::Backlogged {
            backlog,
            since,
            due,
        } => {
            let deferral = Deferral {
                reason: WaitReason::Pace,
                due: *due,
                wake: Wake::Ledger,
                failure: None,
                uses_attempt: false,
            };
            defer(conn, lease, &deferral, attempts, now)?;
            conn.prepare_cached(
                "UPDATE turns SET backlog = ?3, backlog_since = ?4, wake_at = ?5
                 WHERE campaign = ?1 AND id = ?2",
            )?
            .execute(params![
                campaign(lease),
                id(lease),
                backlog,
                ms(*since),
                ms(later(*due, UNCALLED_FOR))
            ])?;
            Ok(())
        }
        Settlement::Released { queued } => release(conn, lease, *queued, now),
    }
}

fn end(
    conn: &Connection,
    lease: &Lease,
    ending: &Ending,
    effects: &Effects,
    attempts: i64,
    now: Timestamp,
) -> Result<()> {
    let (word, reason) = outcome(ending);
    let failed = attempts + i64::from(matches!(ending, Ending::Dead { .. }));
    conn.prepare_cached("DELETE FROM turns WHERE campaign = ?1 AND id = ?2")?
        .execute([campaign(lease), id(lease)])?;
    conn.prepare_cached(
        "INSERT INTO outcomes (campaign, id, outcome, reason, detail, effects, attempts, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        campaign(lease),
        id(lease),
        word,
        reason,
        to_json(ending)?,
        to_json(effects)?,
        failed,
        ms(now)
    ])?;
    if matches!(ending, Ending::Dead { reason, .. } if *reason == DeadReason::Stuck) {
        conn.prepare_cached(
            "INSERT INTO undos (campaign, id, due_at, lease) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![
            campaign(lease),
            id(lease),
            ms(later(now, UNDO_AFTER)),
            lease.number
        ])?;
    }
    Ok(())
}

/// Puts off a message, and records the wait.
fn defer(
    conn: &Connection,
    lease: &Lease,
    deferral: &Deferral<'_>,
    attempts: i64,
    now: Timestamp,
) -> Result<()> {
    let Deferral {
        reason,
        due,
        failure,
        ..
    } = *deferral;
    let (wake_at, queued) = match deferral.wake {
        Wake::Ledger => (due, false),
        Wake::Queue => (later(due, LATE), true),
    };
    conn.prepare_cached(
        "UPDATE turns SET state = 'deferred', reason = ?3, due_at = ?4, wake_at = ?5, queued = ?6,
            attempts = ?7, last_failure = coalesce(?8, last_failure),
            tried_since = iif(?9, tried_since, NULL), tried_until = iif(?9, ?4, NULL),
            holder = NULL, lease_until = NULL
         WHERE campaign = ?1 AND id = ?2",
    )?
    .execute(params![
        campaign(lease),
        id(lease),
        reason.as_str(),
        ms(due),
        ms(wake_at),
        queued,
        attempts + i64::from(deferral.uses_attempt),
        failure.map(to_json).transpose()?,
        grows_older(reason, failure)
    ])?;
    conn.prepare_cached(
        "INSERT INTO waits (campaign, id, at, reason, due_at, failure)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        campaign(lease),
        id(lease),
        ms(now),
        reason.as_str(),
        ms(due),
        failure.map(to_json).transpose()?
    ])?;
    Ok(())
}

fn release(conn: &Connection, lease: &Lease, queued: bool, now: Timestamp) -> Result<()> {
    let queue_after = (!queued).then(|| ms(now));
    conn.prepare_cached(
        "UPDATE turns SET state = 'waiting', queued = ?3, queue_after = ?4, tried_since = NULL,
            holder = NULL, lease_until = NULL
         WHERE campaign = ?1 AND id = ?2",
    )?
    .execute(params![campaign(lease), id(lease), queued, queue_after])?;
    Ok(())
}

fn campaign(lease: &Lease) -> &str {
    lease.key.campaign.as_str()
}

fn id(lease: &Lease) -> &str {
    lease.key.id.as_str()
}
