//! The books: every term counted from its own records, in one statement, which is one snapshot.

use std::collections::BTreeMap;

use deadpool_postgres::Client;
use jiff::Timestamp;
use tokio_postgres::Row;

use crate::ledger::columns::{campaign_id, count, ms};
use crate::ledger::{Books, OnQueue, Result};
use crate::message::CampaignId;

const TERMS: &str = "
    SELECT campaign, 'accepted', NULL, count(*) FROM messages {where} GROUP BY campaign
    UNION ALL SELECT campaign, state, reason, count(*) FROM turns {where}
        GROUP BY campaign, state, reason
    UNION ALL SELECT campaign, outcome, reason, count(*) FROM outcomes {where}
        GROUP BY campaign, outcome, reason
    UNION ALL SELECT campaign, 'twice', NULL, count(*) FROM turns JOIN outcomes USING (campaign, id)
        {where} GROUP BY campaign
    UNION ALL SELECT campaign, 'rejected', reason, count(*) FROM rejects {where}
        GROUP BY campaign, reason
    UNION ALL SELECT i.campaign, sums.of, NULL, sums.n
        FROM (SELECT campaign, sum(rows)::BIGINT AS rows, sum(accepted)::BIGINT AS accepted,
                  sum(duplicate)::BIGINT AS duplicate, sum(suppressed)::BIGINT AS suppressed
              FROM imports {where} GROUP BY campaign) i,
             LATERAL (VALUES ('rows', i.rows), ('imported', i.accepted),
                 ('duplicate', i.duplicate), ('suppressed', i.suppressed)) AS sums (of, n)";

pub(super) async fn books(client: &Client, campaign: Option<&CampaignId>) -> Result<Books> {
    let mut books = Books::default();
    for row in terms(client, campaign).await? {
        add(&mut books, &row)?;
    }
    Ok(books)
}

pub(super) async fn of_each(client: &Client) -> Result<BTreeMap<CampaignId, Books>> {
    let mut all = BTreeMap::<CampaignId, Books>::new();
    for row in terms(client, None).await? {
        let campaign = campaign_id(row.try_get(0)?)?;
        add(all.entry(campaign).or_default(), &row)?;
    }
    Ok(all)
}

fn add(books: &mut Books, row: &Row) -> Result<()> {
    books.add(row.try_get(1)?, row.try_get(2)?, count(row.try_get(3)?))
}

async fn terms(client: &Client, campaign: Option<&CampaignId>) -> Result<Vec<Row>> {
    match campaign {
        Some(campaign) => {
            let sql = TERMS.replace("{where}", "WHERE campaign = $1");
            let statement = client.prepare_cached(&sql).await?;
            Ok(client.query(&statement, &[&campaign.as_str()]).await?)
        }
        None => {
            let sql = TERMS.replace("{where}", "");
            let statement = client.prepare_cached(&sql).await?;
            Ok(client.query(&statement, &[]).await?)
        }
    }
}

pub(super) async fn has_open(
    client: &Client,
    campaign: &CampaignId,
    but_due: bool,
) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT FROM turns WHERE campaign = $1
                  AND (NOT $2 OR state <> 'deferred' OR reason = 'retry'))";
    let statement = client.prepare_cached(sql).await?;
    let row = client
        .query_one(&statement, &[&campaign.as_str(), &but_due])
        .await?;
    Ok(row.try_get(0)?)
}

pub(super) async fn on_queue(
    client: &Client,
    chosen: Option<i64>,
    now: Timestamp,
) -> Result<BTreeMap<CampaignId, OnQueue>> {
    let statement = client
        .prepare_cached(
            "SELECT campaign,
                count(*) FILTER (WHERE queued AND (state = 'waiting'
                    OR (state = 'in_flight' AND lease_until <= lease_clock($2))
                    OR (state = 'deferred' AND due_at <= $1))),
                count(*) FILTER (WHERE queued AND state = 'deferred' AND due_at > $1),
                count(*) FILTER (WHERE state = 'in_flight' AND lease_until > lease_clock($2))
             FROM turns GROUP BY campaign",
        )
        .await?;
    let rows = client.query(&statement, &[&ms(now), &chosen]).await?;
    rows.iter()
        .map(|row| {
            let on_queue = OnQueue {
                ready: count(row.try_get(1)?),
                delayed: count(row.try_get(2)?),
                held: count(row.try_get(3)?),
            };
            Ok((campaign_id(row.try_get(0)?)?, on_queue))
        })
        .collect()
}
