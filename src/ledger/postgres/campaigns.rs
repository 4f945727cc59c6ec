//! What the ledger is tied to, and its campaigns.

use deadpool_postgres::{Client, GenericClient, Transaction};
use jiff::Timestamp;
use tokio_postgres::Row;

use crate::ledger::columns::{campaign_id, from_json, ms, time, to_json, word};
use crate::ledger::lifecycle::KeptState;
use crate::ledger::{CampaignRecord, LedgerError, Result, StateChange, Transition, WORKED_OFF};
use crate::message::CampaignId;

use super::errors::keepable;

pub(super) async fn id(client: &Client) -> Result<String> {
    let sql = "SELECT value FROM meta WHERE name = 'id'";
    let statement = client.prepare_cached(sql).await?;
    match client.query_opt(&statement, &[]).await? {
        Some(row) => Ok(row.try_get(0)?),
        None => Err(LedgerError::Unavailable(
            "its table of names holds no id".to_owned(),
        )),
    }
}

pub(super) async fn bind(client: &mut Client, account_sid: &str, base: &str) -> Result<()> {
    let transaction = client.transaction().await?;
    // Who else binds it waits here.
    transaction
        .execute("SELECT FROM meta WHERE name = 'id' FOR UPDATE", &[])
        .await?;
    let bound = (
        meta(&transaction, "account_sid").await?,
        meta(&transaction, "base").await?,
    );
    match bound {
        (Some(account), Some(at)) if account == account_sid && at == base => Ok(()),
        (Some(account), Some(at)) => Err(LedgerError::BoundElsewhere {
            ours: format!("account {account_sid} at {base}"),
            theirs: format!("account {account} at {at}"),
        }),
        _ => {
            let sql = "INSERT INTO meta (name, value) VALUES ('account_sid', $1), ('base', $2)
                       ON CONFLICT (name) DO UPDATE SET value = excluded.value";
            transaction.execute(sql, &[&account_sid, &base]).await?;
            Ok(transaction.commit().await?)
        }
    }
}

async fn meta(transaction: &Transaction<'_>, name: &str) -> Result<Option<String>> {
    let sql = "SELECT value FROM meta WHERE name = $1";
    let row = transaction.query_opt(sql, &[&name]).await?;
    row.map(|row| Ok(row.try_get(0)?)).transpose()
}

/// Stores a campaign; with `only_idle` one that exists only while no message of it is open.
pub(super) async fn save(
    client: &mut Client,
    record: &CampaignRecord,
    only_idle: bool,
) -> Result<bool> {
    let transaction = client.transaction().await?;
    lock(&transaction, &record.id).await?;
    let sql = "INSERT INTO campaigns (id, state, reason, stopped_by, state_since, definition,
            applied_at, changed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (id) DO UPDATE
         SET definition = excluded.definition, changed_at = excluded.changed_at
         WHERE NOT $9 OR NOT EXISTS (SELECT FROM turns WHERE campaign = $1)";
    let reason = record.reason.as_deref().map(keepable);
    let saved = transaction
        .execute(
            sql,
            &[
                &record.id.as_str(),
                &record.state.as_str(),
                &reason,
                &record.stopped_by().map(to_json).transpose()?,
                &ms(record.state_since),
                &to_json(&record.definition)?,
                &ms(record.applied_at),
                &ms(record.changed_at),
                &only_idle,
            ],
        )
        .await?;
    transaction.commit().await?;
    Ok(saved == 1)
}

/// Locks a campaign's row: a process that accepts messages or begins an import refers to this row and waits
/// here. What it has written before, the next statement sees.
async fn lock(transaction: &impl GenericClient, id: &CampaignId) -> Result<()> {
    let sql = "SELECT FROM campaigns WHERE id = $1 FOR UPDATE";
    transaction.execute(sql, &[&id.as_str()]).await?;
    Ok(())
}

pub(super) async fn redefine(
    client: &Client,
    id: &CampaignId,
    from: &serde_json::Value,
    to: &serde_json::Value,
    now: Timestamp,
) -> Result<bool> {
    let sql = "UPDATE campaigns SET definition = $3, changed_at = $4
               WHERE id = $1 AND definition = $2";
    let statement = client.prepare_cached(sql).await?;
    let (from, to) = (to_json(from)?, to_json(to)?);
    let changed = client
        .execute(&statement, &[&id.as_str(), &from, &to, &ms(now)])
        .await?;
    Ok(changed == 1)
}

const SELECT: &str =
    "SELECT id, state, reason, stopped_by, state_since, definition, applied_at, changed_at, again_at,
        distrusted_from
    FROM campaigns";

pub(super) async fn one(client: &Client, id: &CampaignId) -> Result<Option<CampaignRecord>> {
    let sql = format!("{SELECT} WHERE id = $1");
    let statement = client.prepare_cached(&sql).await?;
    let row = client.query_opt(&statement, &[&id.as_str()]).await?;
    row.as_ref().map(record).transpose()
}

pub(super) async fn all(client: &impl GenericClient) -> Result<Vec<CampaignRecord>> {
    let sql = format!("{SELECT} ORDER BY number");
    let statement = client.prepare_cached(&sql).await?;
    let rows = client.query(&statement, &[]).await?;
    rows.iter().map(record).collect()
}

/// How often a change is tried when another process changes the same campaign at the same time.
const TRIES: u32 = 10;

/// Changes a campaign's state where its rules allow it.
pub(super) async fn change_state(
    client: &Client,
    id: &CampaignId,
    change: &StateChange,
    now: Timestamp,
) -> Result<Transition> {
    for _ in 0..TRIES {
        let before = one(client, id).await?;
        let before = before.ok_or_else(|| LedgerError::NoCampaign(id.clone()))?;
        let transition = change.on(&before, now);
        let is_written = match &transition {
            Transition::Made(after) => write_state(client, &before, after).await?,
            Transition::Already(_) | Transition::Refused(_) => true,
        };
        if is_written {
            return Ok(transition);
        }
    }
    let text = format!("campaign {id} is being changed by another process");
    Err(LedgerError::Hindered(text))
}

/// False when the campaign is not as it was read any more.
async fn write_state(
    client: &Client,
    before: &CampaignRecord,
    after: &CampaignRecord,
) -> Result<bool> {
    let sql = "SELECT change_state($1, $2, $3, $4, $5, $6, $7)";
    let statement = client.prepare_cached(sql).await?;
    let stopped_by = |record: &CampaignRecord| record.stopped_by().map(to_json).transpose();
    let row = client
        .query_one(
            &statement,
            &[
                &before.id.as_str(),
                &before.state.as_str(),
                &stopped_by(before)?,
                &after.state.as_str(),
                &stopped_by(after)?,
                &after.reason.as_deref().map(keepable),
                &ms(after.state_since),
            ],
        )
        .await?;
    Ok(row.try_get(0)?)
}

pub(super) async fn finish(
    client: &mut Client,
    id: &CampaignId,
    by_itself: bool,
    now: Timestamp,
) -> Result<bool> {
    let transaction = client.transaction().await?;
    let finished = finish_within(&transaction, id, by_itself, now).await?;
    transaction.commit().await?;
    Ok(finished)
}

/// As [`finish`], in a transaction of the caller's.
pub(super) async fn finish_within(
    transaction: &impl GenericClient,
    id: &CampaignId,
    by_itself: bool,
    now: Timestamp,
) -> Result<bool> {
    lock(transaction, id).await?;
    let sql = "UPDATE campaigns SET state = 'finished', reason = $4, stopped_by = NULL,
             state_since = $2, changed_at = $2
         WHERE id = $1 AND state <> 'cancelled' AND NOT EXISTS (SELECT FROM turns WHERE campaign = $1)
           AND (NOT $3 OR (state = 'running'
             AND EXISTS (SELECT FROM imports WHERE campaign = $1)
             AND NOT EXISTS (
                SELECT FROM imports i
                WHERE i.campaign = $1 AND i.ended_at IS NULL AND NOT EXISTS (
                    SELECT FROM imports later
                    WHERE later.campaign = $1 AND later.number > i.number
                      AND (later.file = i.file OR later.sha256 = i.sha256)
                          AND later.ended_at IS NOT NULL))))";
    let reason = by_itself.then_some(WORKED_OFF);
    let finished = transaction
        .execute(sql, &[&id.as_str(), &ms(now), &by_itself, &reason])
        .await?;
    Ok(finished == 1)
}

fn record(row: &Row) -> Result<CampaignRecord> {
    let stopped_by: Option<&str> = row.try_get(3)?;
    let again_at: Option<i64> = row.try_get(8)?;
    let distrusted_from: Option<i64> = row.try_get(9)?;
    let kept = KeptState {
        state: word(row.try_get(1)?)?,
        reason: row.try_get(2)?,
        stopped_by: stopped_by.map(from_json).transpose()?,
        since: time(row.try_get(4)?)?,
    };
    Ok(kept.of(&CampaignRecord {
        applied_at: time(row.try_get(6)?)?,
        changed_at: time(row.try_get(7)?)?,
        published_again_at: again_at.map(time).transpose()?,
        distrusted_from: distrusted_from.map(time).transpose()?,
        ..CampaignRecord::running(
            campaign_id(row.try_get(0)?)?,
            from_json(row.try_get(5)?)?,
            Timestamp::UNIX_EPOCH,
        )
    }))
}
