//! All statements on the tables of the queue file.
//!
//! In: a connection inside a transaction. Out: rows. Always: a row of `queued` with a `consumer` is delivered and
//! unsettled. The number is the campaign's epoch at the delivery; only the consumer of that epoch may settle the
//! row.

use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::message::{CampaignId, DeadReason, StepName};
use crate::queue::{self, DeadDelivery, DeadLetter, Depth, Outgoing};

type SqlResult<T> = rusqlite::Result<T>;

/// A row that is delivered to a consumer.
pub(super) struct Fetched {
    pub(super) seq: i64,
    pub(super) body: Bytes,
    pub(super) deliveries: u32,
}

/// The result of a fetch.
pub(super) enum FetchOutcome {
    /// The rows that now belong to the consumer. If there are none: the time at which the next row is due.
    Rows(Vec<Fetched>, Option<Timestamp>),
    /// Another consumer has begun a later epoch, or the campaign is gone.
    Superseded,
}

/// Binds the file to the ledger `ours` if it is unbound; returns the ledger to which it is bound.
pub(super) fn bind(db: &Connection, ours: &str) -> SqlResult<String> {
    db.execute(
        "INSERT INTO binding (one, ledger_id) VALUES (1, ?1) ON CONFLICT DO NOTHING",
        [ours],
    )?;
    db.query_row("SELECT ledger_id FROM binding", [], |row| row.get(0))
}

pub(super) fn is_bound(db: &Connection) -> SqlResult<bool> {
    db.query_row("SELECT EXISTS (SELECT 1 FROM binding)", [], |row| {
        row.get(0)
    })
}

pub(super) fn add_campaign(db: &Connection, id: &CampaignId) -> SqlResult<()> {
    db.execute(
        "INSERT INTO campaign (id) VALUES (?1) ON CONFLICT DO NOTHING",
        [id.as_str()],
    )
    .map(drop)
}

pub(super) fn has_campaign(db: &Connection, id: &CampaignId) -> SqlResult<bool> {
    Ok(epoch(db, id)?.is_some())
}

fn epoch(db: &Connection, id: &CampaignId) -> SqlResult<Option<i64>> {
    db.prepare_cached("SELECT epoch FROM campaign WHERE id = ?1")?
        .query_row([id.as_str()], |row| row.get(0))
        .optional()
}

pub(super) fn enqueue(db: &Connection, id: &CampaignId, batch: &[Outgoing]) -> SqlResult<()> {
    let mut insert =
        db.prepare_cached("INSERT INTO queued (campaign, message_id, body) VALUES (?1, ?2, ?3)")?;
    for message in batch {
        insert.execute(params![id.as_str(), message.id.as_str(), &message.body[..]])?;
    }
    Ok(())
}

/// Begins a consumer's epoch: rows that earlier consumers left unsettled are ready again. `None` when the campaign
/// is unknown.
pub(super) fn begin_epoch(db: &Connection, id: &CampaignId) -> SqlResult<Option<i64>> {
    db.execute(
        "UPDATE queued SET consumer = NULL WHERE campaign = ?1 AND consumer IS NOT NULL",
        [id.as_str()],
    )?;
    db.query_row(
        "UPDATE campaign SET epoch = epoch + 1 WHERE id = ?1 RETURNING epoch",
        [id.as_str()],
        |row| row.get(0),
    )
    .optional()
}

/// Delivers up to `limit` due rows: first the returned rows that are due, then new rows by age. Returned rows are
/// few, and behind a whole campaign their delay of seconds would become hours.
pub(super) fn fetch(
    db: &Connection,
    id: &CampaignId,
    holder: i64,
    limit: usize,
    now: Timestamp,
) -> SqlResult<FetchOutcome> {
    if epoch(db, id)? != Some(holder) {
        return Ok(FetchOutcome::Superseded);
    }
    let mut rows = take(db, id, holder, (1, now.as_millisecond()), limit)?;
    let left = limit - rows.len();
    rows.extend(take(db, id, holder, (0, 0), left)?);
    if !rows.is_empty() {
        return Ok(FetchOutcome::Rows(rows, None));
    }
    let next: Option<i64> = db
        .prepare_cached(
            "SELECT MIN(due_ms) FROM queued
             WHERE campaign = ?1 AND consumer IS NULL AND due_ms > 0",
        )?
        .query_row([id.as_str()], |row| row.get(0))?;
    let next = next.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    Ok(FetchOutcome::Rows(rows, next))
}

/// Marks rows whose due time lies in `due` (both ends included) as delivered to the consumer of the epoch `holder`.
fn take(
    db: &Connection,
    id: &CampaignId,
    holder: i64,
    due: (i64, i64),
    limit: usize,
) -> SqlResult<Vec<Fetched>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut select = db.prepare_cached(
        "SELECT seq, body, deliveries FROM queued
         WHERE campaign = ?1 AND consumer IS NULL AND due_ms BETWEEN ?2 AND ?3
         ORDER BY due_ms, seq LIMIT ?4",
    )?;
    let rows = select
        .query_map(params![id.as_str(), due.0, due.1, limit], |row| {
            Ok(Fetched {
                seq: row.get(0)?,
                body: row.get::<_, Vec<u8>>(1)?.into(),
                deliveries: row.get(2)?,
            })
        })?
        .collect::<SqlResult<Vec<_>>>()?;
    let mut mark = db.prepare_cached(
        "UPDATE queued SET consumer = ?2, deliveries = deliveries + 1 WHERE seq = ?1",
    )?;
    for row in &rows {
        mark.execute([row.seq, holder])?;
    }
    Ok(rows)
}

/// Deletes a delivered row; false when it no longer belongs to `holder`.
pub(super) fn ack(db: &Connection, seq: i64, holder: i64) -> SqlResult<bool> {
    let gone = db
        .prepare_cached("DELETE FROM queued WHERE seq = ?1 AND consumer = ?2")?
        .execute([seq, holder])?;
    Ok(gone == 1)
}

/// Makes a delivered row ready again at `due`, or at once; false when it no longer belongs to `holder`.
pub(super) fn give_back(
    db: &Connection,
    seq: i64,
    holder: i64,
    due: Option<Timestamp>,
) -> SqlResult<bool> {
    let due = due.map_or(0, Timestamp::as_millisecond);
    let changed = db
        .prepare_cached(
            "UPDATE queued SET consumer = NULL, due_ms = ?3 WHERE seq = ?1 AND consumer = ?2",
        )?
        .execute([seq, holder, due])?;
    Ok(changed == 1)
}

/// Moves a delivered row to the dead letters; false when it no longer belongs to `holder`.
pub(super) fn bury(
    db: &Connection,
    seq: i64,
    holder: i64,
    letter: &DeadLetter,
    now: Timestamp,
) -> SqlResult<bool> {
    db.prepare_cached(
        "INSERT INTO dead
             (campaign, message_id, body, reason, step, code, attempt, detail, died_ms)
         SELECT campaign, message_id, body, ?3, ?4, ?5, ?6, ?7, ?8
         FROM queued WHERE seq = ?1 AND consumer = ?2",
    )?
    .execute(params![
        seq,
        holder,
        letter.reason.as_str(),
        letter.step.map(StepName::as_str),
        letter.code,
        letter.attempt,
        letter.detail,
        now.as_millisecond(),
    ])?;
    ack(db, seq, holder)
}

/// Deletes the ready rows.
pub(super) fn purge(db: &Connection, id: &CampaignId, now: Timestamp) -> SqlResult<u64> {
    let sql = "DELETE FROM queued WHERE campaign = ?1 AND consumer IS NULL AND due_ms <= ?2";
    let gone = db.execute(sql, params![id.as_str(), now.as_millisecond()])?;
    Ok(gone as u64)
}

/// The numbers of ready rows and of delivered, unsettled rows. Delayed rows count as neither: a broker keeps them
/// in another queue too.
pub(super) fn depth(db: &Connection, id: &CampaignId, now: Timestamp) -> SqlResult<Option<Depth>> {
    if !has_campaign(db, id)? {
        return Ok(None);
    }
    db.query_row(
        "SELECT COUNT(*) FILTER (WHERE consumer IS NULL AND due_ms <= ?2), COUNT(consumer)
         FROM queued WHERE campaign = ?1",
        params![id.as_str(), now.as_millisecond()],
        |row| {
            Ok(Some(Depth {
                ready: row.get::<_, i64>(0)?.unsigned_abs(),
                unsettled: row.get::<_, i64>(1)?.unsigned_abs(),
            }))
        },
    )
}

pub(super) fn delayed(db: &Connection, now: Timestamp) -> SqlResult<u64> {
    let count = db.query_row(
        "SELECT COUNT(*) FROM queued WHERE consumer IS NULL AND due_ms > ?1",
        [now.as_millisecond()],
        |row| row.get::<_, i64>(0),
    )?;
    Ok(count.unsigned_abs())
}

pub(super) fn dead_letter_count(db: &Connection) -> SqlResult<u64> {
    let count = db.query_row("SELECT COUNT(*) FROM dead", [], |row| row.get::<_, i64>(0))?;
    Ok(count.unsigned_abs())
}

pub(super) fn dead_letters(db: &Connection, limit: usize) -> SqlResult<Vec<DeadDelivery>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    db.prepare_cached(
        "SELECT campaign, body, reason, step, code, attempt, detail
         FROM dead ORDER BY seq LIMIT ?1",
    )?
    .query_map([limit], dead_letter)?
    .collect()
}

fn dead_letter(row: &Row<'_>) -> SqlResult<DeadDelivery> {
    let reason: String = row.get(2)?;
    let step: Option<String> = row.get(3)?;
    Ok(DeadDelivery {
        campaign: row.get(0)?,
        body: row.get::<_, Vec<u8>>(1)?.into(),
        letter: DeadLetter {
            // Only flexcast writes the file: an unknown word comes from a later version.
            reason: queue::reason_named(&reason).unwrap_or(DeadReason::Rejected),
            step: step.as_deref().and_then(queue::step_named),
            code: row.get(4)?,
            attempt: row.get(5)?,
            detail: row.get(6)?,
        },
    })
}

pub(super) fn answers(db: &Connection) -> SqlResult<()> {
    db.query_row("SELECT COUNT(*) FROM binding", [], |_| Ok(()))
}
