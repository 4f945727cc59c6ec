//! What the version before has written is taken over: a campaign that was paused, and messages of which one
//! was taken by a consumer.

use flexcast::ledger::{Actor, CampaignState, LeaseClock, Ledger};
use flexcast::message::{PauseCause, SkipReason};

use super::fixture::{at, message, spring};
use crate::support::postgres::Database;

macro_rules! editions {
    ($store:literal: $($file:literal)+) => {
        [$(include_str!(concat!("../../../src/ledger/migrations/", $store, "/", $file))),+]
    };
}

/// A paused campaign with a message that nobody took, and one that was taken and given back.
fn rows(no: &str) -> String {
    let mut rows = format!(
        "INSERT INTO campaigns (id, state, reason, definition, applied_at, changed_at)
         VALUES ('{}', 'paused', 'HTTP 401', '{{}}', 0, 5000);",
        spring()
    );
    for (n, lease) in [(1, 0), (2, 3)] {
        let payload = String::from_utf8(message(n).to_json()).expect("JSON is text");
        let address = message(n).customer.address;
        let address = address.as_str();
        rows += &format!(
            "INSERT INTO messages (campaign, id, address, payload, accepted_at)
             VALUES ('{0}', 'crm-{n}', '{address}', '{payload}', 0);
             INSERT INTO turns (campaign, id, state, queued, lease)
             VALUES ('{0}', 'crm-{n}', 'waiting', {no}, {lease});",
            spring()
        );
    }
    rows
}

async fn is_taken_over(ledger: &Ledger) {
    let paused = ledger.campaign(&spring()).await.expect("it answers");
    let paused = paused.expect("it is there");
    assert_eq!(paused.state, CampaignState::Paused);
    assert_eq!(paused.state_since.as_millisecond(), 5_000);
    // Earlier versions had no command for it: a consumer that Twilio accepts resumes it.
    let cause = PauseCause::CredentialsRefused;
    assert_eq!(paused.paused_by, Some(Actor::Program { cause }));
    let books = ledger.books(None).await.expect("it answers");
    assert_eq!((books.accepted, books.queued), (2, 2));
    assert!(books.balance(), "{books:?}");
    // What a consumer of that version had may stand at Twilio.
    let skipped = ledger
        .skip_unbegun(&spring(), SkipReason::Cancelled, at(1), 10)
        .await;
    assert_eq!(skipped.expect("it answers"), 1);
}

#[tokio::test]
async fn a_file_of_the_fifth_edition_is_taken_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.db");
    let editions = editions!("sqlite": "0001_ledger.sql" "0002_undos.sql" "0003_overtaken.sql"
        "0004_manifest.sql" "0005_waiting.sql");
    let old = rusqlite::Connection::open(&path).expect("a new file");
    let sql = format!(
        "{} {} PRAGMA user_version = 5",
        editions.concat(),
        rows("0")
    );
    old.execute_batch(&sql).expect("the fifth edition");
    drop(old);
    let ledger = Ledger::open(&path).expect("it is brought up to date");
    is_taken_over(&ledger).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_of_the_sixth_edition_on_postgresql_is_taken_over() {
    let database = Database::new().await;
    let editions = editions!("postgres": "0001_ledger.sql" "0002_undos.sql" "0003_overtaken.sql"
        "0004_lanes.sql" "0005_manifest.sql" "0006_waiting.sql");
    let migrations = "CREATE TABLE migrations (number BIGINT PRIMARY KEY,
        applied_at TIMESTAMPTZ NOT NULL DEFAULT now());
        INSERT INTO migrations SELECT generate_series(1, 6)";
    let old = "CREATE SCHEMA flexcast; SET search_path = flexcast";
    let sql = format!(
        "{old}; {} {} {migrations}",
        editions.concat(),
        rows("FALSE")
    );
    database.raw(&sql).await;
    let ledger = Ledger::connect_with(&database.url, LeaseClock::Caller).await;
    is_taken_over(&ledger.expect("it is brought up to date")).await;
}
