//! The books: every term counted from its own records, in one statement, which is one snapshot.

use deadpool_postgres::Client;

use crate::ledger::columns::count;
use crate::ledger::{Books, Result};
use crate::message::CampaignId;

const TERMS: &str = "
    SELECT 'accepted', NULL, count(*) FROM messages {where}
    UNION ALL SELECT state, reason, count(*) FROM turns {where} GROUP BY state, reason
    UNION ALL SELECT outcome, reason, count(*) FROM outcomes {where} GROUP BY outcome, reason
    UNION ALL SELECT 'rejected', reason, count(*) FROM rejects {where} GROUP BY reason
    UNION ALL SELECT 'rows', NULL, coalesce(sum(rows), 0)::BIGINT FROM imports {where}
    UNION ALL SELECT 'duplicate', NULL, coalesce(sum(duplicate), 0)::BIGINT FROM imports {where}
    UNION ALL SELECT 'suppressed', NULL, coalesce(sum(suppressed), 0)::BIGINT FROM imports {where}";

pub(super) async fn books(client: &Client, campaign: Option<&CampaignId>) -> Result<Books> {
    let rows = match campaign {
        Some(campaign) => {
            let sql = TERMS.replace("{where}", "WHERE campaign = $1");
            let statement = client.prepare_cached(&sql).await?;
            client.query(&statement, &[&campaign.as_str()]).await?
        }
        None => {
            let sql = TERMS.replace("{where}", "");
            let statement = client.prepare_cached(&sql).await?;
            client.query(&statement, &[]).await?
        }
    };
    let mut books = Books::default();
    for row in rows {
        books.add(row.try_get(0)?, row.try_get(1)?, count(row.try_get(2)?))?;
    }
    Ok(books)
}
