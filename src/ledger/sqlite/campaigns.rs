//! What the ledger is tied to, and its campaigns.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::ledger::lifecycle::KeptState;
use crate::ledger::{CampaignRecord, LedgerError, Result, StateChange, Transition, WORKED_OFF};
use crate::message::CampaignId;

use crate::ledger::columns::{campaign_id, from_json, ms, time, to_json, word};

pub(super) fn id(conn: &Connection) -> Result<String> {
    meta(conn, "id")?
        .ok_or_else(|| LedgerError::Unavailable("its table of names holds no id".to_owned()))
}

pub(super) fn bind(conn: &Connection, account_sid: &str, base: &str) -> Result<()> {
    match (meta(conn, "account_sid")?, meta(conn, "base")?) {
        (Some(account), Some(at)) if account == account_sid && at == base => Ok(()),
        (Some(account), Some(at)) => Err(LedgerError::BoundElsewhere {
            ours: format!("account {account_sid} at {base}"),
            theirs: format!("account {account} at {at}"),
        }),
        _ => {
            let mut insert =
                conn.prepare_cached("INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)")?;
            insert.execute(["account_sid", account_sid])?;
            insert.execute(["base", base])?;
            Ok(())
        }
    }
}

/// Stores a campaign; with `only_idle` one that exists only while no message of it is open.
pub(super) fn save(conn: &Connection, record: &CampaignRecord, only_idle: bool) -> Result<bool> {
    let saved = conn
        .prepare_cached(
            "INSERT INTO campaigns (id, state, reason, stopped_by, state_since, definition,
                applied_at, changed_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (id) DO UPDATE
             SET definition = excluded.definition, changed_at = excluded.changed_at
             WHERE NOT ?9 OR NOT EXISTS (SELECT 1 FROM turns WHERE campaign = ?1)",
        )?
        .execute(params![
            record.id.as_str(),
            record.state.as_str(),
            record.reason,
            record.stopped_by().map(to_json).transpose()?,
            ms(record.state_since),
            to_json(&record.definition)?,
            ms(record.applied_at),
            ms(record.changed_at),
            only_idle,
        ])?;
    Ok(saved == 1)
}

pub(super) fn redefine(
    conn: &Connection,
    id: &CampaignId,
    from: &serde_json::Value,
    to: &serde_json::Value,
    now: Timestamp,
) -> Result<bool> {
    let changed = conn
        .prepare_cached(
            "UPDATE campaigns SET definition = ?3, changed_at = ?4
             WHERE id = ?1 AND definition = ?2",
        )?
        .execute(params![id.as_str(), to_json(from)?, to_json(to)?, ms(now)])?;
    Ok(changed == 1)
}

const SELECT: &str =
    "SELECT id, state, reason, stopped_by, state_since, definition, applied_at, changed_at, again_at,
        distrusted_from
    FROM campaigns";

pub(super) fn one(conn: &Connection, id: &CampaignId) -> Result<Option<CampaignRecord>> {
    conn.prepare_cached(&format!("{SELECT} WHERE id = ?1"))?
        .query_row([id.as_str()], |row| Ok(record(row)))
        .optional()?
        .transpose()
}

pub(super) fn all(conn: &Connection) -> Result<Vec<CampaignRecord>> {
    conn.prepare_cached(&format!("{SELECT} ORDER BY number"))?
        .query_and_then([], record)?
        .collect()
}

/// Changes a campaign's state where its rules allow it. One transaction of the one writer: no renewal of a
/// consumer's right comes in between.
pub(super) fn change_state(
    conn: &Connection,
    id: &CampaignId,
    change: &StateChange,
    now: Timestamp,
) -> Result<Transition> {
    let before = one(conn, id)?.ok_or_else(|| LedgerError::NoCampaign(id.clone()))?;
    let transition = change.on(&before, now);
    if let Transition::Made(after) = &transition {
        write_state(conn, after)?;
    }
    Ok(transition)
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
    conn.prepare_cached(
        "UPDATE meta SET value = CAST(value AS INTEGER) + 1 WHERE name = 'changes'",
    )?
    .execute([])?;
    Ok(())
}

/// Lets a campaign run again that was finished.
pub(super) fn run_again(conn: &Connection, id: &CampaignId, now: Timestamp) -> Result<()> {
    conn.prepare_cached(
        "UPDATE campaigns SET state = 'running', reason = NULL, state_since = ?2, changed_at = ?2
         WHERE id = ?1 AND state = 'finished'",
    )?
    .execute(params![id.as_str(), ms(now)])?;
    Ok(())
}

/// One transaction of the one writer: nothing comes in between.
pub(super) fn finish(
    conn: &Connection,
    id: &CampaignId,
    by_itself: bool,
    now: Timestamp,
) -> Result<bool> {
    let finished = conn
        .prepare_cached(
            "UPDATE campaigns SET state = 'finished', reason = ?4, stopped_by = NULL,
                state_since = ?2, changed_at = ?2
             WHERE id = ?1 AND state <> 'cancelled' AND NOT EXISTS (SELECT 1 FROM turns WHERE campaign = ?1)
               AND (NOT ?3 OR (state = 'running'
                 AND EXISTS (SELECT 1 FROM imports WHERE campaign = ?1)
                 AND NOT EXISTS (
                    SELECT 1 FROM imports i
                    WHERE i.campaign = ?1 AND i.ended_at IS NULL AND NOT EXISTS (
                        SELECT 1 FROM imports later
                        WHERE later.campaign = ?1 AND later.number > i.number
                          AND (later.file = i.file OR later.sha256 = i.sha256)
                          AND later.ended_at IS NOT NULL))))",
        )?
        .execute(params![
            id.as_str(),
            ms(now),
            by_itself,
            by_itself.then_some(WORKED_OFF)
        ])?;
    Ok(finished == 1)
}

fn meta(conn: &Connection, name: &str) -> Result<Option<String>> {
    Ok(conn
        .prepare_cached("SELECT value FROM meta WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?)
}

fn record(row: &Row<'_>) -> Result<CampaignRecord> {
    let stopped_by: Option<String> = row.get(3)?;
    let again_at: Option<i64> = row.get(8)?;
    let distrusted_from: Option<i64> = row.get(9)?;
    let kept = KeptState {
        state: word(&row.get::<_, String>(1)?)?,
        reason: row.get(2)?,
        stopped_by: stopped_by.as_deref().map(from_json).transpose()?,
        since: time(row.get(4)?)?,
    };
    Ok(kept.of(&CampaignRecord {
        applied_at: time(row.get(6)?)?,
        changed_at: time(row.get(7)?)?,
        published_again_at: again_at.map(time).transpose()?,
        distrusted_from: distrusted_from.map(time).transpose()?,
        ..CampaignRecord::running(
            campaign_id(&row.get::<_, String>(0)?)?,
            from_json(&row.get::<_, String>(5)?)?,
            Timestamp::UNIX_EPOCH,
        )
    }))
}
