//! Imports: which file each reads, how far it is, what it rejected.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use crate::ledger::columns::{campaign_id, column, count as counted_in, ms, time};
use crate::ledger::{
    Acceptance, Import, ImportCounts, ImportRecord, LedgerError, Manifest, Result, Superseded,
};
use crate::message::CampaignId;

use super::rows::in_campaign;

pub(super) fn begin(
    conn: &Connection,
    campaign: &CampaignId,
    manifest: &Manifest,
    now: Timestamp,
) -> Result<i64> {
    conn.prepare_cached(
        "INSERT INTO imports
            (campaign, file, sha256, reading, continues, skipped, begun_at, seen_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)",
    )?
    .execute(params![
        campaign.as_str(),
        manifest.file,
        manifest.sha256,
        manifest.reading,
        manifest.continues,
        column(manifest.skipped),
        ms(now)
    ])
    .map_err(in_campaign(campaign))?;
    Ok(conn.last_insert_rowid())
}

pub(super) fn end(conn: &Connection, number: i64, now: Timestamp) -> Result<()> {
    conn.prepare_cached("UPDATE imports SET ended_at = ?2, seen_at = ?2 WHERE number = ?1")?
        .execute(params![number, ms(now)])?;
    Ok(())
}

pub(super) fn list(conn: &Connection, campaign: Option<&CampaignId>) -> Result<Vec<ImportRecord>> {
    conn.prepare_cached(
        "SELECT number, campaign, file, sha256, reading, continues, skipped, rows, accepted,
            duplicate, suppressed, begun_at, coalesce(seen_at, begun_at), ended_at,
            EXISTS (SELECT 1 FROM imports later WHERE later.continues = i.number)
         FROM imports i WHERE ?1 IS NULL OR campaign = ?1 ORDER BY number",
    )?
    .query_and_then([campaign.map(CampaignId::as_str)], record)?
    .collect()
}

fn record(row: &Row<'_>) -> Result<ImportRecord> {
    let number = |at| Ok::<_, LedgerError>(counted_in(row.get(at)?));
    let counts = ImportCounts {
        rows: number(7)?,
        accepted: number(8)?,
        duplicate: number(9)?,
        suppressed: number(10)?,
        rejected: 0,
    };
    Ok(ImportRecord {
        number: row.get(0)?,
        campaign: campaign_id(&row.get::<_, String>(1)?)?,
        manifest: Manifest {
            file: row.get(2)?,
            sha256: row.get(3)?,
            reading: row.get(4)?,
            continues: row.get(5)?,
            skipped: number(6)?,
        },
        counts: counts.with_the_rest_rejected(),
        begun_at: time(row.get(11)?)?,
        seen_at: time(row.get(12)?)?,
        ended_at: row.get::<_, Option<i64>>(13)?.map(time).transpose()?,
        is_continued: row.get(14)?,
    })
}

pub(super) fn count(
    conn: &Connection,
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
    let counted = conn
        .prepare_cached(
            "UPDATE imports SET rows = rows + ?3, accepted = accepted + ?4,
                duplicate = duplicate + ?5, suppressed = suppressed + ?6, seen_at = ?7
             WHERE number = ?1 AND campaign = ?2",
        )?
        .execute(params![
            import.number,
            campaign.as_str(),
            column(import.rows),
            column(accepted),
            column(duplicate),
            column(import.suppressed),
            ms(now),
        ])?;
    if counted == 0 {
        return Err(LedgerError::Damaged(format!(
            "campaign {campaign} has no import {}",
            import.number
        )));
    }
    let mut reject = conn.prepare_cached(
        "INSERT INTO rejects (import, campaign, line, \"column\", reason, detail)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for row in &import.rejected {
        reject.execute(params![
            import.number,
            campaign.as_str(),
            column(row.line),
            row.column,
            row.reason.as_str(),
            row.detail,
        ])?;
    }
    match &import.supersedes {
        Some(rows) => supersede(conn, campaign, import.number, rows),
        None => Ok(()),
    }
}

/// Takes rows that were imported again off the rejected ones of their first file: there they are duplicates now.
fn supersede(conn: &Connection, campaign: &CampaignId, by: i64, rows: &Superseded) -> Result<()> {
    let imports: Vec<i64> = conn
        .prepare_cached(
            "SELECT number FROM imports WHERE campaign = ?1 AND sha256 = ?2 AND number != ?3",
        )?
        .query_map(params![campaign.as_str(), rows.sha256, by], |row| {
            row.get(0)
        })?
        .collect::<std::result::Result<_, _>>()?;
    let lines = serde_json::to_string(&rows.lines).unwrap_or_default();
    for number in imports {
        let taken = conn
            .prepare_cached(
                "DELETE FROM rejects WHERE campaign = ?1 AND import = ?2
                    AND line IN (SELECT value FROM json_each(?3))",
            )?
            .execute(params![campaign.as_str(), number, lines])?;
        conn.prepare_cached("UPDATE imports SET duplicate = duplicate + ?2 WHERE number = ?1")?
            .execute(params![number, column(taken as u64)])?;
    }
    Ok(())
}
