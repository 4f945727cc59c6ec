//! Unknowns: messages of which nobody can say whether they went out, and what an operator decides.

use deadpool_postgres::{Client, Transaction};
use jiff::Timestamp;
use tokio_postgres::Row;

use crate::ledger::columns::{campaign_id, column, from_json, message_id, ms, time, to_json};
use crate::ledger::{Ending, LedgerError, MessageKey, Result, UnknownRow};
use crate::message::{CampaignId, Event, StepName, masked};

pub(super) async fn list(
    client: &Client,
    campaign: Option<&CampaignId>,
    limit: usize,
) -> Result<Vec<UnknownRow>> {
    let statement = client
        .prepare_cached(
            "SELECT o.campaign, o.id, m.address, o.at, o.detail
             FROM outcomes o JOIN messages m USING (campaign, id)
             WHERE o.outcome = 'unknown' AND ($1::TEXT IS NULL OR o.campaign = $1)
             ORDER BY o.number LIMIT $2",
        )
        .await?;
    let campaign = campaign.map(CampaignId::as_str);
    let rows = client
        .query(&statement, &[&campaign, &column(limit as u64)])
        .await?;
    rows.iter().map(unknown).collect()
}

fn unknown(row: &Row) -> Result<UnknownRow> {
    let Ending::Unknown { reason, evidence } = from_json(row.try_get(4)?)? else {
        return Err(LedgerError::Damaged(
            "an outcome is unknown by its word and not by its detail".to_owned(),
        ));
    };
    Ok(UnknownRow {
        campaign: campaign_id(row.try_get(0)?)?,
        id: message_id(row.try_get(1)?)?,
        customer: masked(row.try_get(2)?),
        at: time(row.try_get(3)?)?,
        reason,
        evidence,
    })
}

pub(super) async fn settle(
    client: &mut Client,
    key: &MessageKey,
    was_sent: bool,
    now: Timestamp,
) -> Result<bool> {
    let (campaign, id) = (key.campaign.as_str(), key.id.as_str());
    let transaction = client.transaction().await?;
    // Of two operators who settle it at once the second finds it settled.
    let sql = "SELECT FROM outcomes
               WHERE campaign = $1 AND id = $2 AND outcome = 'unknown' FOR UPDATE";
    if transaction.execute(sql, &[&campaign, &id]).await? == 0 {
        return Ok(false);
    }
    let intended = intended(&transaction, key).await?;
    let mut events = vec![to_json(&Event::Settled { was_sent })?];
    if !was_sent && let Some(step) = intended {
        events.push(to_json(&Event::Refused { step })?);
    }
    let sql = "INSERT INTO journal (campaign, id, seq, at, event)
               SELECT $1, $2, given.n - 1
                    + (SELECT count(*) FROM journal WHERE campaign = $1 AND id = $2), $3, given.event
               FROM unnest($4::TEXT[]) WITH ORDINALITY AS given (event, n)";
    transaction
        .execute(sql, &[&campaign, &id, &ms(now), &events])
        .await?;
    if was_sent {
        let sql = "UPDATE outcomes SET outcome = 'done', reason = NULL, detail = $3, at = $4
                   WHERE campaign = $1 AND id = $2";
        let done = to_json(&Ending::Done {
            already_sent: false,
        })?;
        transaction
            .execute(sql, &[&campaign, &id, &done, &ms(now)])
            .await?;
    } else {
        let sql = "DELETE FROM outcomes WHERE campaign = $1 AND id = $2";
        transaction.execute(sql, &[&campaign, &id]).await?;
        // Lease numbers go on above all that were: the time in ms is more than any message's takers,
        // so that one of them who wakes up late is still refused.
        let sql = "INSERT INTO turns (campaign, id, state, queued, queue_after, lease, events)
                   VALUES ($1, $2, 'waiting', FALSE, $3, $3,
                       (SELECT count(*) FROM journal WHERE campaign = $1 AND id = $2))";
        transaction
            .execute(sql, &[&campaign, &id, &ms(now)])
            .await?;
        let sql = "UPDATE campaigns SET state = 'running', reason = NULL, state_since = $2,
                       changed_at = $2
                   WHERE id = $1 AND state = 'finished'";
        transaction.execute(sql, &[&campaign, &ms(now)]).await?;
    }
    transaction.commit().await?;
    Ok(true)
}

/// The step that was in question: the last intent.
async fn intended(transaction: &Transaction<'_>, key: &MessageKey) -> Result<Option<StepName>> {
    let sql = "SELECT event FROM journal WHERE campaign = $1 AND id = $2 ORDER BY seq DESC";
    let (campaign, id) = (key.campaign.as_str(), key.id.as_str());
    for row in transaction.query(sql, &[&campaign, &id]).await? {
        if let Event::Intended { step, .. } = from_json(row.try_get(0)?)? {
            return Ok(Some(step));
        }
    }
    Ok(None)
}
