//! The books: every term counted from its own records.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, params, params_from_iter};

use crate::ledger::columns::{campaign_id, count, ms};
use crate::ledger::{Books, OnQueue, Result};
use crate::message::CampaignId;

/// One count: of which campaign, of what, the reason where there are several, how many.
type Term = (String, String, Option<String>, u64);

pub(super) fn books(conn: &Connection, campaign: Option<&CampaignId>) -> Result<Books> {
    let mut books = Books::default();
    for (_, of, reason, n) in terms(conn, campaign)? {
        books.add(&of, reason.as_deref(), n)?;
    }
    Ok(books)
}

pub(super) fn of_each(conn: &Connection) -> Result<BTreeMap<CampaignId, Books>> {
    let mut all = BTreeMap::<CampaignId, Books>::new();
    for (campaign, of, reason, n) in terms(conn, None)? {
        let books = all.entry(campaign_id(&campaign)?).or_default();
        books.add(&of, reason.as_deref(), n)?;
    }
    Ok(all)
}

// Each is one walk along an index that begins with the campaign, without sorting.
const TERMS: [&str; 6] = [
    "SELECT campaign, 'accepted', NULL, count(*) FROM messages GROUP BY campaign",
    "SELECT campaign, state, reason, count(*) FROM turns GROUP BY campaign, state, reason",
    "SELECT campaign, outcome, reason, count(*) FROM outcomes GROUP BY campaign, outcome, reason",
    // From the open ones, which are few at the end: CROSS JOIN keeps that order.
    "SELECT campaign, 'twice', NULL, count(*)
     FROM turns CROSS JOIN outcomes USING (campaign, id) GROUP BY campaign",
    "SELECT campaign, 'rejected', reason, count(*) FROM rejects GROUP BY campaign, reason",
    "SELECT campaign, 'rows', NULL, sum(rows) FROM imports GROUP BY campaign
     UNION ALL SELECT campaign, 'imported', NULL, sum(accepted) FROM imports GROUP BY campaign
     UNION ALL SELECT campaign, 'duplicate', NULL, sum(duplicate) FROM imports GROUP BY campaign
     UNION ALL SELECT campaign, 'suppressed', NULL, sum(suppressed) FROM imports
        GROUP BY campaign",
];

/// Runs the statements above, for one campaign or for all.
fn terms(conn: &Connection, campaign: Option<&CampaignId>) -> Result<Vec<Term>> {
    let mut terms = Vec::new();
    for sql in TERMS {
        let sql = match campaign {
            Some(_) => sql.replace("GROUP BY campaign", "WHERE campaign = ?1 GROUP BY campaign"),
            None => sql.to_owned(),
        };
        let mut statement = conn.prepare_cached(&sql)?;
        let parameters = params_from_iter(campaign.iter().map(|id| id.as_str()));
        let rows = statement.query_map(parameters, |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, count(row.get(3)?)))
        })?;
        for term in rows {
            terms.push(term?);
        }
    }
    Ok(terms)
}

pub(super) fn has_open(conn: &Connection, campaign: &CampaignId, but_due: bool) -> Result<bool> {
    let sql = if but_due {
        "SELECT EXISTS (SELECT 1 FROM turns WHERE campaign = ?1 AND state = 'waiting')
             OR EXISTS (SELECT 1 FROM turns WHERE campaign = ?1 AND state = 'in_flight')
             OR EXISTS (SELECT 1 FROM turns
                        WHERE campaign = ?1 AND state = 'deferred' AND reason = 'retry')"
    } else {
        "SELECT EXISTS (SELECT 1 FROM turns WHERE campaign = ?1)"
    };
    Ok(conn
        .prepare_cached(sql)?
        .query_row([campaign.as_str()], |row| row.get(0))?)
}

pub(super) fn on_queue(conn: &Connection, now: Timestamp) -> Result<BTreeMap<CampaignId, OnQueue>> {
    conn.prepare_cached(
        "SELECT campaign,
            count(*) FILTER (WHERE queued AND (state = 'waiting'
                OR (state = 'in_flight' AND lease_until <= ?1)
                OR (state = 'deferred' AND due_at <= ?1))),
            count(*) FILTER (WHERE queued AND state = 'deferred' AND due_at > ?1),
            count(*) FILTER (WHERE state = 'in_flight' AND lease_until > ?1)
         FROM turns GROUP BY campaign",
    )?
    .query_and_then(params![ms(now)], |row| {
        let on_queue = OnQueue {
            ready: count(row.get(1)?),
            delayed: count(row.get(2)?),
            held: count(row.get(3)?),
        };
        Ok((campaign_id(&row.get::<_, String>(0)?)?, on_queue))
    })?
    .collect()
}
