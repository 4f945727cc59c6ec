//! The books: every term counted from its own records.

use rusqlite::{Connection, params_from_iter};

use crate::ledger::columns::count;
use crate::ledger::{Books, Result};
use crate::message::CampaignId;

/// One count: what it is of, the reason where there are several, how many.
type Term = (String, Option<String>, u64);

pub(super) fn books(conn: &Connection, campaign: Option<&CampaignId>) -> Result<Books> {
    let mut books = Books::default();
    for sql in [MESSAGES, TURNS, OUTCOMES, IMPORTS, REJECTS] {
        for (of, reason, n) in terms(conn, sql, campaign)? {
            books.add(&of, reason.as_deref(), n)?;
        }
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
