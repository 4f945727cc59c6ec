//! What the ledger is tied to, and its campaigns.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::ledger::{CampaignRecord, CampaignState, LedgerError, Result, WORKED_OFF};
use crate::message::CampaignId;

use crate::ledger::columns::{campaign_id, from_json, ms, time, to_json, word};

pub(super) fn id(conn: &Connection) -> Result<String> {
    meta(conn, "id")?.ok_or_else(|| LedgerError::Damaged("it has lost its name".to_owned()))
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

/// Writes something, for the sake of writing.
pub(super) fn probe(conn: &Connection) -> Result<()> {
    conn.prepare_cached("UPDATE meta SET value = 1 - value WHERE name = 'probe'")?
        .execute([])?;
    Ok(())
}

pub(super) fn save(conn: &Connection, record: &CampaignRecord) -> Result<()> {
    conn.prepare_cached(
        "INSERT INTO campaigns (id, state, reason, definition, applied_at, changed_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (id) DO UPDATE
         SET definition = excluded.definition, changed_at = excluded.changed_at",
    )?
    .execute(params![
        record.id.as_str(),
        record.state.as_str(),
        record.reason,
        to_json(&record.definition)?,
        ms(record.applied_at),
        ms(record.changed_at),
    ])?;
    Ok(())
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

const SELECT: &str = "SELECT id, state, reason, definition, applied_at, changed_at FROM campaigns";

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

pub(super) fn set_state(
    conn: &Connection,
    id: &CampaignId,
    state: CampaignState,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<()> {
    let changed = conn
        .prepare_cached(
            "UPDATE campaigns SET state = ?2, reason = ?3, changed_at = ?4 WHERE id = ?1",
        )?
        .execute(params![id.as_str(), state.as_str(), reason, ms(now)])?;
    if changed == 0 {
        return Err(LedgerError::NoCampaign(id.clone()));
    }
    Ok(())
}

/// Lets a campaign run again that was finished.
pub(super) fn run_again(conn: &Connection, id: &CampaignId, now: Timestamp) -> Result<()> {
    conn.prepare_cached(
        "UPDATE campaigns SET state = 'running', reason = NULL, changed_at = ?2
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
            "UPDATE campaigns SET state = 'finished', reason = ?4, changed_at = ?2
             WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM turns WHERE campaign = ?1)
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
    Ok(CampaignRecord {
        id: campaign_id(&row.get::<_, String>(0)?)?,
        state: word(&row.get::<_, String>(1)?)?,
        reason: row.get(2)?,
        definition: from_json(&row.get::<_, String>(3)?)?,
        applied_at: time(row.get(4)?)?,
        changed_at: time(row.get(5)?)?,
    })
}
