//! The books: every term counted from its own records.

use std::collections::BTreeMap;

use rusqlite::{Connection, params_from_iter};
use serde::Deserialize;

use crate::ledger::{Books, LedgerError, Result};
use crate::message::CampaignId;

use super::rows::{count, word};

/// One count: what it is of, the reason where there are several, how many.
type Term = (String, Option<String>, u64);

pub(super) fn books(conn: &Connection, campaign: Option<&CampaignId>) -> Result<Books> {
    let mut books = Books::default();
    for (of, _, n) in terms(conn, MESSAGES, campaign)? {
        debug_assert_eq!(of, "accepted");
        books.accepted += n;
    }
    for (state, reason, n) in terms(conn, TURNS, campaign)? {
        match state.as_str() {
            "waiting" => books.waiting += n,
            "deferred" => add(&mut books.deferred, reason.as_deref(), n)?,
            "in_flight" => books.in_flight += n,
            _ => return Err(no_term(&state)),
        }
    }
    for (outcome, reason, n) in terms(conn, OUTCOMES, campaign)? {
        match outcome.as_str() {
            "done" => books.done += n,
            "skipped" => add(&mut books.skipped, reason.as_deref(), n)?,
            "dead" => add(&mut books.dead, reason.as_deref(), n)?,
            "unknown" => books.unknown += n,
            _ => return Err(no_term(&outcome)),
        }
    }
    for (of, _, n) in terms(conn, IMPORTS, campaign)? {
        match of.as_str() {
            "rows" => books.rows += n,
            "duplicate" => books.duplicate += n,
            "suppressed" => books.suppressed += n,
            _ => return Err(no_term(&of)),
        }
    }
    for (_, reason, n) in terms(conn, REJECTS, campaign)? {
        add(&mut books.rejected, reason.as_deref(), n)?;
    }
    Ok(books)
}

// Grouped by campaign too, even for all campaigns: each then is one walk along an index that begins
// with the campaign, without sorting.
const MESSAGES: &str = "SELECT 'accepted', NULL, count(*) FROM messages GROUP BY campaign";
const TURNS: &str = "SELECT state, reason, count(*) FROM turns GROUP BY campaign, state, reason";
const OUTCOMES: &str =
    "SELECT outcome, reason, count(*) FROM outcomes GROUP BY campaign, outcome, reason";
const REJECTS: &str = "SELECT 'rejected', reason, count(*) FROM rejects GROUP BY campaign, reason";
const IMPORTS: &str = "SELECT 'rows', NULL, sum(rows) FROM imports GROUP BY campaign
    UNION ALL SELECT 'duplicate', NULL, sum(duplicate) FROM imports GROUP BY campaign
    UNION ALL SELECT 'suppressed', NULL, sum(suppressed) FROM imports GROUP BY campaign";

/// Runs one of the statements above, for one campaign or for all.
fn terms(conn: &Connection, sql: &str, campaign: Option<&CampaignId>) -> Result<Vec<Term>> {
    let sql = match campaign {
        Some(_) => sql.replace(
            " GROUP BY campaign",
            " WHERE campaign = ?1 GROUP BY campaign",
        ),
        None => sql.to_owned(),
    };
    let terms = conn
        .prepare_cached(&sql)?
        .query_map(
            params_from_iter(campaign.iter().map(|id| id.as_str())),
            |row| Ok((row.get(0)?, row.get(1)?, count(row.get(2)?))),
        )?
        .collect::<rusqlite::Result<_>>()?;
    Ok(terms)
}

fn add<R>(terms: &mut BTreeMap<R, u64>, reason: Option<&str>, n: u64) -> Result<()>
where
    R: Ord + for<'de> Deserialize<'de>,
{
    *terms.entry(word(reason.unwrap_or_default())?).or_default() += n;
    Ok(())
}

fn no_term(text: &str) -> LedgerError {
    LedgerError::Damaged(format!("the books have no term {text:?}"))
}
