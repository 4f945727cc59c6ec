//! Adds a batch to its import, in the transaction that accepts the batch.

use deadpool_postgres::Transaction;
use jiff::Timestamp;

use crate::ledger::columns::{column, keepable, ms};
use crate::ledger::{Acceptance, Import, LedgerError, Result, Superseded};
use crate::message::{CampaignId, MessageId};

/// Adds a batch to its import's counts.
pub(super) async fn count(
    transaction: &Transaction<'_>,
    campaign: &CampaignId,
    import: &Import,
    acceptances: &[Acceptance],
    now: Timestamp,
) -> Result<()> {
    let accepted = acceptances
        .iter()
        .filter(|acceptance| matches!(acceptance, Acceptance::Accepted))
        .count() as u64;
    let duplicate = acceptances.len() as u64 - accepted;
    let statement = transaction
        .prepare_cached(
            "UPDATE imports SET rows = rows + $3, accepted = accepted + $4,
                duplicate = duplicate + $5, suppressed = suppressed + $6, seen_at = $7
             WHERE number = $1 AND campaign = $2",
        )
        .await?;
    let counted = transaction
        .execute(
            &statement,
            &[
                &import.number,
                &campaign.as_str(),
                &column(import.rows),
                &column(accepted),
                &column(duplicate),
                &column(import.suppressed),
                &ms(now),
            ],
        )
        .await?;
    if counted == 0 {
        return Err(LedgerError::Damaged(format!(
            "campaign {campaign} has no import {}",
            import.number
        )));
    }
    reject(transaction, campaign, import).await?;
    match &import.supersedes {
        Some(rows) => supersede(transaction, campaign, import.number, rows).await,
        None => Ok(()),
    }
}

async fn reject(
    transaction: &Transaction<'_>,
    campaign: &CampaignId,
    import: &Import,
) -> Result<()> {
    if import.rejected.is_empty() {
        return Ok(());
    }
    let statement = transaction
        .prepare_cached(
            "INSERT INTO rejects (import, campaign, line, \"column\", reason, detail, id)
             SELECT $1, $2, line, \"column\", reason, detail, id
             FROM unnest($3::BIGINT[], $4::TEXT[], $5::TEXT[], $6::TEXT[], $7::TEXT[])
                AS row (line, \"column\", reason, detail, id)",
        )
        .await?;
    let rows = &import.rejected;
    let lines: Vec<_> = rows.iter().map(|row| column(row.line)).collect();
    let columns: Vec<_> = rows
        .iter()
        .map(|row| row.column.as_deref().map(keepable))
        .collect();
    let reasons: Vec<_> = rows.iter().map(|row| row.reason.as_str()).collect();
    let details: Vec<_> = rows.iter().map(|row| keepable(&row.detail)).collect();
    let ids: Vec<_> = rows
        .iter()
        .map(|row| row.id.as_ref().map(MessageId::as_str))
        .collect();
    transaction
        .execute(
            &statement,
            &[
                &import.number,
                &campaign.as_str(),
                &lines,
                &columns,
                &reasons,
                &details,
                &ids,
            ],
        )
        .await?;
    Ok(())
}

/// Records the rows whose id or address a message had already.
pub(super) async fn note_duplicates(
    transaction: &Transaction<'_>,
    campaign: &CampaignId,
    import: &Import,
    given: &[String],
    acceptances: &[Acceptance],
) -> Result<()> {
    let (mut lines, mut rows, mut taken) = (Vec::new(), Vec::new(), Vec::new());
    for ((id, acceptance), line) in given.iter().zip(acceptances).zip(&import.lines) {
        let Some(of) = acceptance.duplicate_of(id) else {
            continue;
        };
        lines.push(column(*line));
        rows.push(id.as_str());
        taken.push(of);
    }
    if lines.is_empty() {
        return Ok(());
    }
    let statement = transaction
        .prepare_cached(
            "INSERT INTO duplicates (import, campaign, line, given, id)
             SELECT $1, $2, line, given, id
             FROM unnest($3::BIGINT[], $4::TEXT[], $5::TEXT[]) AS row (line, given, id)",
        )
        .await?;
    let campaign = campaign.as_str();
    transaction
        .execute(
            &statement,
            &[&import.number, &campaign, &lines, &rows, &taken],
        )
        .await?;
    Ok(())
}

/// Removes rows that were imported again from the rejected rows of their first file, where they now count as
/// duplicates.
async fn supersede(
    transaction: &Transaction<'_>,
    campaign: &CampaignId,
    by: i64,
    rows: &Superseded,
) -> Result<()> {
    let statement = transaction
        .prepare_cached(
            "WITH earlier AS (
                SELECT number FROM imports WHERE campaign = $1 AND sha256 = $2 AND number <> $3
             ), taken AS (
                DELETE FROM rejects WHERE campaign = $1 AND line = ANY ($4)
                    AND import IN (SELECT number FROM earlier) RETURNING import
             )
             UPDATE imports i SET duplicate = duplicate + t.n
             FROM (SELECT import, count(*) AS n FROM taken GROUP BY import) t
             WHERE i.number = t.import",
        )
        .await?;
    let lines: Vec<_> = rows.lines.iter().map(|line| column(*line)).collect();
    transaction
        .execute(&statement, &[&campaign.as_str(), &rows.sha256, &by, &lines])
        .await?;
    Ok(())
}
