//! Retries of undos: those of messages that are dead and stuck.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::ledger::columns::{campaign_id, column, later, message_id, ms, outcome, to_json};
use crate::ledger::{
    Ending, Lease, LedgerError, MessageKey, Result, StoreRun, Stuck, UndoSettlement,
};
use crate::message::{DeadReason, Effects, Event};

use super::SqliteStore;
use super::message::{OutcomeRow, accepted, append, journal};
use super::take::distrusted_from;

impl SqliteStore {
    pub(in crate::ledger) async fn due_undos(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<MessageKey>> {
        self.read(move |conn| due(conn, now, limit)).await
    }

    pub(in crate::ledger) async fn take_undo(
        &self,
        key: &MessageKey,
        holder: &str,
        now: Timestamp,
        lease_for: Duration,
    ) -> Result<Option<Stuck>> {
        let (key, holder) = (key.clone(), holder.to_owned());
        self.write(move |conn| take(conn, &key, &holder, now, lease_for))
            .await
    }

    pub(in crate::ledger) async fn settle_undo(
        &self,
        lease: &Lease,
        events: &[Event],
        settlement: &UndoSettlement,
        now: Timestamp,
    ) -> Result<()> {
        let (lease, events) = (lease.clone(), events.to_vec());
        let settlement = settlement.clone();
        self.write(move |conn| settle(conn, &lease, &events, &settlement, now))
            .await
    }
}

pub(super) fn due(conn: &Connection, now: Timestamp, limit: usize) -> Result<Vec<MessageKey>> {
    conn.prepare_cached(
        "SELECT u.campaign, u.id FROM undos u JOIN campaigns c ON c.id = u.campaign
         WHERE u.due_at <= ?1 AND (u.lease_until IS NULL OR u.lease_until <= ?1)
           AND NOT (c.state = 'paused' AND json_extract(c.stopped_by, '$.kind') = 'program')
         ORDER BY u.due_at, u.campaign, u.id LIMIT ?2",
    )?
    .query_and_then(params![ms(now), column(limit as u64)], |row| {
        Ok(MessageKey {
            campaign: campaign_id(&row.get::<_, String>(0)?)?,
            id: message_id(&row.get::<_, String>(1)?)?,
        })
    })?
    .collect()
}

pub(super) fn take(
    conn: &Connection,
    key: &MessageKey,
    holder: &str,
    now: Timestamp,
    lease_for: Duration,
) -> Result<Option<Stuck>> {
    let until = later(now, lease_for);
    let taken: Option<(i64, u32)> = conn
        .prepare_cached(
            "UPDATE undos SET holder = ?3, lease = lease + 1, lease_until = ?4
             WHERE campaign = ?1 AND id = ?2
               AND due_at <= ?5 AND (lease_until IS NULL OR lease_until <= ?5)
             RETURNING lease, tries",
        )?
        .query_row(
            params![
                key.campaign.as_str(),
                key.id.as_str(),
                holder,
                ms(until),
                ms(now)
            ],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let Some((number, tries)) = taken else {
        return Ok(None);
    };
    let ending = OutcomeRow::of(conn, key)?.map(|outcome| outcome.ending);
    let message = accepted(conn, key)?.map(|(message, _)| message);
    let (Some(Ending::Dead { failure, .. }), Some(message)) = (ending, message) else {
        return Err(LedgerError::Damaged(format!("message {key} is not stuck")));
    };
    let journal = journal(conn, key)?.into_iter().map(|(_, event)| event);
    Ok(Some(Stuck {
        journal: journal.collect(),
        lease: Lease {
            key: key.clone(),
            number,
            until,
            run: StoreRun::default(),
        },
        message,
        failure: *failure,
        tries,
        distrusted_from: distrusted_from(conn, &key.campaign)?,
    }))
}

/// Whether this lease is that of an undo under way.
pub(super) fn is_held(conn: &Connection, lease: &Lease) -> Result<bool> {
    Ok(conn
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM undos WHERE campaign = ?1 AND id = ?2 AND lease = ?3
                AND lease_until IS NOT NULL)",
        )?
        .query_row(
            params![
                lease.key.campaign.as_str(),
                lease.key.id.as_str(),
                lease.number
            ],
            |row| row.get(0),
        )?)
}

pub(super) fn settle(
    conn: &Connection,
    lease: &Lease,
    events: &[Event],
    settlement: &UndoSettlement,
    now: Timestamp,
) -> Result<()> {
    if !is_held(conn, lease)? {
        return Err(LedgerError::LeaseLost);
    }
    let key = &lease.key;
    append(conn, key, events, now)?;
    match settlement {
        UndoSettlement::Over { ending, effects } => {
            conn.prepare_cached("DELETE FROM undos WHERE campaign = ?1 AND id = ?2")?
                .execute([key.campaign.as_str(), key.id.as_str()])?;
            write(conn, key, ending, effects)
        }
        UndoSettlement::Left {
            failure,
            effects,
            due,
        } => {
            let ending = Ending::Dead {
                reason: DeadReason::Stuck,
                failure: failure.clone(),
            };
            write(conn, key, &ending, effects)?;
            put_off(conn, key, *due, 1)
        }
        UndoSettlement::Released { due } => put_off(conn, key, *due, 0),
    }
}

/// Replaces a message's ending. The time of its ending stays.
fn write(conn: &Connection, key: &MessageKey, ending: &Ending, effects: &Effects) -> Result<()> {
    let (word, reason) = outcome(ending);
    conn.prepare_cached(
        "UPDATE outcomes SET outcome = ?3, reason = ?4, detail = ?5, effects = ?6
         WHERE campaign = ?1 AND id = ?2",
    )?
    .execute(params![
        key.campaign.as_str(),
        key.id.as_str(),
        word,
        reason,
        to_json(ending)?,
        to_json(effects)?
    ])?;
    Ok(())
}

fn put_off(conn: &Connection, key: &MessageKey, due: Timestamp, tried: u32) -> Result<()> {
    conn.prepare_cached(
        "UPDATE undos SET due_at = ?3, tries = tries + ?4, holder = NULL, lease_until = NULL
         WHERE campaign = ?1 AND id = ?2",
    )?
    .execute(params![
        key.campaign.as_str(),
        key.id.as_str(),
        ms(due),
        tried
    ])?;
    Ok(())
}
