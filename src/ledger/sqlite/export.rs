//! Whole campaigns, page by page: every message with its place, every rejected row.

use rusqlite::{Connection, params};

use crate::ledger::{MessageKey, PageRow, RejectedRow, Result, Standing};
use crate::message::CampaignId;

use super::message::{Outcome, Turn};
use crate::ledger::columns::{column, from_json, time, word};

pub(super) fn page(
    conn: &Connection,
    campaign: &CampaignId,
    after: i64,
    limit: usize,
) -> Result<Vec<PageRow>> {
    let mut rows: Vec<PageRow> = conn
        .prepare_cached(
            "SELECT number, payload, accepted_at FROM messages
             WHERE campaign = ?1 AND number > ?2 ORDER BY number LIMIT ?3",
        )?
        .query_and_then(
            params![campaign.as_str(), after, column(limit as u64)],
            |row| {
                Ok(PageRow {
                    number: row.get(0)?,
                    message: from_json(&row.get::<_, String>(1)?)?,
                    accepted_at: time(row.get(2)?)?,
                    attempts: 0,
                    standing: Standing::Nowhere,
                })
            },
        )?
        .collect::<Result<_>>()?;
    for row in &mut rows {
        let key = MessageKey::of(&row.message);
        if let Some(outcome) = Outcome::of(conn, &key)? {
            row.attempts = outcome.attempts;
            row.standing = outcome.into();
        } else if let Some(turn) = Turn::of(conn, &key)? {
            row.attempts = turn.attempts;
            row.standing = turn.standing;
        }
    }
    Ok(rows)
}

pub(super) fn rejected_rows(
    conn: &Connection,
    campaign: &CampaignId,
    after: i64,
    limit: usize,
) -> Result<Vec<(i64, String, RejectedRow)>> {
    conn.prepare_cached(
        "SELECT r.number, i.file, r.line, r.\"column\", r.reason, r.detail
         FROM rejects r JOIN imports i ON i.number = r.import
         WHERE r.campaign = ?1 AND r.number > ?2 ORDER BY r.number LIMIT ?3",
    )?
    .query_and_then(
        params![campaign.as_str(), after, column(limit as u64)],
        |row| {
            let rejected = RejectedRow {
                line: row.get::<_, i64>(2)?.unsigned_abs(),
                column: row.get(3)?,
                reason: word(&row.get::<_, String>(4)?)?,
                detail: row.get(5)?,
            };
            Ok((row.get(0)?, row.get(1)?, rejected))
        },
    )?
    .collect()
}
