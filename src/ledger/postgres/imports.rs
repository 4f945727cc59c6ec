//! Imports: which file each reads, how far it is, what it rejected.

use deadpool_postgres::{Client, Transaction};
use jiff::Timestamp;
use tokio_postgres::Row;

use crate::ledger::columns::{campaign_id, column, count as counted_in, ms, time, word};
use crate::ledger::{
    Acceptance, Import, ImportCounts, ImportRecord, LedgerError, Manifest, RejectedRow, Result,
    Superseded,
};
use crate::message::CampaignId;

use super::errors::{in_campaign, keepable};

pub(super) async fn begin(
    client: &Client,
    campaign: &CampaignId,
    manifest: &Manifest,
    now: Timestamp,
) -> Result<i64> {
    let sql = "INSERT INTO imports
            (campaign, file, sha256, reading, continues, skipped, begun_at, seen_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7) RETURNING number";
    let statement = client.prepare_cached(sql).await?;
    let row = client
        .query_one(
            &statement,
            &[
                &campaign.as_str(),
                &keepable(&manifest.file),
                &manifest.sha256,
                &manifest.reading,
                &manifest.continues,
                &column(manifest.skipped),
                &ms(now),
            ],
        )
        .await
        .map_err(in_campaign(campaign))?;
    Ok(row.try_get(0)?)
}

pub(super) async fn end(client: &Client, number: i64, now: Timestamp) -> Result<()> {
    let sql = "UPDATE imports SET ended_at = $2, seen_at = $2 WHERE number = $1";
    let statement = client.prepare_cached(sql).await?;
    client.execute(&statement, &[&number, &ms(now)]).await?;
    Ok(())
}

pub(super) async fn list(
    client: &Client,
    campaign: Option<&CampaignId>,
) -> Result<Vec<ImportRecord>> {
    let sql = "SELECT number, campaign, file, sha256, reading, continues, skipped, rows, accepted,
            duplicate, suppressed, begun_at, coalesce(seen_at, begun_at), ended_at,
            EXISTS (SELECT FROM imports later WHERE later.continues = i.number)
         FROM imports i WHERE $1::TEXT IS NULL OR campaign = $1 ORDER BY number";
    let statement = client.prepare_cached(sql).await?;
    let campaign = campaign.map(CampaignId::as_str);
    let rows = client.query(&statement, &[&campaign]).await?;
    rows.iter().map(record).collect()
}

fn record(row: &Row) -> Result<ImportRecord> {
    let number = |at: usize| Ok::<_, LedgerError>(counted_in(row.try_get(at)?));
    let counts = ImportCounts {
        rows: number(7)?,
        accepted: number(8)?,
        duplicate: number(9)?,
        suppressed: number(10)?,
        rejected: 0,
    };
    Ok(ImportRecord {
        number: row.try_get(0)?,
        campaign: campaign_id(row.try_get(1)?)?,
        manifest: Manifest {
            file: row.try_get(2)?,
            sha256: row.try_get(3)?,
            reading: row.try_get(4)?,
            continues: row.try_get(5)?,
            skipped: number(6)?,
        },
        counts: counts.with_the_rest_rejected(),
        begun_at: time(row.try_get(11)?)?,
        seen_at: time(row.try_get(12)?)?,
        ended_at: row.try_get::<_, Option<i64>>(13)?.map(time).transpose()?,
        is_continued: row.try_get(14)?,
    })
}

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
            "INSERT INTO rejects (import, campaign, line, \"column\", reason, detail)
             SELECT $1, $2, line, \"column\", reason, detail
             FROM unnest($3::BIGINT[], $4::TEXT[], $5::TEXT[], $6::TEXT[])
                AS row (line, \"column\", reason, detail)",
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
            ],
        )
        .await?;
    Ok(())
}

/// Takes rows that were imported again off the rejected ones of their first file: there they are duplicates now.
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

/// A campaign's rejected rows with their file, in order.
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
    let limit = column(limit as u64);
    let rows = client
        .query(&statement, &[&campaign.as_str(), &after, &limit])
        .await?;
    rows.iter()
        .map(|row| {
            let rejected = RejectedRow {
                line: counted_in(row.try_get(2)?),
                column: row.try_get(3)?,
                reason: word(row.try_get(4)?)?,
                detail: row.try_get(5)?,
            };
            Ok((row.try_get(0)?, row.try_get(1)?, rejected))
        })
        .collect()
}
