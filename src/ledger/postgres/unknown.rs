//! Unknowns: messages of which nobody can say whether they went out, and what an operator decides.

use deadpool_postgres::Client;
use jiff::Timestamp;
use tokio_postgres::Row;

use crate::ledger::columns::{campaign_id, column, from_json, message_id, ms, time, to_json};
use crate::ledger::{Ending, LedgerError, MessageKey, Result, UnknownRow};
use crate::message::{CampaignId, Event, masked};

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

/// Moves an unknown to done, or back to waiting. Its row in `outcomes` is changed first: of two
/// operators, the second finds it settled.
pub(super) async fn settle(
    client: &mut Client,
    key: &MessageKey,
    was_sent: bool,
    now: Timestamp,
) -> Result<bool> {
    let (campaign, id, now) = (key.campaign.as_str(), key.id.as_str(), ms(now));
    let change = client.transaction().await?;
    let found = if was_sent {
        let sql = "UPDATE outcomes SET outcome = 'done', reason = NULL, detail = $3, at = $4
                   WHERE campaign = $1 AND id = $2 AND outcome = 'unknown'";
        let done = to_json(&Ending::Done)?;
        change.execute(sql, &[&campaign, &id, &done, &now]).await?
    } else {
        let sql = "DELETE FROM outcomes
                   WHERE campaign = $1 AND id = $2 AND outcome = 'unknown'";
        change.execute(sql, &[&campaign, &id]).await?
    };
    if found == 0 {
        return Ok(false);
    }
    let sql = "SELECT seq, event FROM journal WHERE campaign = $1 AND id = $2 ORDER BY seq";
    let journal = change.query(sql, &[&campaign, &id]).await?;
    let mut next = journal.len() as i64;
    let mut events = vec![Event::Settled { was_sent }];
    if !was_sent {
        for row in journal.iter().rev() {
            if let Event::Intended { step } = from_json(row.try_get(1)?)? {
                events.push(Event::Refused { step });
                break;
            }
        }
    }
    for event in &events {
        let sql = "INSERT INTO journal (campaign, id, seq, at, event) VALUES ($1, $2, $3, $4, $5)";
        let event = to_json(event)?;
        change
            .execute(sql, &[&campaign, &id, &next, &now, &event])
            .await?;
        next += 1;
    }
    if !was_sent {
        // Lease numbers go on above all that were: the time in ms is more than any message's takers,
        // so that one of them who wakes up late is still refused.
        let sql = "INSERT INTO turns (campaign, id, state, queued, queue_after, lease, events)
                   VALUES ($1, $2, 'waiting', FALSE, $3, $3, $4)";
        change.execute(sql, &[&campaign, &id, &now, &next]).await?;
    }
    change.commit().await?;
    Ok(true)
}
