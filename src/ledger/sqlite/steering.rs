//! Steering: the states of campaigns, the consumers that confirm them, and messages that have not begun.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::SqliteStore;
use super::session::SqliteSession;
use crate::ledger::calls::{counts, one_campaign, record_operation};
use crate::ledger::columns::{
    campaign_id, column, count, from_json, keepable, ms, outcome, since, to_json, word,
};
use crate::ledger::session::at_once;
use crate::ledger::{
    AuditedOperation, CampaignRecord, ConsumerRow, Ending, LedgerError, MessageCounts,
    OpenOfSender, PauseScope, Renewal, Renewed, Result, StateChange, Transition,
};
use crate::message::{Address, CampaignId, Effects, Message, SkipReason};

impl SqliteStore {
    pub(in crate::ledger) async fn change_state(
        &self,
        id: &CampaignId,
        change: &StateChange,
        now: Timestamp,
    ) -> Result<Transition> {
        let (id, change) = (id.clone(), change.clone());
        self.write(move |conn| change_state(conn, &id, &change, now))
            .await
    }

    pub(in crate::ledger) async fn change_pause(
        &self,
        scope: &PauseScope,
        is_paused: bool,
        operation: &AuditedOperation,
        now: Timestamp,
    ) -> Result<bool> {
        let (scope, operation) = (scope.clone(), operation.clone());
        self.write(move |conn| change_pause(conn, &scope, is_paused, &operation, now))
            .await
    }

    pub(in crate::ledger) async fn renew_right(
        &self,
        renewal: &Renewal,
        now: Timestamp,
    ) -> Result<Renewed> {
        let renewal = renewal.clone();
        self.write(move |conn| renew(conn, &renewal, now)).await
    }

    pub(in crate::ledger) async fn consumers(
        &self,
        now: Timestamp,
    ) -> Result<(i64, Vec<ConsumerRow>)> {
        self.read(move |conn| consumers(conn, now)).await
    }

    pub(in crate::ledger) async fn skip_unbegun(
        &self,
        campaign: &CampaignId,
        reason: SkipReason,
        now: Timestamp,
        limit: usize,
    ) -> Result<u64> {
        let campaign = campaign.clone();
        self.write(move |conn| skip(conn, &campaign, reason, now, limit))
            .await
    }

    pub(in crate::ledger) async fn open_by_sender(
        &self,
        campaign: &CampaignId,
    ) -> Result<Vec<OpenOfSender>> {
        let campaign = campaign.clone();
        self.read(move |conn| open_by_sender(conn, &campaign)).await
    }

    pub(in crate::ledger) async fn move_sender(
        &self,
        campaign: &CampaignId,
        from: &Address,
        to: &Address,
        now: Timestamp,
        limit: usize,
    ) -> Result<u64> {
        let (campaign, from, to) = (campaign.clone(), from.clone(), to.clone());
        self.write(move |conn| move_sender(conn, &campaign, &from, &to, now, limit))
            .await
    }
}

/// Changes a campaign's state where the rules allow it. It is one transaction of the only writer: no renewal of a
/// consumer's right comes in between.
fn change_state(
    conn: &Connection,
    id: &CampaignId,
    change: &StateChange,
    now: Timestamp,
) -> Result<Transition> {
    let before = at_once(one_campaign(&SqliteSession(conn), id))?
        .ok_or_else(|| LedgerError::NoCampaign(id.clone()))?;
    let transition = change.on(&before, now);
    if let Transition::Made(after) = &transition {
        write_state(conn, after)?;
        if let Some(operation) = AuditedOperation::of_change(change, id) {
            let session = &SqliteSession(conn);
            let counted = at_once(counts(session, Some(id)))?;
            let before = MessageCounts {
                state: Some(before.state),
                ..counted
            };
            at_once(record_operation(
                session,
                &operation,
                Some(&before),
                Some(&counted),
                now,
            ))?;
        }
    }
    Ok(transition)
}

/// Begins or ends a pause. As [`change_state`].
fn change_pause(
    conn: &Connection,
    scope: &PauseScope,
    is_paused: bool,
    operation: &AuditedOperation,
    now: Timestamp,
) -> Result<bool> {
    let [scope, name] = scope.columns();
    let changed = if is_paused {
        let sql = "INSERT INTO pauses (scope, name, actor, reason, since)
                   VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";
        let actor = to_json(&operation.by)?;
        let reason = operation.reason.as_deref().map(keepable);
        conn.prepare_cached(sql)?
            .execute(params![scope, name, actor, reason, ms(now)])?
    } else {
        let sql = "DELETE FROM pauses WHERE scope = ?1 AND name = ?2";
        conn.prepare_cached(sql)?.execute([scope, name])?
    };
    if changed == 0 {
        return Ok(false);
    }
    count_change(conn)?;
    let session = &SqliteSession(conn);
    let counted = at_once(counts(session, None))?;
    at_once(record_operation(
        session,
        operation,
        Some(&counted),
        Some(&counted),
        now,
    ))?;
    Ok(true)
}

fn write_state(conn: &Connection, record: &CampaignRecord) -> Result<()> {
    conn.prepare_cached(
        "UPDATE campaigns SET state = ?2, reason = ?3, stopped_by = ?4, state_since = ?5,
            changed_at = ?6
         WHERE id = ?1",
    )?
    .execute(params![
        record.id.as_str(),
        record.state.as_str(),
        record.reason,
        record.stopped_by().map(to_json).transpose()?,
        ms(record.state_since),
        ms(record.changed_at)
    ])?;
    count_change(conn)
}

/// Counts a change that consumers confirm.
fn count_change(conn: &Connection) -> Result<()> {
    let sql = "UPDATE meta SET value = CAST(value AS INTEGER) + 1 WHERE name = 'changes'";
    conn.prepare_cached(sql)?.execute([])?;
    Ok(())
}

pub(super) fn renew(conn: &Connection, renewal: &Renewal, now: Timestamp) -> Result<Renewed> {
    conn.prepare_cached(
        "INSERT INTO consumers (holder, host, pid, renewed_at, confirmed)
         VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (holder) DO UPDATE
         SET renewed_at = excluded.renewed_at, confirmed = excluded.confirmed",
    )?
    .execute(params![
        renewal.holder,
        renewal.host,
        renewal.pid,
        ms(now),
        renewal.confirmed
    ])?;
    let sql = "SELECT id, state FROM campaigns WHERE state IN ('paused', 'cancelled')";
    let stopped = conn
        .prepare_cached(sql)?
        .query_and_then([], |row| {
            let id = campaign_id(&row.get::<_, String>(0)?)?;
            Ok((id, word(&row.get::<_, String>(1)?)?))
        })?
        .collect::<Result<_>>()?;
    let sql = "SELECT scope, name FROM pauses ORDER BY scope, name";
    let paused = conn
        .prepare_cached(sql)?
        .query_and_then([], |row| {
            PauseScope::read(&row.get::<_, String>(0)?, &row.get::<_, String>(1)?)
        })?
        .collect::<Result<_>>()?;
    Ok(Renewed {
        change: last_change(conn)?,
        stopped,
        paused,
    })
}

/// All consumers, whatever the age of their renewals: the clock may have been set between two processes.
fn consumers(conn: &Connection, now: Timestamp) -> Result<(i64, Vec<ConsumerRow>)> {
    let sql = "SELECT holder, host, pid, confirmed, renewed_at FROM consumers ORDER BY holder";
    let rows = conn
        .prepare_cached(sql)?
        .query_and_then([], |row| {
            Ok(ConsumerRow {
                holder: row.get(0)?,
                host: row.get(1)?,
                pid: row.get(2)?,
                confirmed: row.get(3)?,
                quiet_for: since(row.get(4)?, ms(now)),
            })
        })?
        .collect::<Result<_>>()?;
    Ok((last_change(conn)?, rows))
}

fn last_change(conn: &Connection) -> Result<i64> {
    let sql = "SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'changes'";
    Ok(conn.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

/// Selects a turn `t` that cannot have effects at Twilio and is not in flight.
const IS_UNBEGUN: &str = "t.state <> 'in_flight' AND t.doubtful = 0 AND NOT EXISTS
    (SELECT 1 FROM journal j WHERE j.campaign = t.campaign AND j.id = t.id)";

fn skip(
    conn: &Connection,
    campaign: &CampaignId,
    reason: SkipReason,
    now: Timestamp,
    limit: usize,
) -> Result<u64> {
    let ending = Ending::Skipped {
        reason,
        detail: None,
    };
    let (word, reason) = outcome(&ending);
    let sql = format!(
        "DELETE FROM turns WHERE (campaign, id) IN (
            SELECT t.campaign, t.id FROM turns t
            WHERE t.campaign = ?1 AND {IS_UNBEGUN} ORDER BY t.id LIMIT ?2)
         RETURNING id, attempts"
    );
    let ended = conn
        .prepare_cached(&sql)?
        .query_and_then(params![campaign.as_str(), column(limit as u64)], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
        })?
        .collect::<Result<Vec<_>>>()?;
    let mut insert = conn.prepare_cached(
        "INSERT INTO outcomes (campaign, id, outcome, reason, detail, effects, attempts, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    let (detail, effects) = (to_json(&ending)?, to_json(&Effects::default())?);
    for (id, attempts) in &ended {
        let campaign = campaign.as_str();
        insert.execute(params![
            campaign,
            id,
            word,
            reason,
            detail,
            effects,
            attempts,
            ms(now)
        ])?;
    }
    Ok(ended.len() as u64)
}

fn open_by_sender(conn: &Connection, campaign: &CampaignId) -> Result<Vec<OpenOfSender>> {
    let sql = format!(
        "SELECT json_extract(m.payload, '$.sender') AS sender, sum({IS_UNBEGUN}), count(*)
         FROM turns t JOIN messages m ON m.campaign = t.campaign AND m.id = t.id
         WHERE t.campaign = ?1 AND sender IS NOT NULL GROUP BY sender ORDER BY sender"
    );
    conn.prepare_cached(&sql)?
        .query_and_then([campaign.as_str()], |row| {
            let (sender, unbegun, open): (String, i64, i64) =
                (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(OpenOfSender {
                sender: address(&sender)?,
                unbegun: count(unbegun),
                begun: count(open - unbegun),
            })
        })?
        .collect()
}

fn move_sender(
    conn: &Connection,
    campaign: &CampaignId,
    from: &Address,
    to: &Address,
    now: Timestamp,
    limit: usize,
) -> Result<u64> {
    let sql = format!(
        "SELECT m.id, m.payload FROM turns t
         JOIN messages m ON m.campaign = t.campaign AND m.id = t.id
         WHERE t.campaign = ?1 AND {IS_UNBEGUN} AND json_extract(m.payload, '$.sender') = ?2
         LIMIT ?3"
    );
    let rows = conn
        .prepare_cached(&sql)?
        .query_and_then(
            params![campaign.as_str(), from.as_str(), column(limit as u64)],
            |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)),
        )?
        .collect::<Result<Vec<_>>>()?;
    let mut write =
        conn.prepare_cached("UPDATE messages SET payload = ?3 WHERE campaign = ?1 AND id = ?2")?;
    // The message no longer waits for the old sender's lanes.
    let mut wake = conn.prepare_cached(
        "UPDATE turns SET backlog = NULL, backlog_since = NULL,
            due_at = CASE WHEN reason = 'pace' THEN ?3 ELSE due_at END,
            wake_at = CASE WHEN reason = 'pace' THEN ?3 ELSE wake_at END
         WHERE campaign = ?1 AND id = ?2",
    )?;
    for (id, payload) in &rows {
        let mut message: Message = from_json(payload)?;
        message.sender = Some(to.clone());
        let key = [campaign.as_str(), id.as_str()];
        write.execute([key[0], key[1], &to_json(&message)?])?;
        wake.execute(params![key[0], key[1], ms(now)])?;
    }
    Ok(rows.len() as u64)
}

fn address(text: &str) -> Result<Address> {
    // The error is not shown: it could contain the address.
    Address::parse(text).map_err(|_| LedgerError::Damaged("a message's sender".to_owned()))
}
