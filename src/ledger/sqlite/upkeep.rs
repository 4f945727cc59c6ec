//! The upkeep of a ledger on SQLite.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::session::SqliteSession;
use super::{SqliteStore, coming_back, intake, settle, steering, take, undos};
use crate::ledger::calls::{broker_lost_at, end_consumer, touch};
use crate::ledger::columns::{column, ms, outcome, to_json};
use crate::ledger::session::at_once;
use crate::ledger::{
    BrokerLost, Ending, LedgerError, MessageKey, PUBLISH_AGAIN, PublishAgain, Result, SetAside,
    Taken, UndoSettlement, probe,
};
use crate::message::{CampaignId, Effects, Event, Message};

impl SqliteStore {
    pub(in crate::ledger) async fn probe(&self) -> Result<()> {
        self.write(try_life).await
    }

    pub(in crate::ledger) async fn set_aside(
        &self,
        message: &Message,
        ending: &Ending,
        effects: &Effects,
        now: Timestamp,
    ) -> Result<SetAside> {
        let (message, ending, effects) = (message.clone(), ending.clone(), effects.clone());
        self.write(move |conn| set_aside(conn, &message, &ending, &effects, now))
            .await
    }

    pub(in crate::ledger) async fn queue_again(
        &self,
        campaign: &CampaignId,
        again: &PublishAgain,
    ) -> Result<u64> {
        let (campaign, again) = (campaign.clone(), *again);
        self.write(move |conn| queue_again(conn, &campaign, &again))
            .await
    }

    pub(in crate::ledger) async fn broker_lost(&self, lost: &BrokerLost) -> Result<Option<u64>> {
        let lost = *lost;
        self.write(move |conn| broker_lost(conn, &lost)).await
    }
}

fn try_life(conn: &Connection) -> Result<()> {
    conn.prepare_cached("SAVEPOINT probe")?.execute([])?;
    let walked = walk(conn);
    // The error matters; a transaction that SQLite has ended has nothing to roll back.
    if !conn.is_autocommit() {
        conn.prepare_cached("ROLLBACK TO probe")?.execute([])?;
        conn.prepare_cached("RELEASE probe")?.execute([])?;
    }
    walked?;
    at_once(touch(&SqliteSession(conn)))
}

/// The life of a message that does not exist.
fn walk(conn: &Connection) -> Result<()> {
    let message = probe::message("file");
    let key = MessageKey::of(&message);
    let now = probe::AT;
    conn.prepare_cached(
        "INSERT OR IGNORE INTO campaigns (id, state, definition, applied_at, changed_at)
         VALUES (?1, 'finished', '{}', 0, 0)",
    )?
    .execute([key.campaign.as_str()])?;
    let take = || match take::take(conn, &message, probe::HOLDER, now, probe::LEASE_FOR)? {
        Taken::Leased(taken) => Ok(taken.lease),
        taken => Err(LedgerError::Damaged(format!(
            "the probe's message is {taken:?}"
        ))),
    };
    let lease = take()?;
    settle::record(conn, &lease, &[Event::Begun { generation: 0 }], now)?;
    settle::renew(conn, &lease, now, probe::LEASE_FOR)?;
    settle::settle(conn, &lease, &[], &probe::waits(), now)?;
    take::release_lease(conn, &take()?)?;
    settle::settle(conn, &take()?, &[], &probe::stuck(), now)?;
    let due = probe::undo_due();
    if let Some(undo) = undos::take(conn, &key, probe::HOLDER, due, probe::LEASE_FOR)? {
        let released = UndoSettlement::Released { due };
        undos::settle(conn, &undo.lease, &[], &released, due)?;
    }
    if let Some(undo) = undos::take(conn, &key, probe::HOLDER, due, probe::LEASE_FOR)? {
        undos::settle(conn, &undo.lease, &[], &probe::undone(), due)?;
    }
    coming_back::wake(conn, now, 1)?;
    undos::due(conn, now, 1)?;
    intake::unqueued(conn, now, 1)?;
    at_once(probe::walk(&SqliteSession(conn), &key, "file"))?;
    let renewal = probe::renewal("file");
    steering::renew(conn, &renewal, now)?;
    at_once(end_consumer(&SqliteSession(conn), &renewal.holder))
}

fn set_aside(
    conn: &Connection,
    message: &Message,
    ending: &Ending,
    effects: &Effects,
    now: Timestamp,
) -> Result<SetAside> {
    let key = MessageKey::of(message);
    let of = [key.campaign.as_str(), key.id.as_str()];
    let is_there = |sql: &str| -> Result<bool> {
        Ok(conn.prepare_cached(sql)?.query_row(of, |row| row.get(0))?)
    };
    let is_over = "SELECT EXISTS (SELECT 1 FROM outcomes WHERE campaign = ?1 AND id = ?2)";
    if is_there(is_over)? {
        return Ok(SetAside::Needless);
    }
    let until: Option<i64> = conn
        .prepare_cached(
            "SELECT lease_until FROM turns WHERE campaign = ?1 AND id = ?2 AND state = 'in_flight'",
        )?
        .query_row(of, |row| row.get(0))
        .optional()?;
    if until.is_some_and(|until| until > ms(now)) {
        return Ok(SetAside::Held);
    }
    let is_known = "SELECT EXISTS (SELECT 1 FROM messages WHERE campaign = ?1 AND id = ?2)";
    let accepted = is_there(is_known)?
        || !intake::insert(conn, &key.campaign, &intake::Offered::of(message)?, now)?;
    if accepted && !is_there(is_known)? {
        // Another message has its address: it was never to be accepted.
        return Ok(SetAside::Needless);
    }
    let (word, reason) = outcome(ending);
    let attempts: Option<i64> = conn
        .prepare_cached("DELETE FROM turns WHERE campaign = ?1 AND id = ?2 RETURNING attempts")?
        .query_row(of, |row| row.get(0))
        .optional()?;
    conn.prepare_cached(
        "INSERT INTO outcomes (campaign, id, outcome, reason, detail, effects, attempts, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        of[0],
        of[1],
        word,
        reason,
        to_json(ending)?,
        to_json(effects)?,
        attempts.unwrap_or(0) + 1,
        ms(now)
    ])?;
    Ok(SetAside::Ended { accepted })
}

fn queue_again(conn: &Connection, campaign: &CampaignId, again: &PublishAgain) -> Result<u64> {
    let (campaign, now) = (campaign.as_str(), ms(again.now));
    let begun = conn
        .prepare_cached(
            "UPDATE campaigns SET again_at = ?2, reason = nullif(reason, ?4)
             WHERE id = ?1 AND (again_at IS ?3 OR again_at = ?2)",
        )?
        .execute(params![campaign, now, again.after.map(ms), PUBLISH_AGAIN])?;
    if begun == 0 {
        return Ok(0);
    }
    let marked = conn
        .prepare_cached(
            "UPDATE turns SET queued = 0, queue_after = ?3, again_at = ?3
             WHERE (campaign, id) IN (
                SELECT campaign, id FROM turns
                WHERE campaign = ?1 AND state = 'waiting' AND queued = 1
                  AND coalesce(again_at, ?2) <= ?2
                  AND NOT EXISTS (SELECT 1 FROM damaged d
                    WHERE d.campaign = turns.campaign AND d.id = turns.id)
                ORDER BY id LIMIT ?4)",
        )?
        .execute(params![
            campaign,
            ms(again.not_since),
            now,
            column(again.limit as u64)
        ])?;
    Ok(marked as u64)
}

fn broker_lost(conn: &Connection, lost: &BrokerLost) -> Result<Option<u64>> {
    let known = at_once(broker_lost_at(&SqliteSession(conn)))?;
    if known != lost.after && known != Some(lost.now) {
        return Ok(None);
    }
    let now = ms(lost.now);
    conn.prepare_cached("INSERT OR REPLACE INTO meta (name, value) VALUES ('broker_lost_at', ?1)")?
        .execute([now.to_string()])?;
    let marked = conn
        .prepare_cached(
            "UPDATE turns SET queued = 0, queue_after = CASE state WHEN 'waiting' THEN ?1 END,
                again_at = CASE state WHEN 'waiting' THEN ?1 ELSE again_at END, wake_at = due_at
             WHERE (campaign, id) IN (
                SELECT campaign, id FROM turns
                WHERE campaign IN (SELECT id FROM campaigns) AND state IN ('waiting', 'deferred')
                  AND queued = 1 AND (state = 'deferred' OR again_at IS NOT ?1)
                LIMIT ?2)",
        )?
        .execute([now, column(lost.limit as u64)])?;
    Ok(Some(marked as u64))
}
