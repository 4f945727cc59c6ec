//! Whole campaigns, page by page: every message with its place, every rejected row.

use deadpool_postgres::Client;
use tokio_postgres::Row;

use crate::ledger::columns::{column, count, from_json, time, word};
use crate::ledger::{PageRow, RejectedRow, Result, Standing};
use crate::message::CampaignId;

use super::message::standing;
use super::take::attempts;

pub(super) async fn page(
    client: &Client,
    campaign: &CampaignId,
    after: i64,
    limit: usize,
) -> Result<Vec<PageRow>> {
    // One statement is one snapshot: a message is in one place.
    let statement = client
        .prepare_cached(
            "SELECT coalesce(o.attempts, t.attempts), t.state, t.queued, t.reason, t.due_at,
                t.holder, t.lease_until, m.number, m.payload, m.accepted_at,
                o.detail, o.effects, o.at
             FROM messages m
             LEFT JOIN outcomes o USING (campaign, id) LEFT JOIN turns t USING (campaign, id)
             WHERE m.campaign = $1 AND m.number > $2 ORDER BY m.number LIMIT $3",
        )
        .await?;
    let parameters = (campaign.as_str(), column(limit as u64));
    let rows = client
        .query(&statement, &[&parameters.0, &after, &parameters.1])
        .await?;
    rows.iter().map(row_of_page).collect()
}

fn row_of_page(row: &Row) -> Result<PageRow> {
    let ending: Option<&str> = row.try_get(10)?;
    let state: Option<&str> = row.try_get(1)?;
    let standing = match (ending, state) {
        (Some(ending), _) => Standing::Over {
            ending: from_json(ending)?,
            effects: Box::new(from_json(row.try_get(11)?)?),
            at: time(row.try_get(12)?)?,
        },
        (None, Some(_)) => standing(row)?,
        (None, None) => Standing::Nowhere,
    };
    let failed: Option<i64> = row.try_get(0)?;
    Ok(PageRow {
        number: row.try_get(7)?,
        message: from_json(row.try_get(8)?)?,
        accepted_at: time(row.try_get(9)?)?,
        attempts: attempts(failed.unwrap_or_default()),
        standing,
    })
}

pub(super) async fn rejected_rows(
    client: &Client,
    campaign: &CampaignId,
    after: i64,
    limit: usize,
) -> Result<Vec<(i64, String, RejectedRow)>> {
    let statement = client
        .prepare_cached(
            "SELECT r.number, i.file, r.line, r.\"column\", r.reason, r.detail
             FROM rejects r JOIN imports i ON i.number = r.import
             WHERE r.campaign = $1 AND r.number > $2 ORDER BY r.number LIMIT $3",
        )
        .await?;
    let parameters = (campaign.as_str(), column(limit as u64));
    let rows = client
        .query(&statement, &[&parameters.0, &after, &parameters.1])
        .await?;
    rows.iter().map(rejected).collect()
}

fn rejected(row: &Row) -> Result<(i64, String, RejectedRow)> {
    let rejected = RejectedRow {
        line: count(row.try_get(2)?),
        column: row.try_get(3)?,
        reason: word(row.try_get(4)?)?,
        detail: row.try_get(5)?,
    };
    Ok((row.try_get(0)?, row.try_get(1)?, rejected))
}
