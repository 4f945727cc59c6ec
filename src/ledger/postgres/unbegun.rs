//! Open messages that have not begun: what an operator does to many of them at once.

use deadpool_postgres::Client;
use jiff::Timestamp;

use crate::ledger::columns::{column, count, from_json, ms, outcome, to_json};
use crate::ledger::{Ending, LedgerError, OpenOfSender, Result};
use crate::message::{Address, CampaignId, Effects, Message, SkipReason};

/// A turn `t` of which nothing can stand at Twilio, and that no consumer has in flight.
const IS_UNBEGUN: &str = "t.state <> 'in_flight' AND NOT t.doubtful AND t.events = 0";

/// A message that a consumer takes at this moment is left to it.
pub(super) async fn skip(
    client: &Client,
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
        "WITH unbegun AS (
            SELECT t.campaign, t.id FROM turns t WHERE t.campaign = $1 AND {IS_UNBEGUN}
            ORDER BY t.id LIMIT $2 FOR UPDATE SKIP LOCKED),
         ended AS (
            DELETE FROM turns t USING unbegun u WHERE t.campaign = u.campaign AND t.id = u.id
            RETURNING t.campaign, t.id, t.attempts)
         INSERT INTO outcomes (campaign, id, outcome, reason, detail, effects, attempts, at)
         SELECT campaign, id, $3, $4, $5, $6, attempts, $7 FROM ended"
    );
    let statement = client.prepare_cached(&sql).await?;
    let (detail, effects) = (to_json(&ending)?, to_json(&Effects::default())?);
    let limit = column(limit as u64);
    Ok(client
        .execute(
            &statement,
            &[
                &campaign.as_str(),
                &limit,
                &word,
                &reason,
                &detail,
                &effects,
                &ms(now),
            ],
        )
        .await?)
}

pub(super) async fn end_waits(
    client: &Client,
    campaign: &CampaignId,
    retries: bool,
    now: Timestamp,
) -> Result<u64> {
    let sql = "UPDATE turns SET due_at = $2, wake_at = $2
               WHERE campaign = $1 AND state = 'deferred' AND ($3 OR reason <> 'retry')
                 AND due_at > $2";
    let statement = client.prepare_cached(sql).await?;
    Ok(client
        .execute(&statement, &[&campaign.as_str(), &ms(now), &retries])
        .await?)
}

pub(super) async fn open_by_sender(
    client: &Client,
    campaign: &CampaignId,
) -> Result<Vec<OpenOfSender>> {
    let sql = format!(
        "SELECT m.payload::JSON ->> 'sender' AS sender, count(*) FILTER (WHERE {IS_UNBEGUN}), count(*)
         FROM turns t JOIN messages m ON m.campaign = t.campaign AND m.id = t.id
         WHERE t.campaign = $1 AND m.payload::JSON ->> 'sender' IS NOT NULL
         GROUP BY sender ORDER BY sender"
    );
    let statement = client.prepare_cached(&sql).await?;
    let rows = client.query(&statement, &[&campaign.as_str()]).await?;
    let open = rows.iter().map(|row| {
        let (unbegun, open): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
        Ok(OpenOfSender {
            sender: address(row.try_get(0)?)?,
            unbegun: count(unbegun),
            begun: count(open - unbegun),
        })
    });
    open.collect()
}

pub(super) async fn move_sender(
    client: &mut Client,
    campaign: &CampaignId,
    (from, to): (&Address, &Address),
    now: Timestamp,
    limit: usize,
) -> Result<u64> {
    let transaction = client.transaction().await?;
    let sql = format!(
        "SELECT m.id, m.payload FROM turns t
         JOIN messages m ON m.campaign = t.campaign AND m.id = t.id
         WHERE t.campaign = $1 AND {IS_UNBEGUN} AND m.payload::JSON ->> 'sender' = $2
         LIMIT $3 FOR UPDATE OF t SKIP LOCKED"
    );
    let (campaign, limit) = (campaign.as_str(), column(limit as u64));
    let rows = transaction
        .query(&sql, &[&campaign, &from.as_str(), &limit])
        .await?;
    let (mut ids, mut payloads) = (Vec::new(), Vec::new());
    for row in &rows {
        let mut message: Message = from_json(row.try_get(1)?)?;
        message.sender = Some(to.clone());
        ids.push(row.try_get::<_, String>(0)?);
        payloads.push(to_json(&message)?);
    }
    let sql = "UPDATE messages m SET payload = n.payload
               FROM unnest($2::TEXT[], $3::TEXT[]) AS n (id, payload)
               WHERE m.campaign = $1 AND m.id = n.id";
    transaction
        .execute(sql, &[&campaign, &ids, &payloads])
        .await?;
    // It waits for the old sender's lanes no more.
    let sql = "UPDATE turns SET backlog = NULL, backlog_since = NULL,
                   due_at = CASE WHEN reason = 'pace' THEN $3 ELSE due_at END,
                   wake_at = CASE WHEN reason = 'pace' THEN $3 ELSE wake_at END
               WHERE campaign = $1 AND id = ANY ($2)";
    transaction
        .execute(sql, &[&campaign, &ids, &ms(now)])
        .await?;
    transaction.commit().await?;
    Ok(rows.len() as u64)
}

fn address(text: &str) -> Result<Address> {
    // The error is not shown: it could hold the address.
    Address::parse(text).map_err(|_| LedgerError::Damaged("a message's sender".to_owned()))
}
