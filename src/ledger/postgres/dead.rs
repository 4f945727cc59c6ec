//! Dead letters: messages that failed for good, and deliveries that were no message.

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use tokio_postgres::Row;

use crate::ledger::columns::{campaign_id, column, from_json, message_id, ms, time, word};
use crate::ledger::{DeadRow, Ending, LedgerError, Result, Stray};
use crate::message::{CampaignId, DeadReason, Failure, FailureClass, masked};

use super::errors::keepable;
use super::take::attempts;
use super::undos::upcoming;

pub(super) async fn record_stray(
    client: &impl GenericClient,
    stray: &Stray,
    now: Timestamp,
) -> Result<()> {
    let sql = "INSERT INTO strays (campaign, reason, detail, body, at) VALUES ($1, $2, $3, $4, $5)";
    let statement = client.prepare_cached(sql).await?;
    let (detail, body) = (keepable(&stray.detail), keepable(&stray.body));
    client
        .execute(
            &statement,
            &[
                &stray.campaign.as_str(),
                &stray.reason.as_str(),
                &detail,
                &body,
                &ms(now),
            ],
        )
        .await?;
    Ok(())
}

pub(super) async fn dead(
    client: &impl GenericClient,
    campaign: Option<&CampaignId>,
    limit: usize,
) -> Result<Vec<DeadRow>> {
    let statement = client
        .prepare_cached(
            "SELECT o.campaign, o.at, o.detail, o.id, m.address, o.attempts, o.number,
                u.tries, u.due_at, NULL
             FROM outcomes o JOIN messages m USING (campaign, id)
             LEFT JOIN undos u USING (campaign, id)
             WHERE o.outcome = 'dead' AND ($2::TEXT IS NULL OR o.campaign = $2)
             UNION ALL
             SELECT campaign, at, detail, NULL, NULL, 0, number, NULL, NULL, reason
             FROM strays WHERE $2 IS NULL
             ORDER BY 2, 7 LIMIT $1",
        )
        .await?;
    let campaign = campaign.map(CampaignId::as_str);
    let rows = client
        .query(&statement, &[&column(limit as u64), &campaign])
        .await?;
    rows.iter().map(letter).collect()
}

fn letter(row: &Row) -> Result<DeadRow> {
    let campaign = campaign_id(row.try_get(0)?)?;
    let at = time(row.try_get(1)?)?;
    let Some(id) = row.try_get(3)? else {
        let reason: DeadReason = word(row.try_get(9)?)?;
        let class = FailureClass::Permanent(reason);
        return Ok(DeadRow {
            campaign,
            id: None,
            customer: None,
            attempts: 0,
            at,
            failure: Failure::new(class, row.try_get::<_, String>(2)?),
            reason,
            undo: None,
        });
    };
    let Ending::Dead { reason, failure } = from_json(row.try_get(2)?)? else {
        return Err(LedgerError::Damaged(
            "an outcome is dead by its word and not by its detail".to_owned(),
        ));
    };
    Ok(DeadRow {
        campaign,
        id: Some(message_id(id)?),
        customer: Some(masked(row.try_get(4)?)),
        attempts: attempts(row.try_get(5)?),
        at,
        failure: *failure,
        reason,
        undo: upcoming(row.try_get(7)?, row.try_get(8)?)?,
    })
}
