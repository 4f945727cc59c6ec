//! Dead letters: messages that failed for good, and deliveries that were no message.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use crate::ledger::{DeadRow, Ending, LedgerError, Result, Stray, UpcomingUndo};
use crate::message::{CampaignId, DeadReason, Failure, FailureClass, masked};

use crate::ledger::columns::{campaign_id, column, from_json, message_id, ms, time, word};

pub(super) fn record_stray(conn: &Connection, stray: &Stray, now: Timestamp) -> Result<()> {
    let sql = "INSERT INTO strays (campaign, reason, detail, body, at) VALUES (?1, ?2, ?3, ?4, ?5)";
    conn.prepare_cached(sql)?.execute(params![
        stray.campaign.as_str(),
        stray.reason.as_str(),
        stray.detail,
        stray.body,
        ms(now)
    ])?;
    Ok(())
}

pub(super) fn dead(
    conn: &Connection,
    campaign: Option<&CampaignId>,
    limit: usize,
) -> Result<Vec<DeadRow>> {
    let of_campaign = if campaign.is_some() {
        "AND o.campaign = ?2"
    } else {
        ""
    };
    let sql = format!(
        "SELECT o.campaign, o.id, m.address, o.attempts, o.at, o.detail, u.tries, u.due_at
         FROM outcomes o JOIN messages m USING (campaign, id)
         LEFT JOIN undos u USING (campaign, id)
         WHERE o.outcome = 'dead' {of_campaign} ORDER BY o.at, o.number LIMIT ?1"
    );
    let limit_rows = column(limit as u64);
    let mut statement = conn.prepare_cached(&sql)?;
    let rows = match campaign {
        Some(campaign) => statement.query_and_then(params![limit_rows, campaign.as_str()], letter),
        None => statement.query_and_then([limit_rows], letter),
    };
    let mut rows: Vec<DeadRow> = rows?.collect::<Result<_>>()?;
    if campaign.is_none() {
        let mut strays = conn.prepare_cached(
            "SELECT campaign, detail, at, reason FROM strays ORDER BY at, number LIMIT ?1",
        )?;
        for row in strays.query_and_then([limit_rows], stray)? {
            rows.push(row?);
        }
        rows.sort_by_key(|row| row.at);
        rows.truncate(limit);
    }
    Ok(rows)
}

fn letter(row: &Row<'_>) -> Result<DeadRow> {
    let ending: Ending = from_json(&row.get::<_, String>(5)?)?;
    let Ending::Dead { reason, failure } = ending else {
        return Err(LedgerError::Damaged(
            "an outcome is dead by its word and not by its detail".to_owned(),
        ));
    };
    Ok(DeadRow {
        campaign: campaign_id(&row.get::<_, String>(0)?)?,
        id: Some(message_id(&row.get::<_, String>(1)?)?),
        customer: Some(masked(&row.get::<_, String>(2)?)),
        attempts: row.get(3)?,
        at: time(row.get(4)?)?,
        failure: *failure,
        reason,
        undo: upcoming(row)?,
    })
}

fn upcoming(row: &Row<'_>) -> Result<Option<UpcomingUndo>> {
    let due: Option<i64> = row.get(7)?;
    let Some(due) = due else {
        return Ok(None);
    };
    Ok(Some(UpcomingUndo {
        tries: row.get(6)?,
        due: time(due)?,
    }))
}

fn stray(row: &Row<'_>) -> Result<DeadRow> {
    let reason: DeadReason = word(&row.get::<_, String>(3)?)?;
    let class = FailureClass::Permanent(reason);
    Ok(DeadRow {
        campaign: campaign_id(&row.get::<_, String>(0)?)?,
        id: None,
        customer: None,
        attempts: 0,
        at: time(row.get(2)?)?,
        failure: Failure::new(class, row.get::<_, String>(1)?),
        reason,
        undo: None,
    })
}
