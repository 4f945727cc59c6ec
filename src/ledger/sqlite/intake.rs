//! Accepting messages, and getting them onto the queue.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::ledger::{
    Acceptance, DAMAGED_AGAIN, Import, LedgerError, MessageKey, Publication, Result,
};
use crate::message::{CampaignId, Message, MessageId};

use super::imports;
use super::rows::in_campaign;
use crate::ledger::columns::{campaign_id, column, from_json, message_id, ms, to_json};

/// A message as its columns have it. It is made where the message is offered: the one thread that
/// writes has enough to do.
pub(super) struct Offered {
    id: MessageId,
    address: String,
    payload: String,
}

impl Offered {
    pub(super) fn of(message: &Message) -> Result<Self> {
        Ok(Self {
            id: message.id(),
            address: message.customer.address.as_str().to_owned(),
            payload: to_json(message)?,
        })
    }
}

pub(super) fn accept(
    conn: &Connection,
    campaign: &CampaignId,
    messages: &[Offered],
    import: Option<&Import>,
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
    if let Some(import) = import {
        imports::count(conn, campaign, import, &acceptances, now)?;
    }
    Ok(acceptances)
}

/// Records a message; false when its id or its address is taken.
pub(super) fn insert(
    conn: &Connection,
    campaign: &CampaignId,
    message: &Offered,
    now: Timestamp,
) -> Result<bool> {
    let inserted = conn
        .prepare_cached(
            "INSERT INTO messages (campaign, id, address, payload, accepted_at)
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            campaign.as_str(),
            message.id.as_str(),
            message.address,
            message.payload,
            ms(now),
        ])
        .map_err(in_campaign(campaign))?;
    Ok(inserted == 1)
}

/// Whose the address is, once [`insert`] has refused a message of a new id.
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

/// Whether a known message is on the queue or will be brought back; None for one never accepted.
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

pub(super) fn mark_queued(conn: &Connection, published: &[Publication]) -> Result<()> {
    // Another lease number: taken since it was listed, so that it is its consumer's to say.
    let mut mark = conn.prepare_cached(
        "UPDATE turns SET queued = 1, queue_after = NULL
         WHERE campaign = ?1 AND id = ?2 AND lease = ?3 AND state = 'waiting' AND queued = 0",
    )?;
    for Publication { key, lease } in published {
        mark.execute(params![key.campaign.as_str(), key.id.as_str(), lease])?;
    }
    Ok(())
}

/// What a look at messages to be published shows.
pub(super) struct Unqueued {
    pub(super) ready: Vec<(Publication, Message)>,
    /// Those that cannot be read, and why.
    pub(super) damaged: Vec<(MessageKey, String)>,
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
