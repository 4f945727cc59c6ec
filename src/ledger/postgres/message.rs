//! Reading what is known of one message, record by record, in one snapshot.

use deadpool_postgres::{Client, Transaction};
use tokio_postgres::{IsolationLevel, Row};

use crate::ledger::columns::{from_json, time, word};
use crate::ledger::{LedgerError, MessageKey, MessageRecord, Result, Standing};

use super::take::attempts;

pub(super) async fn find(client: &mut Client, key: &MessageKey) -> Result<Option<MessageRecord>> {
    let look = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await?;
    let sql = "SELECT payload, accepted_at FROM messages WHERE campaign = $1 AND id = $2";
    let Some(accepted) = one(&look, sql, key).await? else {
        return Ok(None);
    };
    let mut record = MessageRecord {
        message: from_json(accepted.try_get(0)?)?,
        accepted_at: time(accepted.try_get(1)?)?,
        attempts: 0,
        standing: Standing::Nowhere,
        last_failure: None,
        journal: Vec::new(),
    };
    let over = "SELECT attempts, detail, effects, at FROM outcomes WHERE campaign = $1 AND id = $2";
    let open = "SELECT attempts, state, queued, reason, due_at, holder, lease_until, last_failure
                FROM turns WHERE campaign = $1 AND id = $2";
    if let Some(row) = one(&look, over, key).await? {
        record.attempts = attempts(row.try_get(0)?);
        record.standing = Standing::Over {
            ending: from_json(row.try_get(1)?)?,
            effects: Box::new(from_json(row.try_get(2)?)?),
            at: time(row.try_get(3)?)?,
        };
    } else if let Some(row) = one(&look, open, key).await? {
        record.attempts = attempts(row.try_get(0)?);
        record.standing = standing(&row)?;
        let failure: Option<&str> = row.try_get(7)?;
        record.last_failure = failure.map(from_json).transpose()?;
    }
    let sql = "SELECT at, event FROM journal WHERE campaign = $1 AND id = $2 ORDER BY seq";
    let statement = look.prepare_cached(sql).await?;
    let parameters = (key.campaign.as_str(), key.id.as_str());
    for row in look
        .query(&statement, &[&parameters.0, &parameters.1])
        .await?
    {
        let event = from_json(row.try_get(1)?)?;
        record.journal.push((time(row.try_get(0)?)?, event));
    }
    Ok(Some(record))
}

async fn one(look: &Transaction<'_>, sql: &str, key: &MessageKey) -> Result<Option<Row>> {
    let statement = look.prepare_cached(sql).await?;
    let (campaign, id) = (key.campaign.as_str(), key.id.as_str());
    Ok(look.query_opt(&statement, &[&campaign, &id]).await?)
}

/// Where an open message is. The end of a lease is by the store's clock.
pub(super) fn standing(row: &Row) -> Result<Standing> {
    match row.try_get(1)? {
        "waiting" => Ok(Standing::Waiting {
            queued: row.try_get(2)?,
        }),
        "deferred" => Ok(Standing::Deferred {
            reason: word(row.try_get(3)?)?,
            due: time(row.try_get(4)?)?,
        }),
        "in_flight" => Ok(Standing::InFlight {
            holder: row.try_get(5)?,
            until: time(row.try_get(6)?)?,
        }),
        state => Err(LedgerError::Damaged(format!("no turn is {state}"))),
    }
}
