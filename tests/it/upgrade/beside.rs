//! A consumer of the old version that is still at work when the new version comes.

use std::fs::File;

use rusqlite::Connection;

use super::fixture::{Age, Left};
use super::newer::{ON_POSTGRESQL, ON_SQLITE};
use crate::support::broker::Vhost;
use crate::support::flexcast::Place;
use crate::support::postgres::Database;

/// Every command of the new version that opens the ledger says what is in its way, and changes nothing.
#[track_caller]
fn is_refused(place: &Place, consumer: &str) {
    const WORK: &[&str] = &["work", "--http", "127.0.0.1:0", "--until-idle"];
    let import = ["import", "slow", "slow.jsonl", "--yes"];
    for command in [WORK, &["status"], &import] {
        let refused = place.run(command).ends_with(75);
        for words in [
            consumer,
            "stop every work and send of the older version",
            "docs/upgrading.md",
        ] {
            assert!(refused.err.contains(words), "{words}: {}", refused.err);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_not_migrated_beside_a_consumer_of_the_old_version() {
    let left = Left::in_files(Age::Minutes).await;
    let version = || -> i64 {
        let db = Connection::open(left.place.path(".flexcast/ledger.db")).expect("a database");
        let version = db.pragma_query_value(None, "user_version", |row| row.get(0));
        version.expect("a version")
    };
    // A consumer of every version holds this lock.
    let held = File::options()
        .write(true)
        .open(left.place.path(".flexcast/ledger.db.lock"))
        .expect("the old program's lock");
    held.lock().expect("it is free");
    is_refused(&left.place, "(process ");
    assert_eq!(version(), 5);
    drop(held);
    left.place.run(&["status"]).ends_with(0);
    assert_eq!(version(), ON_SQLITE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_is_not_migrated_beside_a_consumer_of_the_old_version() {
    let (database, vhost) = (Database::new().await, Vhost::new().await);
    let left = Left::on_services(&database, &vhost, Age::Minutes).await;
    let session = database.session().await;
    let version = async || -> i64 {
        let row = session.query_one("SELECT max(number) FROM flexcast.migrations", &[]);
        row.await.expect("an answer").get(0)
    };
    // A consumer of every version shows in this way that it lives.
    let consumer = database.session().await;
    let shown = "SELECT pg_advisory_lock_shared(1718384739, hashtext('an old consumer'))";
    consumer.batch_execute(shown).await.expect("it lives");
    is_refused(&left.place, "(1 connected");
    assert_eq!(version().await, 6);
    let gone = "SELECT pg_advisory_unlock_all()";
    consumer.batch_execute(gone).await.expect("it has ended");
    left.place.run(&["status"]).ends_with(0);
    assert_eq!(version().await, ON_POSTGRESQL);
}
