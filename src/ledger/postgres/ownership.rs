//! What tells a ledger on PostgreSQL from its copies.

use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::{Client, GenericClient};
use jiff::Timestamp;

use super::{PostgresLedger, call};
use crate::ledger::columns::{column, count, ms, time};
use crate::ledger::{Incarnation, Ownership, Result, StoreRun};
use crate::message::CampaignId;

#[async_trait]
impl Ownership for PostgresLedger {
    /// The server's identifier and the database's: a base backup has the same ones, a dump that was read elsewhere
    /// has not.
    async fn place(&self) -> Result<String> {
        call!(self, |client| place(&client))
    }

    async fn draw_incarnation(&self, now: Timestamp) -> Result<Incarnation> {
        let drawn = call!(self, |client| draw(&client, now))?;
        self.connections.tail.note_beat(&drawn);
        Ok(drawn)
    }

    async fn raise_beat(&self, token: &str) -> Result<Option<Incarnation>> {
        let raised = call!(self, |client| raise(&client, token))?;
        if let Some(raised) = &raised {
            self.connections.tail.note_beat(raised);
        }
        Ok(raised)
    }

    async fn has_been(&self, incarnation: &Incarnation) -> Result<bool> {
        call!(self, |client| has_been(&client, incarnation))
    }

    async fn lost_at(&self) -> Result<Option<Timestamp>> {
        call!(self, |client| lost_at(&client))
    }

    fn losses(&self) -> u64 {
        self.connections.tail.losses()
    }

    fn run(&self) -> StoreRun {
        self.connections.runs.current()
    }

    fn gives_no_lease_for(&self) -> Option<Duration> {
        self.connections.runs.rest()
    }

    async fn distrust(&self, campaign: Option<&CampaignId>, since: Timestamp) -> Result<()> {
        call!(self, |client| distrust(&client, campaign, since))
    }
}

async fn place(client: &Client) -> Result<String> {
    let sql = "SELECT system_identifier::text || ':' ||
                   (SELECT oid FROM pg_database WHERE datname = current_database())::text
               FROM pg_control_system()";
    let statement = client.prepare_cached(sql).await?;
    Ok(client.query_one(&statement, &[]).await?.try_get(0)?)
}

pub(super) async fn draw(client: &impl GenericClient, now: Timestamp) -> Result<Incarnation> {
    let sql = "INSERT INTO incarnations (token, beat, drawn_at)
               VALUES (replace(gen_random_uuid()::text, '-', ''), 0, $1) RETURNING token";
    let statement = client.prepare_cached(sql).await?;
    let row = client.query_one(&statement, &[&ms(now)]).await?;
    Ok(Incarnation {
        token: row.try_get(0)?,
        beat: 0,
    })
}

pub(super) async fn raise(client: &impl GenericClient, token: &str) -> Result<Option<Incarnation>> {
    let sql = "UPDATE incarnations SET beat = beat + 1 WHERE token = $1 RETURNING beat";
    let statement = client.prepare_cached(sql).await?;
    let Some(row) = client.query_opt(&statement, &[&token]).await? else {
        return Ok(None);
    };
    Ok(Some(Incarnation {
        token: token.to_owned(),
        beat: count(row.try_get(0)?),
    }))
}

async fn has_been(client: &Client, incarnation: &Incarnation) -> Result<bool> {
    let sql = "SELECT FROM incarnations WHERE token = $1 AND beat >= $2";
    let statement = client.prepare_cached(sql).await?;
    let beat = column(incarnation.beat);
    let row = client
        .query_opt(&statement, &[&incarnation.token, &beat])
        .await?;
    Ok(row.is_some())
}

async fn lost_at(client: &Client) -> Result<Option<Timestamp>> {
    let sql = "SELECT value::BIGINT FROM meta WHERE name = 'store_lost_at'";
    let statement = client.prepare_cached(sql).await?;
    let row = client.query_opt(&statement, &[]).await?;
    row.map(|row| time(row.try_get(0)?)).transpose()
}

async fn distrust(client: &Client, campaign: Option<&CampaignId>, since: Timestamp) -> Result<()> {
    let sql = "UPDATE campaigns SET distrusted_from = least(distrusted_from, applied_at, $2)
               WHERE $1::text IS NULL OR id = $1";
    let statement = client.prepare_cached(sql).await?;
    let id = campaign.map(CampaignId::as_str);
    client.execute(&statement, &[&id, &ms(since)]).await?;
    Ok(())
}
