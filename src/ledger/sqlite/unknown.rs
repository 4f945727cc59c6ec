//! Unknowns: messages of which nobody can say whether they went out, and what an operator decides.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use crate::ledger::columns::{campaign_id, column, from_json, message_id, ms, time, to_json};
use crate::ledger::{Ending, LedgerError, MessageKey, Result, UnknownRow};
use crate::message::{CampaignId, Event, masked};

use super::campaigns;
use super::message::{Outcome, journal};
use super::settle::append;

pub(super) fn list(
    conn: &Connection,
    campaign: Option<&CampaignId>,
    limit: usize,
) -> Result<Vec<UnknownRow>> {
    conn.prepare_cached(
        "SELECT o.campaign, o.id, m.address, o.at, o.detail
         FROM outcomes o JOIN messages m USING (campaign, id)
         WHERE o.outcome = 'unknown' AND (?1 IS NULL OR o.campaign = ?1)
         ORDER BY o.number LIMIT ?2",
    )?
    .query_and_then(
        params![campaign.map(CampaignId::as_str), column(limit as u64)],
        unknown,
    )?
    .collect()
}

fn unknown(row: &Row<'_>) -> Result<UnknownRow> {
    let ending: Ending = from_json(&row.get::<_, String>(4)?)?;
    let Ending::Unknown { reason, evidence } = ending else {
        return Err(LedgerError::Damaged(
            "an outcome is unknown by its word and not by its detail".to_owned(),
        ));
    };
    Ok(UnknownRow {
        campaign: campaign_id(&row.get::<_, String>(0)?)?,
        id: message_id(&row.get::<_, String>(1)?)?,
        customer: masked(&row.get::<_, String>(2)?),
        at: time(row.get(3)?)?,
        reason,
        evidence,
    })
}

pub(super) fn settle(
    conn: &Connection,
    key: &MessageKey,
    was_sent: bool,
    now: Timestamp,
) -> Result<bool> {
    let outcome = Outcome::of(conn, key)?.map(|outcome| outcome.ending);
    if !matches!(outcome, Some(Ending::Unknown { .. })) {
        return Ok(false);
    }
    let intended = journal(conn, key)?
        .into_iter()
        .rev()
        .find_map(|(_, event)| match event {
            Event::Intended { step, .. } => Some(step),
            _ => None,
        });
    let mut events = vec![Event::Settled { was_sent }];
    let of = [key.campaign.as_str(), key.id.as_str()];
    if was_sent {
        let done = to_json(&Ending::Done {
            already_sent: false,
        })?;
        conn.prepare_cached(
            "UPDATE outcomes SET outcome = 'done', reason = NULL, detail = ?3, at = ?4
             WHERE campaign = ?1 AND id = ?2",
        )?
        .execute(params![of[0], of[1], done, ms(now)])?;
    } else {
        events.extend(intended.map(|step| Event::Refused { step }));
        conn.prepare_cached("DELETE FROM outcomes WHERE campaign = ?1 AND id = ?2")?
            .execute(of)?;
        // Lease numbers go on above all that were: the time in ms is more than any message's takers,
        // so that one of them who wakes up late is still refused.
        conn.prepare_cached(
            "INSERT INTO turns (campaign, id, state, queued, queue_after, lease)
             VALUES (?1, ?2, 'waiting', 0, ?3, ?3)",
        )?
        .execute(params![of[0], of[1], ms(now)])?;
        campaigns::run_again(conn, &key.campaign, now)?;
    }
    append(conn, key, &events, now)?;
    Ok(true)
}
