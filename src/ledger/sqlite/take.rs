//! Taking a delivered message: who may work on it.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, params};

use crate::ledger::{EARLY, Lease, LedgerError, MessageKey, Result, Standing, StoreRun, Taken};
use crate::message::Message;

use super::intake::{self, Offered};
use super::message::{Outcome, Turn, accepted, journal};
use super::ownership;
use crate::ledger::columns::{column, later, ms};

pub(super) fn take(
    conn: &Connection,
    delivered: &Message,
    holder: &str,
    now: Timestamp,
    lease_for: Duration,
) -> Result<Taken> {
    let key = MessageKey::of(delivered);
    // First whether it is over: were it in both places, to begin it again would be the worse error.
    if let Some(outcome) = Outcome::of(conn, &key)? {
        return Ok(Taken::Over(outcome.ending));
    }
    let until = later(now, lease_for);
    let Some(turn) = Turn::of(conn, &key)? else {
        return meet(conn, key, delivered, holder, now, until);
    };
    match turn.standing {
        Standing::Deferred { reason, due } if due > later(now, EARLY) => {
            return Ok(Taken::Deferred { reason, due });
        }
        Standing::InFlight { until, .. } if until > now => return Ok(Taken::Held { until }),
        _ => {}
    }
    let (message, accepted_at) = accepted(conn, &key)?.ok_or_else(|| lost(&key))?;
    let journal = journal(conn, &key)?.into_iter().map(|(_, event)| event);
    let journal: Vec<_> = journal.collect();
    let events = journal.len() as u64;
    Ok(Taken::Leased {
        distrusted_from: ownership::distrusted_from(conn, &key.campaign)?,
        message: Box::new(message),
        journal,
        attempts: turn.attempts,
        accepted_at,
        tried_since: turn.tried_since.unwrap_or(now),
        fresh: false,
        called_from: turn.backlog.clone(),
        doubtful: turn.doubtful || matches!(turn.standing, Standing::InFlight { .. }),
        overtaken: is_overtaken(conn, &key, &turn, events)?,
        lease: lease(conn, key, turn.lease + 1, holder, (now, until), events)?,
    })
}

/// Whether somebody whose lease ran out lives, has announced a call and has not let go. Nobody has the
/// ledger but this process, so a lease that ran out was its own.
fn is_overtaken(conn: &Connection, key: &MessageKey, turn: &Turn, events: u64) -> Result<bool> {
    let key = (key.campaign.as_str(), key.id.as_str());
    let has_announced = events > turn.events_taken;
    if matches!(turn.standing, Standing::InFlight { .. }) && has_announced {
        conn.prepare_cached("INSERT INTO overtaken (campaign, id, lease) VALUES (?1, ?2, ?3)")?
            .execute((key.0, key.1, turn.lease))?;
    }
    let sql = "SELECT EXISTS (SELECT 1 FROM overtaken WHERE campaign = ?1 AND id = ?2)";
    Ok(conn.prepare_cached(sql)?.query_row(key, |row| row.get(0))?)
}

pub(super) fn let_go(conn: &Connection, lease: &Lease) -> Result<()> {
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
    Ok(Taken::Leased {
        distrusted_from: ownership::distrusted_from(conn, &key.campaign)?,
        message: Box::new(message.clone()),
        journal: Vec::new(),
        attempts: 0,
        accepted_at: now,
        tried_since: now,
        fresh: true,
        called_from: None,
        doubtful: false,
        overtaken: false,
        lease: lease(conn, key, 1, holder, (now, until), 0)?,
    })
}

/// Puts the message in flight. It was delivered, so the queue has it and brings it back until it is
/// acknowledged.
fn lease(
    conn: &Connection,
    key: MessageKey,
    number: i64,
    holder: &str,
    (now, until): (Timestamp, Timestamp),
    events: u64,
) -> Result<Lease> {
    conn.prepare_cached("DELETE FROM damaged WHERE campaign = ?1 AND id = ?2")?
        .execute([key.campaign.as_str(), key.id.as_str()])?;
    conn.prepare_cached(
        "UPDATE turns SET state = 'in_flight', reason = NULL, due_at = NULL, wake_at = NULL,
            held_for = NULL, backlog = NULL, backlog_since = NULL,
            queued = 1, queue_after = NULL, holder = ?3, lease = ?4, lease_until = ?5,
            events_taken = ?6, doubtful = doubtful OR state = 'in_flight',
            tried_since = coalesce(tried_since, ?7)
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
