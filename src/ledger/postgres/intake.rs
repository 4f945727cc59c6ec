//! Accepts messages, and lists them for publication to the queue: whole batches, with one statement for each step.

use std::collections::HashMap;

use deadpool_postgres::{Client, GenericClient, Transaction};
use jiff::Timestamp;
use tokio_postgres::Row;

use crate::ledger::columns::{column, from_json, message_id, millis, ms, to_json};
use crate::ledger::{Acceptance, DAMAGED_AGAIN, Import, LedgerError, Publication, Result};
use crate::message::{CampaignId, Message};

use super::{PostgresSession, PostgresStore, imports, on_client, take};
use crate::ledger::calls::record_damaged;

impl PostgresStore {
    pub(in crate::ledger) async fn accept(
        &self,
        campaign: &CampaignId,
        messages: &[Message],
        import: Option<&Import>,
        now: Timestamp,
        queue_after: Timestamp,
    ) -> Result<Vec<Acceptance>> {
        let batch = MessageColumns::of(messages, import)?;
        let accepting = on_client!(self, |client| async {
            let transaction = client.transaction().await?;
            let acceptances = accept(&transaction, campaign, &batch, now, queue_after).await?;
            if let Some(import) = import {
                imports::count(&transaction, campaign, import, &acceptances, now).await?;
                imports::note_duplicates(&transaction, campaign, import, &batch.ids, &acceptances)
                    .await?;
            }
            transaction.commit().await?;
            Ok(acceptances)
        });
        accepting.await
    }

    pub(in crate::ledger) async fn mark_queued(&self, published: &[Publication]) -> Result<()> {
        let lister = &self.lister;
        on_client!(self, |client| mark_queued(&client, lister, published)).await
    }

    /// Listed messages are reserved for this process for some seconds, so that several consumers do not publish the
    /// same ones.
    pub(in crate::ledger) async fn unqueued(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<(Publication, Message)>> {
        let (chosen, lister) = (self.clock.chosen(now), &self.lister);
        on_client!(self, |client| unqueued(&client, lister, chosen, now, limit)).await
    }
}

/// A batch as columns.
struct MessageColumns {
    ids: Vec<String>,
    addresses: Vec<String>,
    payloads: Vec<String>,
    /// The number of their import.
    import: Option<i64>,
    /// The lines of their rows, if they come from a file.
    lines: Vec<Option<i64>>,
}

impl MessageColumns {
    fn of(messages: &[Message], import: Option<&Import>) -> Result<Self> {
        let lines = import.map_or(&[][..], |import| &import.lines);
        let lines = lines.iter().map(|line| Some(column(*line)));
        let lines = lines.chain(std::iter::repeat(None));
        Ok(Self {
            import: import.map(|import| import.number),
            lines: lines.take(messages.len()).collect(),
            ids: messages
                .iter()
                .map(|message| message.id().as_str().to_owned())
                .collect(),
            addresses: messages
                .iter()
                .map(|message| message.customer.address.as_str().to_owned())
                .collect(),
            payloads: messages.iter().map(to_json).collect::<Result<_>>()?,
        })
    }
}

async fn accept(
    transaction: &Transaction<'_>,
    campaign: &CampaignId,
    batch: &MessageColumns,
    now: Timestamp,
    queue_after: Timestamp,
) -> Result<Vec<Acceptance>> {
    // One batch of a campaign at a time: two batches that share messages could block each other.
    let sql = "SELECT FROM campaigns WHERE id = $1 FOR NO KEY UPDATE";
    let statement = transaction.prepare_cached(sql).await?;
    let locked = transaction
        .execute(&statement, &[&campaign.as_str()])
        .await?;
    if locked == 0 {
        return Err(LedgerError::NoCampaign(campaign.clone()));
    }
    let inserted = insert(transaction, campaign, batch, now, queue_after).await?;
    if inserted.len() == batch.ids.len() {
        Ok(vec![Acceptance::Accepted; batch.ids.len()])
    } else {
        judge(transaction, campaign, batch, &inserted).await
    }
}

/// Records the messages whose ids and addresses are free (of two in a batch, the earlier), and returns their positions
/// in the batch, by id.
async fn insert(
    transaction: &Transaction<'_>,
    campaign: &CampaignId,
    batch: &MessageColumns,
    now: Timestamp,
    queue_after: Timestamp,
) -> Result<HashMap<String, usize>> {
    let statement = transaction
        .prepare_cached(
            "WITH fresh AS (
                INSERT INTO messages (campaign, id, address, payload, accepted_at, import, line)
                SELECT $1, given.id, given.address, given.payload, $5,
                    CASE WHEN given.line IS NOT NULL THEN $7::BIGINT END, given.line
                FROM unnest($2::TEXT[], $3::TEXT[], $4::TEXT[], $8::BIGINT[])
                    WITH ORDINALITY AS given (id, address, payload, line, n)
                ORDER BY given.n
                ON CONFLICT DO NOTHING RETURNING id, address),
             open AS (
                INSERT INTO turns (campaign, id, state, queued, queue_after)
                SELECT $1, id, 'waiting', FALSE, $6 FROM fresh)
             SELECT id, address FROM fresh",
        )
        .await?;
    let rows = transaction
        .query(
            &statement,
            &[
                &campaign.as_str(),
                &batch.ids,
                &batch.addresses,
                &batch.payloads,
                &ms(now),
                &ms(queue_after),
                &batch.import,
                &batch.lines,
            ],
        )
        .await
        .map_err(|error| LedgerError::from(error).in_campaign(campaign))?;
    let mut first = HashMap::new();
    for (n, pair) in batch.ids.iter().zip(&batch.addresses).enumerate() {
        first.entry(pair).or_insert(n);
    }
    rows.iter()
        .map(|row| {
            let pair = (row.try_get(0)?, row.try_get(1)?);
            let n = first.get(&(&pair.0, &pair.1)).copied();
            Ok((pair.0, n.unwrap_or(usize::MAX)))
        })
        .collect()
}

/// Decides the result of each message, as if they had been offered one after another.
async fn judge(
    transaction: &Transaction<'_>,
    campaign: &CampaignId,
    batch: &MessageColumns,
    inserted: &HashMap<String, usize>,
) -> Result<Vec<Acceptance>> {
    let statement = transaction
        .prepare_cached(
            "SELECT m.id IS NOT NULL, t.state IS DISTINCT FROM 'waiting' OR t.queued, twin.id
             FROM unnest($2::TEXT[], $3::TEXT[]) WITH ORDINALITY AS given (id, address, n)
             LEFT JOIN messages m ON m.campaign = $1 AND m.id = given.id
             LEFT JOIN turns t ON t.campaign = $1 AND t.id = given.id
             LEFT JOIN messages twin ON twin.campaign = $1 AND twin.address = given.address
             ORDER BY given.n",
        )
        .await?;
    let rows = transaction
        .query(
            &statement,
            &[&campaign.as_str(), &batch.ids, &batch.addresses],
        )
        .await?;
    let mut acceptances = Vec::with_capacity(rows.len());
    for (n, row) in rows.iter().enumerate() {
        let place = inserted.get(&batch.ids[n]);
        let exists: bool = row.try_get(0)?;
        // A later message of this batch did not count yet.
        let known = exists && place.is_none_or(|place| *place < n);
        acceptances.push(if place == Some(&n) {
            Acceptance::Accepted
        } else if known {
            let queued: Option<bool> = row.try_get(1)?;
            Acceptance::Known {
                queued: queued.unwrap_or(true),
            }
        } else {
            let twin: Option<&str> = row.try_get(2)?;
            let by = twin.ok_or_else(|| {
                LedgerError::Damaged("a message was refused without a reason".to_owned())
            })?;
            Acceptance::AddressTaken {
                by: message_id(by)?,
            }
        });
    }
    Ok(acceptances)
}

async fn mark_queued(client: &Client, lister: &str, published: &[Publication]) -> Result<()> {
    // A different lease number means that the message was taken since it was listed: its state is its consumer's to
    // write. Once a queue has lost a message, only the process that has it listed knows that it is on the queue: an
    // earlier publication may be the lost one. Rows are locked in one order, so that two callers do not block each
    // other.
    let statement = client
        .prepare_cached(
            "WITH marked AS (
                SELECT t.campaign, t.id
                FROM turns t JOIN unnest($1::TEXT[], $2::TEXT[], $3::BIGINT[])
                    AS given (campaign, id, lease) USING (campaign, id, lease)
                WHERE t.state = 'waiting' AND NOT t.queued AND (t.again_at IS NULL OR t.lister = $4)
                ORDER BY t.campaign, t.id FOR UPDATE OF t)
             UPDATE turns t
             SET queued = TRUE, queue_after = NULL, lister = NULL, listed_until = NULL
             FROM marked WHERE t.campaign = marked.campaign AND t.id = marked.id",
        )
        .await?;
    let campaigns: Vec<_> = published
        .iter()
        .map(|one| one.key.campaign.as_str())
        .collect();
    let ids: Vec<_> = published.iter().map(|one| one.key.id.as_str()).collect();
    let leases: Vec<_> = published.iter().map(|one| one.lease).collect();
    client
        .execute(&statement, &[&campaigns, &ids, &leases, &lister])
        .await?;
    Ok(())
}

/// How long listed messages are reserved for one process, so that others do not publish them too: longer than some
/// publisher confirms take. It saves work but guarantees nothing.
const LISTED_FOR_MS: i64 = 15_000;

/// Lists messages for `lister`, and reserves them for a while.
pub(super) async fn unqueued(
    client: &impl GenericClient,
    lister: &str,
    chosen: Option<i64>,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<(Publication, Message)>> {
    let statement = client
        .prepare_cached(
            "WITH due AS (
                SELECT campaign, id FROM turns
                WHERE state = 'waiting' AND NOT queued AND queue_after <= $1
                  AND (lister IS NULL OR lister = $3 OR listed_until <= lease_clock($4))
                  AND NOT EXISTS (SELECT FROM damaged d WHERE d.campaign = turns.campaign
                    AND d.id = turns.id AND d.at > $1 - $6::BIGINT)
                ORDER BY queue_after, campaign, id LIMIT $2 FOR UPDATE SKIP LOCKED),
             listed AS (
                UPDATE turns t SET lister = $3, listed_until = lease_clock($4) + $5::BIGINT
                FROM due WHERE t.campaign = due.campaign AND t.id = due.id
                RETURNING t.campaign, t.id, t.lease, t.queue_after)
             SELECT l.campaign, l.id, l.lease, m.payload
             FROM listed l JOIN messages m USING (campaign, id)
             ORDER BY l.queue_after, l.campaign, l.id",
        )
        .await?;
    let limit = column(limit as u64);
    let rows = client
        .query(
            &statement,
            &[
                &ms(now),
                &limit,
                &lister,
                &chosen,
                &LISTED_FOR_MS,
                &millis(DAMAGED_AGAIN),
            ],
        )
        .await?;
    let mut listed = Vec::with_capacity(rows.len());
    for row in &rows {
        let publication = publication(row)?;
        match from_json(row.try_get(3)?) {
            Ok(message) => listed.push((publication, message)),
            Err(LedgerError::Damaged(detail)) => {
                let session = &PostgresSession(client);
                record_damaged(session, &publication.key, &detail, now).await?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(listed)
}

fn publication(row: &Row) -> Result<Publication> {
    Ok(Publication {
        key: take::key(row.try_get(0)?, row.try_get(1)?)?,
        lease: row.try_get(2)?,
    })
}
