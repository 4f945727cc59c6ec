//! Open messages that have not begun: what an operator does to many of them at once.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use crate::ledger::columns::{column, count, from_json, ms, outcome, to_json};
use crate::ledger::{Ending, LedgerError, OpenOfSender, Result};
use crate::message::{Address, CampaignId, Effects, Message, SkipReason};

/// A turn `t` of which nothing can stand at Twilio, and that no consumer has in flight.
const IS_UNBEGUN: &str = "t.state <> 'in_flight' AND t.doubtful = 0 AND NOT EXISTS
    (SELECT 1 FROM journal j WHERE j.campaign = t.campaign AND j.id = t.id)";

pub(super) fn skip(
    conn: &Connection,
    campaign: &CampaignId,
    now: Timestamp,
    limit: usize,
) -> Result<u64> {
    let ending = Ending::Skipped {
        reason: SkipReason::Cancelled,
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

pub(super) fn end_waits(
    conn: &Connection,
    campaign: &CampaignId,
    retries: bool,
    now: Timestamp,
) -> Result<u64> {
    let due = conn
        .prepare_cached(
            "UPDATE turns SET due_at = ?2, wake_at = ?2
             WHERE campaign = ?1 AND state = 'deferred' AND (?3 OR reason <> 'retry')
               AND due_at > ?2",
        )?
        .execute(params![campaign.as_str(), ms(now), retries])?;
    Ok(due as u64)
}

pub(super) fn open_by_sender(
    conn: &Connection,
    campaign: &CampaignId,
) -> Result<Vec<OpenOfSender>> {
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

pub(super) fn move_sender(
    conn: &Connection,
    campaign: &CampaignId,
    (from, to): (&Address, &Address),
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
    // It waits for the old sender's lanes no more.
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
    // The error is not shown: it could hold the address.
    Address::parse(text).map_err(|_| LedgerError::Damaged("a message's sender".to_owned()))
}
