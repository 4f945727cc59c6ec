//! Tests of a ledger whose disk is full.

use jiff::Timestamp;
use rusqlite::Connection;

use crate::ledger::{Ledger, LedgerError, Store, Stray};
use crate::message::{CampaignId, DeadReason};

#[tokio::test]
async fn a_full_disk_is_said_and_gets_better() {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = Ledger::open(&folder.path().join("ledger.db")).expect("a new ledger");
    let pages_max = async |pages: &'static str| {
        let sql = format!("PRAGMA max_page_count = {pages}");
        let limit = move |conn: &Connection| Ok(conn.query_row(&sql, [], |_| Ok(()))?);
        let Store::Sqlite(store) = &*ledger.store else {
            panic!("it is in a file");
        };
        store.write(limit).await.expect("a limit is no write");
    };
    let stray = Stray {
        campaign: CampaignId::parse("spring").expect("an id"),
        reason: DeadReason::Malformed,
        detail: "too long".to_owned(),
        body: "x".repeat(1_000_000),
    };
    // The limit cannot be less than the file's current size.
    pages_max("1").await;
    let refused = ledger.record_stray(&stray, Timestamp::UNIX_EPOCH).await;
    assert!(
        matches!(refused, Err(LedgerError::Unavailable(_))),
        "{refused:?}"
    );
    let none = ledger.dead(None, 9).await.expect("reading goes on");
    assert_eq!(none, []);
    pages_max("1000000").await;
    ledger
        .record_stray(&stray, Timestamp::UNIX_EPOCH)
        .await
        .expect("there is room again");
}
