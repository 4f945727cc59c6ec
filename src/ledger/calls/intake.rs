//! Intake: imports, accepted messages, and their publication to the queue.

use jiff::Timestamp;

use super::audit::{counts, record as record_operation};
use super::{change, look, native};
use crate::ledger::interceptor::LedgerCall;
use crate::ledger::session::{StoreRow, StoreSession, first, values};
use crate::ledger::{
    Acceptance, Actor, AuditedOperation, Import, ImportCounts, ImportRecord, Ledger, LedgerError,
    Manifest, OperationName, Publication, Result,
};
use crate::message::{CampaignId, Message};

impl Ledger {
    /// Records the beginning of an import and returns its number. An import by an operator is also recorded in the
    /// audit.
    ///
    /// # Errors
    ///
    /// [`LedgerError::NoCampaign`] when there is no campaign with this id.
    pub async fn begin_import(
        &self,
        campaign: &CampaignId,
        manifest: &Manifest,
        by: Option<&Actor>,
        now: Timestamp,
    ) -> Result<i64> {
        let (campaign, manifest, by) = (campaign.clone(), manifest.clone(), by.cloned());
        let call = LedgerCall::named("begin_import");
        change!(in transaction, self, call, |session| async {
            let number = begin(session, &campaign, &manifest, now).await?;
            if let Some(by) = &by {
                let arguments = serde_json::json!({
                    "import": number,
                    "file": manifest.file,
                    "sha256": manifest.sha256,
                });
                let name = OperationName::Import;
                let operation = AuditedOperation::on(by.clone(), name, &campaign, arguments);
                let before = counts(session, Some(&campaign)).await?;
                record_operation(session, &operation, Some(&before), None, now).await?;
            }
            Ok::<_, LedgerError>(number)
        })
    }

    /// The imports of one campaign, or of all, oldest first.
    pub async fn imports(&self, campaign: Option<&CampaignId>) -> Result<Vec<ImportRecord>> {
        let campaign = campaign.cloned();
        look!(self, LedgerCall::named("imports"), |session| list(
            session,
            campaign.as_ref()
        ))
    }

    /// Records that an import has accounted for its last row; in the audit too, if an operator imported it.
    pub async fn end_import(&self, number: i64, by: Option<&Actor>, now: Timestamp) -> Result<()> {
        let by = by.cloned();
        let call = LedgerCall::named("end_import");
        change!(in transaction, self, call, |session| async {
            let Some((campaign, rows)) = end(session, number, now).await? else {
                return Ok::<_, LedgerError>(());
            };
            if let Some(by) = &by {
                let arguments = serde_json::json!({
                    "import": number,
                    "rows": rows.rows,
                    "accepted": rows.accepted,
                    "rejected": rows.rejected,
                    "duplicate": rows.duplicate,
                    "suppressed": rows.suppressed,
                });
                let name = OperationName::ImportEnd;
                let operation = AuditedOperation::on(by.clone(), name, &campaign, arguments);
                let after = counts(session, Some(&campaign)).await?;
                record_operation(session, &operation, None, Some(&after), now).await?;
            }
            Ok(())
        })
    }

    /// Accepts messages: each is recorded as waiting and not queued, unless its id or address is taken within the
    /// campaign (also by an earlier one of the same batch). One transaction. With `import`, the transaction also adds
    /// to the import's counts and its sign of life. The caller decides whether a finished or cancelled campaign takes
    /// messages.
    ///
    /// Returns one [`Acceptance`] a message, in order. Until `queue_after` only the caller publishes the messages that
    /// are [`Acceptance::Accepted`] ([`Ledger::unqueued`]).
    pub async fn accept(
        &self,
        campaign: &CampaignId,
        messages: &[Message],
        import: Option<&Import>,
        now: Timestamp,
        queue_after: Timestamp,
    ) -> Result<Vec<Acceptance>> {
        native!(self, LedgerCall::named("accept"), |store| store.accept(
            campaign,
            messages,
            import,
            now,
            queue_after
        ))
    }

    /// Records that these messages are durable on the queue.
    ///
    /// A message that was taken since it was listed is not changed: its consumer may have settled it and returned it to
    /// the ledger before this call, and marking it as queued would lose it.
    pub async fn mark_queued(&self, published: &[Publication]) -> Result<()> {
        let call = LedgerCall::named("mark_queued");
        native!(self, call, |store| store.mark_queued(published))
    }

    /// Waiting messages that are not on the queue and whose `queue_after` has come, the longest due first: those that
    /// an interrupted import had accepted, those that [`Ledger::wake`] woke, and those that were released off the
    /// queue. A message that cannot be read is recorded as damaged, and is left out for
    /// [`DAMAGED_AGAIN`](crate::ledger::DAMAGED_AGAIN), so that it does not block the others. On PostgreSQL other
    /// processes do not list the same messages for some seconds.
    pub async fn unqueued(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<(Publication, Message)>> {
        let call = LedgerCall::named("unqueued");
        native!(self, call, |store| store.unqueued(now, limit))
    }
}

async fn begin(
    session: &impl StoreSession,
    campaign: &CampaignId,
    manifest: &Manifest,
    now: Timestamp,
) -> Result<i64> {
    let sql = "INSERT INTO imports
            (campaign, file, sha256, reading, continues, skipped, begun_at, seen_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7) RETURNING number";
    let values = values![
        campaign,
        manifest.file.as_str(),
        manifest.sha256.as_deref(),
        manifest.reading.as_deref(),
        manifest.continues,
        manifest.skipped,
        now,
    ];
    let begun = session.query(sql, values, |row| row.int(0)).await;
    let numbers = begun.map_err(|error| error.in_campaign(campaign))?;
    let none = || LedgerError::Damaged("an import was given no number".to_owned());
    numbers.first().copied().ok_or_else(none)
}

/// Records the end of an import. Returns its campaign and its rows.
async fn end(
    session: &impl StoreSession,
    number: i64,
    now: Timestamp,
) -> Result<Option<(CampaignId, ImportCounts)>> {
    let sql = "UPDATE imports SET ended_at = $2, seen_at = $2 WHERE number = $1
        RETURNING campaign, rows, accepted, duplicate, suppressed";
    let read = |row: &StoreRow<'_>| Ok((row.campaign(0)?, import_counts(row, 1)?));
    first(session, sql, values![number, now], read).await
}

async fn list(
    session: &impl StoreSession,
    campaign: Option<&CampaignId>,
) -> Result<Vec<ImportRecord>> {
    let sql = "SELECT number, campaign, file, sha256, reading, continues, skipped, rows, accepted,
            duplicate, suppressed, begun_at, coalesce(seen_at, begun_at), ended_at,
            EXISTS (SELECT 1 FROM imports later WHERE later.continues = i.number)
         FROM imports i WHERE CAST($1 AS TEXT) IS NULL OR campaign = $1 ORDER BY number";
    session.query(sql, values![campaign], record).await
}

/// The columns `rows`, `accepted`, `duplicate` and `suppressed`, the first of which is at `at`.
fn import_counts(row: &StoreRow<'_>, at: usize) -> Result<ImportCounts> {
    let counts = ImportCounts {
        rows: row.count(at)?,
        accepted: row.count(at + 1)?,
        duplicate: row.count(at + 2)?,
        suppressed: row.count(at + 3)?,
        rejected: 0,
    };
    Ok(counts.with_the_rest_rejected())
}

fn record(row: &StoreRow<'_>) -> Result<ImportRecord> {
    Ok(ImportRecord {
        number: row.int(0)?,
        campaign: row.campaign(1)?,
        manifest: Manifest {
            file: row.text(2)?,
            sha256: row.text_or_none(3)?,
            reading: row.text_or_none(4)?,
            continues: row.int_or_none(5)?,
            skipped: row.count(6)?,
        },
        counts: import_counts(row, 7)?,
        begun_at: row.time(11)?,
        seen_at: row.time(12)?,
        ended_at: row.time_or_none(13)?,
        is_continued: row.is(14)?,
    })
}
