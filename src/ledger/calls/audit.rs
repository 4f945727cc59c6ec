//! The audit: a row for each operation, in the transaction of its change.

use jiff::Timestamp;

use super::{change, look};
use crate::ledger::columns::{message_id, ms, to_json};
use crate::ledger::interceptor::LedgerCall;
use crate::ledger::session::{StoreRow, StoreSession, first, values};
use crate::ledger::{
    AuditFilter, AuditRow, AuditedOperation, Ledger, LedgerError, MessageCounts, Result,
};
use crate::message::{CampaignId, MessageId};

impl Ledger {
    /// The latest `limit` rows of the audit that the filter selects, latest first.
    pub async fn audit(&self, filter: &AuditFilter, limit: usize) -> Result<Vec<AuditRow>> {
        let filter = filter.clone();
        look!(self, LedgerCall::named("audit"), |session| async {
            let sql = format!(
                "SELECT number, at, actor, operation, campaign, id, arguments, reason,
                    counts_before, counts_after
                 FROM audit WHERE {SELECTED} ORDER BY number DESC LIMIT $3"
            );
            let values = values![filter.campaign.as_ref(), filter.since.map(ms), limit];
            session.query(&sql, values, row).await
        })
    }

    /// How many rows of the audit the filter selects.
    pub async fn audit_count(&self, filter: &AuditFilter) -> Result<u64> {
        let filter = filter.clone();
        look!(self, LedgerCall::named("audit_count"), |session| async {
            let sql = format!("SELECT count(*) FROM audit WHERE {SELECTED}");
            let values = values![filter.campaign.as_ref(), filter.since.map(ms)];
            let count = first(session, &sql, values, |row| row.count(0)).await?;
            Ok(count.unwrap_or(0))
        })
    }

    /// Records an operation whose changes were made in several transactions, or outside the ledger.
    pub async fn record_operation(
        &self,
        operation: &AuditedOperation,
        before: &MessageCounts,
        now: Timestamp,
    ) -> Result<()> {
        let (operation, before) = (operation.clone(), *before);
        let call = LedgerCall::named("record_operation");
        change!(in transaction, self, call, |session| async {
            let after = counts(session, operation.campaign.as_ref()).await?;
            record(session, &operation, Some(&before), Some(&after), now).await
        })
    }
}

const SELECTED: &str = "(CAST($1 AS TEXT) IS NULL OR campaign = $1 OR campaign IS NULL)
    AND (CAST($2 AS BIGINT) IS NULL OR at >= $2)";

/// Makes a change. If it was made, records it as this operation, with the counts of messages before and after.
pub(super) async fn audited(
    session: &impl StoreSession,
    operation: Option<&AuditedOperation>,
    now: Timestamp,
    changing: impl Future<Output = Result<bool>>,
) -> Result<bool> {
    let Some(operation) = operation else {
        return changing.await;
    };
    let before = counts(session, operation.campaign.as_ref()).await?;
    let is_changed = changing.await?;
    if is_changed {
        let after = counts(session, operation.campaign.as_ref()).await?;
        record(session, operation, Some(&before), Some(&after), now).await?;
    }
    Ok(is_changed)
}

/// Writes a row of the audit.
pub(in crate::ledger) async fn record(
    session: &impl StoreSession,
    operation: &AuditedOperation,
    before: Option<&MessageCounts>,
    after: Option<&MessageCounts>,
    now: Timestamp,
) -> Result<()> {
    let sql =
        "INSERT INTO audit (at, actor, operation, campaign, id, arguments, reason, counts_before,
            counts_after)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let values = values![
        now,
        to_json(&operation.by)?,
        operation.name.as_str(),
        operation.campaign.as_ref(),
        operation.message.as_ref().map(MessageId::as_str),
        to_json(&operation.arguments)?,
        operation.reason.as_deref(),
        before.map(to_json).transpose()?,
        after.map(to_json).transpose()?,
    ];
    session.execute(sql, values).await.map(drop)
}

/// Counts the messages of a campaign, or of all campaigns.
pub(in crate::ledger) async fn counts(
    session: &impl StoreSession,
    campaign: Option<&CampaignId>,
) -> Result<MessageCounts> {
    let of = match campaign {
        Some(_) => "WHERE campaign = $1",
        None => "",
    };
    let sql = format!(
        "SELECT 'open', count(*) FROM turns {of}
         UNION ALL SELECT outcome, count(*) FROM outcomes {of} GROUP BY outcome"
    );
    let read = |row: &StoreRow<'_>| Ok((row.text(0)?, row.count(1)?));
    let rows = match campaign {
        Some(id) => session.query(&sql, values![id], read).await?,
        None => session.query(&sql, values![], read).await?,
    };
    let mut counts = MessageCounts::default();
    for (of, messages) in rows {
        match of.as_str() {
            "open" => counts.open = messages,
            "done" => counts.done = messages,
            "skipped" => counts.skipped = messages,
            "dead" => counts.dead = messages,
            "unknown" => counts.unknown = messages,
            other => return Err(LedgerError::Damaged(format!("an outcome {other:?}"))),
        }
    }
    if let Some(id) = campaign {
        let sql = "SELECT state FROM campaigns WHERE id = $1";
        counts.state = first(session, sql, values![id], |row| row.word(0)).await?;
    }
    Ok(counts)
}

fn row(row: &StoreRow<'_>) -> Result<AuditRow> {
    Ok(AuditRow {
        number: row.int(0)?,
        at: row.time(1)?,
        by: row.json(2)?,
        operation: row.word(3)?,
        campaign: row.str_or_none(4)?.map(|_| row.campaign(4)).transpose()?,
        message: row.str_or_none(5)?.map(message_id).transpose()?,
        arguments: row.json(6)?,
        reason: row.text_or_none(7)?,
        before: row.json_or_none(8)?,
        after: row.json_or_none(9)?,
    })
}
