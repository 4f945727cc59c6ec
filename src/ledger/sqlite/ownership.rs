//! What tells a ledger on SQLite from its copies.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::SqliteLedger;
use crate::ledger::columns::{column, count, ms, time};
use crate::ledger::{Incarnation, Ownership, Result};
use crate::message::CampaignId;

#[async_trait]
impl Ownership for SqliteLedger {
    async fn place(&self) -> Result<String> {
        Ok(self.place_text())
    }

    async fn draw_incarnation(&self, now: Timestamp) -> Result<Incarnation> {
        self.write(move |conn| draw(conn, now)).await
    }

    async fn raise_beat(&self, token: &str) -> Result<Option<Incarnation>> {
        let token = token.to_owned();
        self.write(move |conn| raise(conn, &token)).await
    }

    async fn has_been(&self, incarnation: &Incarnation) -> Result<bool> {
        let incarnation = incarnation.clone();
        self.read(move |conn| has_been(conn, &incarnation)).await
    }

    async fn distrust(&self, campaign: Option<&CampaignId>, since: Timestamp) -> Result<()> {
        let campaign = campaign.cloned();
        self.write(move |conn| distrust(conn, campaign.as_ref(), since))
            .await
    }
}

pub(super) fn draw(conn: &Connection, now: Timestamp) -> Result<Incarnation> {
    let token = conn
        .prepare_cached(
            "INSERT INTO incarnations (token, beat, drawn_at)
             VALUES (lower(hex(randomblob(16))), 0, ?1) RETURNING token",
        )?
        .query_row([ms(now)], |row| row.get(0))?;
    Ok(Incarnation { token, beat: 0 })
}

pub(super) fn raise(conn: &Connection, token: &str) -> Result<Option<Incarnation>> {
    let beat: Option<i64> = conn
        .prepare_cached("UPDATE incarnations SET beat = beat + 1 WHERE token = ?1 RETURNING beat")?
        .query_row([token], |row| row.get(0))
        .optional()?;
    Ok(beat.map(|beat| Incarnation {
        token: token.to_owned(),
        beat: count(beat),
    }))
}

fn has_been(conn: &Connection, incarnation: &Incarnation) -> Result<bool> {
    let known = conn
        .prepare_cached("SELECT 1 FROM incarnations WHERE token = ?1 AND beat >= ?2")?
        .query_row(
            params![incarnation.token, column(incarnation.beat)],
            |_row| Ok(()),
        )
        .optional()?;
    Ok(known.is_some())
}

fn distrust(conn: &Connection, campaign: Option<&CampaignId>, since: Timestamp) -> Result<()> {
    conn.prepare_cached(
        "UPDATE campaigns SET distrusted_from = min(coalesce(distrusted_from, applied_at), applied_at, ?2)
         WHERE ?1 IS NULL OR id = ?1",
    )?
    .execute(params![campaign.map(CampaignId::as_str), ms(since)])?;
    Ok(())
}

pub(super) fn distrusted_from(
    conn: &Connection,
    campaign: &CampaignId,
) -> Result<Option<Timestamp>> {
    let sql = "SELECT distrusted_from FROM campaigns WHERE id = ?1";
    let from: Option<Option<i64>> = conn
        .prepare_cached(sql)?
        .query_row([campaign.as_str()], |row| row.get(0))
        .optional()?;
    from.flatten().map(time).transpose()
}
