//! Intake: imports, accepted messages, and their publication to the queue.

use jiff::Timestamp;

use super::audit::{counts, record as record_operation};
use super::{change, look, native};
use crate::ledger::columns::message_id;
use crate::ledger::interceptor::LedgerCall;
use crate::ledger::session::{StoreRow, StoreSession, first, values};
use crate::ledger::{
    Acceptance, Actor, AuditedOperation, Import, ImportCounts, ImportRecord, Ledger, LedgerError,
    Manifest, MessageKey, MessageOrigin, OperationName, Publication, Result, UnusedCause,
    UnusedRow,
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

    /// The rows of a campaign's files that did not become messages and name this id, or repeat the message with this id:
    /// at most `limit`, the latest first.
    pub async fn unused_rows(&self, key: &MessageKey, limit: usize) -> Result<Vec<UnusedRow>> {
        let key = key.clone();
        look!(in snapshot, self, LedgerCall::named("unused_rows"), |session| async {
            let of = values![&key.campaign, &key.id, limit];
            let mut rows = session.query(REJECTS_NAMED, of, rejected_row).await?;
            rows.extend(session.query(DUPLICATES_NAMED, of, duplicate_row).await?);
            rows.sort_by_key(|row| std::cmp::Reverse((row.origin.import, row.origin.line)));
            rows.truncate(limit);
            Ok(rows)
        })
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

/// The rejected rows that name an id.
const REJECTS_NAMED: &str = "
    SELECT i.begun_at, i.number, i.file, r.line, r.id, r.\"column\", r.reason, r.detail
    FROM rejects r JOIN imports i ON i.number = r.import
    WHERE r.campaign = $1 AND r.id = $2 ORDER BY r.number DESC LIMIT $3";

/// The rows that name an id, or whose address belongs to the message with that id.
const DUPLICATES_NAMED: &str = "
    SELECT i.begun_at, i.number, i.file, d.line, d.given, d.id
    FROM duplicates d JOIN imports i ON i.number = d.import
    WHERE d.campaign = $1 AND (d.given = $2 OR d.id = $2) ORDER BY d.number DESC LIMIT $3";

fn unused_row(row: &StoreRow<'_>, cause: UnusedCause) -> Result<UnusedRow> {
    Ok(UnusedRow {
        at: row.time(0)?,
        origin: MessageOrigin {
            import: row.int(1)?,
            file: row.text(2)?,
            line: row.count(3)?,
        },
        id: message_id(row.str(4)?)?,
        cause,
    })
}

fn rejected_row(row: &StoreRow<'_>) -> Result<UnusedRow> {
    let cause = UnusedCause::Rejected {
        column: row.text_or_none(5)?,
        reason: row.word(6)?,
        detail: row.text(7)?,
    };
    unused_row(row, cause)
}

fn duplicate_row(row: &StoreRow<'_>) -> Result<UnusedRow> {
    let of = message_id(row.str(5)?)?;
    unused_row(row, UnusedCause::Duplicate { of })
}

/// The row from which a message was accepted.
pub(super) async fn origin(
    session: &impl StoreSession,
    key: &MessageKey,
) -> Result<Option<MessageOrigin>> {
    let sql =
        "SELECT i.number, i.file, m.line FROM messages m JOIN imports i ON i.number = m.import
        WHERE m.campaign = $1 AND m.id = $2 AND m.line IS NOT NULL";
    let read = |row: &StoreRow<'_>| {
        Ok(MessageOrigin {
            import: row.int(0)?,
            file: row.text(1)?,
            line: row.count(2)?,
        })
    };
    first(session, sql, values![&key.campaign, &key.id], read).await
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
