//! Accepts messages, and lists them for publication to the queue.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::ledger::calls::record_damaged;
use crate::ledger::session::at_once;
use crate::ledger::{
    Acceptance, DAMAGED_AGAIN, Import, LedgerError, MessageKey, Publication, Result, Superseded,
};
use crate::message::{CampaignId, Message, MessageId};

use super::SqliteStore;
use super::session::SqliteSession;
use crate::ledger::columns::{campaign_id, column, from_json, message_id, ms, to_json};

impl SqliteStore {
    pub(in crate::ledger) async fn accept(
        &self,
        campaign: &CampaignId,
        messages: &[Message],
        import: Option<&Import>,
        now: Timestamp,
        queue_after: Timestamp,
    ) -> Result<Vec<Acceptance>> {
        let mut offered = messages
            .iter()
            .map(Offered::of)
            .collect::<Result<Vec<_>>>()?;
        if let Some(import) = import {
            for (message, line) in offered.iter_mut().zip(&import.lines) {
                message.import = Some(import.number);
                message.line = Some(column(*line));
            }
        }
        let (campaign, import) = (campaign.clone(), import.cloned());
        self.write(move |conn| {
            let acceptances = accept(conn, &campaign, &offered, now, queue_after)?;
            if let Some(import) = &import {
                count(conn, &campaign, import, &acceptances, now)?;
                note_duplicates(conn, &campaign, import, &offered, &acceptances)?;
            }
            Ok(acceptances)
        })
        .await
    }

    pub(in crate::ledger) async fn mark_queued(&self, published: &[Publication]) -> Result<()> {
        let published = published.to_vec();
        self.write(move |conn| mark_queued(conn, &published)).await
    }

    pub(in crate::ledger) async fn unqueued(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<(Publication, Message)>> {
        let looking = self.read(move |conn| unqueued(conn, now, limit));
        let Unqueued { ready, damaged } = looking.await?;
        if !damaged.is_empty() {
            let record = move |conn: &Connection| {
                let record = |(key, detail): &(MessageKey, String)| {
                    at_once(record_damaged(&SqliteSession(conn), key, detail, now))
                };
                damaged.iter().try_for_each(record)
            };
            self.write(record).await?;
        }
        Ok(ready)
    }
}

/// A message as its columns store it. It is serialized by the caller, to relieve the single writing thread.
pub(super) struct Offered {
    id: MessageId,
    address: String,
    payload: String,
    /// The number of its import, if it comes from a file.
    import: Option<i64>,
    /// The line of its row.
    line: Option<i64>,
}

impl Offered {
    pub(super) fn of(message: &Message) -> Result<Self> {
        Ok(Self {
            id: message.id(),
            address: message.customer.address.as_str().to_owned(),
            payload: to_json(message)?,
            import: None,
            line: None,
        })
    }
}

fn accept(
    conn: &Connection,
    campaign: &CampaignId,
    messages: &[Offered],
    now: Timestamp,
    queue_after: Timestamp,
) -> Result<Vec<Acceptance>> {
    let mut turn = conn.prepare_cached(
        "INSERT INTO turns (campaign, id, state, queued, queue_after)
         VALUES (?1, ?2, 'waiting', 0, ?3)",
    )?;
    let mut acceptances = Vec::with_capacity(messages.len());
    for message in messages {
        let acceptance = if insert(conn, campaign, message, now)? {
            turn.execute(params![
                campaign.as_str(),
                message.id.as_str(),
                ms(queue_after)
            ])?;
            Acceptance::Accepted
        } else if let Some(queued) = known(conn, campaign, &message.id)? {
            Acceptance::Known { queued }
        } else {
            let by = address_taken_by(conn, campaign, &message.address)?;
            Acceptance::AddressTaken { by }
        };
        acceptances.push(acceptance);
    }
    Ok(acceptances)
}

/// Records a message. False when its id or its address is taken.
pub(super) fn insert(
    conn: &Connection,
    campaign: &CampaignId,
    message: &Offered,
    now: Timestamp,
) -> Result<bool> {
    let inserted = conn
        .prepare_cached(
            "INSERT INTO messages (campaign, id, address, payload, accepted_at, import, line)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            campaign.as_str(),
            message.id.as_str(),
            message.address,
            message.payload,
            ms(now),
            message.import,
            message.line,
        ])
        .map_err(|error| LedgerError::from(error).in_campaign(campaign))?;
    Ok(inserted == 1)
}

/// The message that has this address, after [`insert`] has refused a message with a new id.
pub(super) fn address_taken_by(
    conn: &Connection,
    campaign: &CampaignId,
    address: &str,
) -> Result<MessageId> {
    let id: String = conn
        .prepare_cached("SELECT id FROM messages WHERE campaign = ?1 AND address = ?2")?
        .query_row([campaign.as_str(), address], |row| row.get(0))?;
    message_id(&id)
}

/// Whether a known message is on the queue or will return; None for one that was never accepted.
fn known(conn: &Connection, campaign: &CampaignId, id: &MessageId) -> Result<Option<bool>> {
    Ok(conn
        .prepare_cached(
            "SELECT t.state IS NOT 'waiting' OR t.queued
             FROM messages m LEFT JOIN turns t USING (campaign, id)
             WHERE campaign = ?1 AND id = ?2",
        )?
        .query_row([campaign.as_str(), id.as_str()], |row| row.get(0))
        .optional()?)
}

fn mark_queued(conn: &Connection, published: &[Publication]) -> Result<()> {
    // A different lease number means that the message was taken since it was listed: its state is its consumer's to
    // write.
    let mut mark = conn.prepare_cached(
        "UPDATE turns SET queued = 1, queue_after = NULL
         WHERE campaign = ?1 AND id = ?2 AND lease = ?3 AND state = 'waiting' AND queued = 0",
    )?;
    for Publication { key, lease } in published {
        mark.execute(params![key.campaign.as_str(), key.id.as_str(), lease])?;
    }
    Ok(())
}

/// The messages to be published, and the unreadable ones.
pub(super) struct Unqueued {
    ready: Vec<(Publication, Message)>,
    /// Messages that cannot be read, and why.
    damaged: Vec<(MessageKey, String)>,
}

pub(super) fn unqueued(conn: &Connection, now: Timestamp, limit: usize) -> Result<Unqueued> {
    let mut statement = conn.prepare_cached(
        "SELECT campaign, id, t.lease, m.payload
         FROM turns t JOIN messages m USING (campaign, id)
         WHERE t.state = 'waiting' AND t.queued = 0 AND t.queue_after <= ?1
           AND NOT EXISTS (SELECT 1 FROM damaged d
            WHERE d.campaign = t.campaign AND d.id = t.id AND d.at > ?3)
         ORDER BY t.queue_after, campaign, id LIMIT ?2",
    )?;
    let again = ms(now) - column(DAMAGED_AGAIN.as_secs()) * 1_000;
    let mut rows = statement.query(params![ms(now), column(limit as u64), again])?;
    let mut unqueued = Unqueued {
        ready: Vec::new(),
        damaged: Vec::new(),
    };
    while let Some(row) = rows.next()? {
        let publication = publication(row)?;
        match from_json(&row.get::<_, String>(3)?) {
            Ok(message) => unqueued.ready.push((publication, message)),
            Err(LedgerError::Damaged(detail)) => unqueued.damaged.push((publication.key, detail)),
            Err(error) => return Err(error),
        }
    }
    Ok(unqueued)
}

fn publication(row: &Row<'_>) -> Result<Publication> {
    let key = MessageKey {
        campaign: campaign_id(&row.get::<_, String>(0)?)?,
        id: message_id(&row.get::<_, String>(1)?)?,
    };
    Ok(Publication {
        key,
        lease: row.get(2)?,
    })
}

/// Records the rows whose id or address a message had already.
fn note_duplicates(
    conn: &Connection,
    campaign: &CampaignId,
    import: &Import,
    messages: &[Offered],
    acceptances: &[Acceptance],
) -> Result<()> {
    let mut insert = conn.prepare_cached(
        "INSERT INTO duplicates (import, campaign, line, given, id) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    let rows = messages.iter().zip(acceptances).zip(&import.lines);
    for ((message, acceptance), line) in rows {
        let Some(of) = acceptance.duplicate_of(message.id.as_str()) else {
            continue;
        };
        insert.execute(params![
            import.number,
            campaign.as_str(),
            column(*line),
            message.id.as_str(),
            of,
        ])?;
    }
    Ok(())
}

/// Adds a batch to its import's counts.
fn count(
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
        "INSERT INTO rejects (import, campaign, line, \"column\", reason, detail, id)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for row in &import.rejected {
        reject.execute(params![
            import.number,
            campaign.as_str(),
            column(row.line),
            row.column,
            row.reason.as_str(),
            row.detail,
            row.id.as_ref().map(MessageId::as_str),
        ])?;
    }
    match &import.supersedes {
        Some(rows) => supersede(conn, campaign, import.number, rows),
        None => Ok(()),
    }
}

/// Removes rows that were imported again from the rejected rows of their first file, where they now count as
/// duplicates.
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
