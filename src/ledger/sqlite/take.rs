//! Takes delivered messages: gives, releases and ends leases.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::ledger::{
    EARLY, Lease, LeasedMessage, LedgerError, MessageKey, Result, Standing, StoreRun, Taken,
};
use crate::message::{CampaignId, Message};

use super::SqliteStore;
use super::intake::{self, Offered};
use super::message::{OutcomeRow, TurnRow, accepted, journal};
use crate::ledger::columns::{column, later, ms, time};

impl SqliteStore {
    /// Does nothing: a consumer that holds the file has it alone, and no process checks whether it is alive.
    pub(in crate::ledger) async fn show_alive(&self, _holder: &str) -> Result<()> {
        Ok(())
    }

    pub(in crate::ledger) async fn take(
        &self,
        message: &Message,
        holder: &str,
        now: Timestamp,
        lease_for: Duration,
    ) -> Result<Taken> {
        let (message, holder) = (message.clone(), holder.to_owned());
        self.write(move |conn| take(conn, &message, &holder, now, lease_for))
            .await
    }

    pub(in crate::ledger) async fn release_lease(&self, lease: &Lease) -> Result<()> {
        let lease = lease.clone();
        self.write(move |conn| release_lease(conn, &lease)).await
    }

    pub(in crate::ledger) async fn release_leases(&self) -> Result<u64> {
        self.write(release_leases).await
    }

    /// A consumer has the file alone: all other holders are dead.
    pub(in crate::ledger) async fn sweep_leases(
        &self,
        holder: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<u64> {
        let holder = holder.to_owned();
        self.write(move |conn| sweep(conn, &holder, now, limit))
            .await
    }
}

pub(super) fn take(
    conn: &Connection,
    delivered: &Message,
    holder: &str,
    now: Timestamp,
    lease_for: Duration,
) -> Result<Taken> {
    let key = MessageKey::of(delivered);
    // Whether the message is over comes first: if it had both records, beginning it again would be the worse error.
    if let Some(outcome) = OutcomeRow::of(conn, &key)? {
        return Ok(Taken::Over(outcome.ending));
    }
    let until = later(now, lease_for);
    let Some(turn) = TurnRow::of(conn, &key)? else {
        return meet(conn, key, delivered, holder, now, until);
    };
    match turn.standing {
        Standing::Waits { reason, due } if due > later(now, EARLY) => {
            return Ok(Taken::Waits { reason, due });
        }
        Standing::InFlight { until, .. } if until > now => return Ok(Taken::Held { until }),
        _ => {}
    }
    let (message, accepted_at) = accepted(conn, &key)?.ok_or_else(|| lost(&key))?;
    let journal = journal(conn, &key)?.into_iter().map(|(_, event)| event);
    let journal: Vec<_> = journal.collect();
    let events = journal.len() as u64;
    Ok(Taken::Leased(Box::new(LeasedMessage {
        distrusted_from: distrusted_from(conn, &key.campaign)?,
        message,
        journal,
        attempts: turn.attempts,
        accepted_at,
        tried_since: now.checked_sub(turn.tried_for).unwrap_or(now),
        fresh: false,
        called_from: turn.backlog.clone(),
        doubtful: turn.doubtful || matches!(turn.standing, Standing::InFlight { .. }),
        overtaken: is_overtaken(conn, &key, &turn, events)?,
        lease: lease(conn, key, turn.lease + 1, holder, now, until, events)?,
    })))
}

/// Whether an earlier lease expired under which calls were announced, and was not released: its holder may still send.
/// Only this process uses the ledger, so that the expired lease was its own.
fn is_overtaken(conn: &Connection, key: &MessageKey, turn: &TurnRow, events: u64) -> Result<bool> {
    let key = (key.campaign.as_str(), key.id.as_str());
    let has_announced = events > turn.events_taken;
    if matches!(turn.standing, Standing::InFlight { .. }) && has_announced {
        conn.prepare_cached("INSERT INTO overtaken (campaign, id, lease) VALUES (?1, ?2, ?3)")?
            .execute((key.0, key.1, turn.lease))?;
    }
    let sql = "SELECT EXISTS (SELECT 1 FROM overtaken WHERE campaign = ?1 AND id = ?2)";
    Ok(conn.prepare_cached(sql)?.query_row(key, |row| row.get(0))?)
}

pub(super) fn release_lease(conn: &Connection, lease: &Lease) -> Result<()> {
    let key = &lease.key;
    let of = params![key.campaign.as_str(), key.id.as_str(), lease.number];
    conn.prepare_cached("DELETE FROM overtaken WHERE campaign = ?1 AND id = ?2 AND lease = ?3")?
        .execute(of)?;
    conn.prepare_cached(
        "UPDATE turns SET state = 'waiting', queued = 1, holder = NULL, lease_until = NULL,
            doubtful = 1
         WHERE campaign = ?1 AND id = ?2 AND lease = ?3 AND state = 'in_flight'",
    )?
    .execute(of)?;
    Ok(())
}

/// Accepts a publisher's message at its first delivery, and leases it.
fn meet(
    conn: &Connection,
    key: MessageKey,
    message: &Message,
    holder: &str,
    now: Timestamp,
    until: Timestamp,
) -> Result<Taken> {
    if !intake::insert(conn, &key.campaign, &Offered::of(message)?, now)? {
        if accepted(conn, &key)?.is_some() {
            return Err(lost(&key));
        }
        let by = intake::address_taken_by(conn, &key.campaign, message.customer.address.as_str())?;
        return Ok(Taken::AddressTaken { by });
    }
    conn.prepare_cached(
        "INSERT INTO turns (campaign, id, state, queued) VALUES (?1, ?2, 'waiting', 1)",
    )?
    .execute([key.campaign.as_str(), key.id.as_str()])?;
    Ok(Taken::Leased(Box::new(LeasedMessage {
        distrusted_from: distrusted_from(conn, &key.campaign)?,
        message: message.clone(),
        journal: Vec::new(),
        attempts: 0,
        accepted_at: now,
        tried_since: now,
        fresh: true,
        called_from: None,
        doubtful: false,
        overtaken: false,
        lease: lease(conn, key, 1, holder, now, until, 0)?,
    })))
}

/// Sets the message to in flight. Because it was delivered, it is on the queue, which delivers it again until it is
/// acknowledged.
fn lease(
    conn: &Connection,
    key: MessageKey,
    number: i64,
    holder: &str,
    now: Timestamp,
    until: Timestamp,
    events: u64,
) -> Result<Lease> {
    conn.prepare_cached("DELETE FROM damaged WHERE campaign = ?1 AND id = ?2")?
        .execute([key.campaign.as_str(), key.id.as_str()])?;
    conn.prepare_cached(
        "UPDATE turns SET state = 'in_flight', reason = NULL, due_at = NULL, wake_at = NULL,
            held_for = NULL, backlog = NULL, backlog_since = NULL,
            queued = 1, queue_after = NULL, holder = ?3, lease = ?4, lease_until = ?5,
            events_taken = ?6, doubtful = doubtful OR state = 'in_flight',
            tried_since = ?7 - coalesce(max(0, tried_until - tried_since), 0), tried_until = ?7
         WHERE campaign = ?1 AND id = ?2",
    )?
    .execute(params![
        key.campaign.as_str(),
        key.id.as_str(),
        holder,
        number,
        ms(until),
        column(events),
        ms(now)
    ])?;
    Ok(Lease {
        key,
        number,
        until,
        run: StoreRun::default(),
    })
}

fn lost(key: &MessageKey) -> LedgerError {
    LedgerError::Damaged(format!(
        "message {key} is neither open nor over: one of its records was lost"
    ))
}

fn release_leases(conn: &Connection) -> Result<u64> {
    // The caller has the file alone: all other consumers are dead.
    conn.execute("DELETE FROM consumers", [])?;
    conn.execute("DELETE FROM overtaken", [])?;
    // Restricted by campaign, so that it uses the index of states and does not read a million turns.
    let released = conn
        .prepare_cached(
            "UPDATE turns SET state = 'waiting', queued = 1, queue_after = NULL,
                holder = NULL, lease_until = NULL, doubtful = 1
             WHERE campaign IN (SELECT id FROM campaigns) AND state = 'in_flight'",
        )?
        .execute([])?;
    conn.prepare_cached("UPDATE undos SET holder = NULL, lease_until = NULL")?
        .execute([])?;
    Ok(released as u64)
}

fn sweep(conn: &Connection, holder: &str, now: Timestamp, limit: usize) -> Result<u64> {
    let swept = conn
        .prepare_cached(
            "UPDATE turns SET state = 'waiting', queued = 1, queue_after = NULL,
                holder = NULL, lease_until = NULL, doubtful = 1
             WHERE (campaign, id) IN (
                SELECT campaign, id FROM turns
                WHERE campaign IN (SELECT id FROM campaigns) AND state = 'in_flight'
                  AND lease_until <= ?2 AND holder IS NOT ?1
                LIMIT ?3)",
        )?
        .execute(params![holder, ms(now), column(limit as u64)])?;
    Ok(swept as u64)
}

pub(super) fn distrusted_from(
    conn: &Connection,
    campaign: &CampaignId,
) -> Result<Option<Timestamp>> {
    let sql = "SELECT distrusted_from FROM campaigns WHERE id = ?1";
    let from: Option<Option<i64>> = conn
        .prepare_cached(sql)?
        .query_row([campaign.as_str()], |row| row.get(0))
        .optional()?;
    from.flatten().map(time).transpose()
}
