//! Reading what is known of messages: each with the place where it is.

use deadpool_postgres::Client;
use tokio_postgres::{IsolationLevel, Row};

use crate::ledger::columns::{column, from_json, time, word};
use crate::ledger::{LedgerError, MessageKey, MessageRecord, PageRow, Result, Standing};
use crate::message::{CampaignId, Failure};

use super::take::attempts;

/// A message and every place it can be in: what [`Found::read`] reads.
const FOUND: &str = "
    SELECT m.number, m.payload, m.accepted_at,
        o.attempts, o.detail, o.effects, o.at,
        t.attempts, t.state, t.queued, t.reason, t.due_at, t.holder, t.lease_until, t.last_failure
    FROM messages m
    LEFT JOIN outcomes o ON o.campaign = m.campaign AND o.id = m.id
    LEFT JOIN turns t ON t.campaign = m.campaign AND t.id = m.id";

struct Found {
    row: PageRow,
    last_failure: Option<Failure>,
}

impl Found {
    fn read(row: &Row) -> Result<Self> {
        let mut found = Self {
            row: PageRow {
                number: row.try_get(0)?,
                message: from_json(row.try_get(1)?)?,
                accepted_at: time(row.try_get(2)?)?,
                attempts: 0,
                standing: Standing::Nowhere,
            },
            last_failure: None,
        };
        if let Some(failed) = row.try_get(3)? {
            found.row.attempts = attempts(failed);
            found.row.standing = Standing::Over {
                ending: from_json(row.try_get(4)?)?,
                effects: Box::new(from_json(row.try_get(5)?)?),
                at: time(row.try_get(6)?)?,
            };
        } else if let Some(failed) = row.try_get(7)? {
            found.row.attempts = attempts(failed);
            found.row.standing = open(row)?;
            let failure: Option<&str> = row.try_get(14)?;
            found.last_failure = failure.map(from_json).transpose()?;
        }
        Ok(found)
    }
}

/// Where an open message is. The end of a lease is by the store's clock.
fn open(row: &Row) -> Result<Standing> {
    match row.try_get(8)? {
        "waiting" => Ok(Standing::Waiting {
            queued: row.try_get(9)?,
        }),
        "deferred" => Ok(Standing::Deferred {
            reason: word(row.try_get(10)?)?,
            due: time(row.try_get(11)?)?,
        }),
        "in_flight" => Ok(Standing::InFlight {
            holder: row.try_get(12)?,
            until: time(row.try_get(13)?)?,
        }),
        state => Err(LedgerError::Damaged(format!("no turn is {state}"))),
    }
}

/// All that is known of one message, in one snapshot.
pub(super) async fn find(client: &mut Client, key: &MessageKey) -> Result<Option<MessageRecord>> {
    let look = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await?;
    let (campaign, id) = (key.campaign.as_str(), key.id.as_str());
    let sql = format!("{FOUND} WHERE m.campaign = $1 AND m.id = $2");
    let statement = look.prepare_cached(&sql).await?;
    let Some(row) = look.query_opt(&statement, &[&campaign, &id]).await? else {
        return Ok(None);
    };
    let found = Found::read(&row)?;
    let mut record = MessageRecord {
        message: found.row.message,
        accepted_at: found.row.accepted_at,
        attempts: found.row.attempts,
        standing: found.row.standing,
        last_failure: found.last_failure,
        journal: Vec::new(),
    };
    let sql = "SELECT at, event FROM journal WHERE campaign = $1 AND id = $2 ORDER BY seq";
    let statement = look.prepare_cached(sql).await?;
    for row in look.query(&statement, &[&campaign, &id]).await? {
        let event = from_json(row.try_get(1)?)?;
        record.journal.push((time(row.try_get(0)?)?, event));
    }
    Ok(Some(record))
}

/// A page of an export. Messages that are accepted while it is read may be missed.
pub(super) async fn page(
    client: &Client,
    campaign: &CampaignId,
    after: i64,
    limit: usize,
) -> Result<Vec<PageRow>> {
    let sql = format!("{FOUND} WHERE m.campaign = $1 AND m.number > $2 ORDER BY m.number LIMIT $3");
    let statement = client.prepare_cached(&sql).await?;
    let limit = column(limit as u64);
    let rows = client
        .query(&statement, &[&campaign.as_str(), &after, &limit])
        .await?;
    rows.iter().map(|row| Ok(Found::read(row)?.row)).collect()
}
