//! A ledger or a queue that a newer program has brought up to its schema.

use rusqlite::Connection;

use crate::e2e_rabbitmq::CAMPAIGN_FILE;
use crate::support::broker::Vhost;
use crate::support::flexcast::{FakeTwilio, Place};
use crate::support::postgres::Database;

/// The schema versions of this program.
pub(super) const ON_SQLITE: i64 = 13;
pub(super) const ON_POSTGRESQL: i64 = 17;
const OF_QUEUE: i64 = 1;

/// A place where a campaign waits to be worked on.
fn place(twilio: &FakeTwilio, environment: &[(&str, &str)]) -> Place {
    let mut place = Place::facing(twilio);
    for (name, value) in environment {
        place.set(name, value);
    }
    place.write("spring.toml", CAMPAIGN_FILE);
    place.write("contacts.csv", "phone\n+12025550173\n");
    let import = ["import", "spring.toml", "contacts.csv"];
    place.run(&import).ends_with(0);
    place
}

/// Raises a file's schema version by one.
fn raise(place: &Place, file: &str, from: i64) {
    let db = Connection::open(place.path(file)).expect("a database");
    let version: i64 = db
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .expect("a version");
    assert_eq!(version, from);
    let raised = db.pragma_update(None, "user_version", from + 1);
    raised.expect("a newer version");
}

/// Every command that needs what is newer ends with one sentence that names both versions and what to do.
#[track_caller]
fn is_refused(place: &Place, twilio: &FakeTwilio, ours: i64, commands: &[&[&str]]) {
    let calls = twilio.requests().len();
    for command in commands {
        let refused = place.run(command).ends_with(78);
        let mut errors = refused
            .err
            .lines()
            .filter(|line| line.starts_with("error: "));
        let error = errors.next().unwrap_or_else(|| panic!("{}", refused.err));
        assert_eq!(errors.next(), None, "{}", refused.err);
        for words in [
            format!("schema version {}", ours + 1),
            format!("knows no version after {ours}"),
            "start the newer flexcast".to_owned(),
            "restore the backup".to_owned(),
            "docs/upgrading.md".to_owned(),
        ] {
            assert!(error.contains(&words), "{words}: {error}");
        }
    }
    assert_eq!(twilio.requests().len(), calls, "no call is made");
}

const WORK: &[&str] = &["work", "--http", "127.0.0.1:0", "--until-idle"];
const LOOK: &[&str] = &["status"];
const IMPORT: &[&str] = &["import", "spring", "contacts.csv", "--again"];
const BACKUP: &[&str] = &["ledger", "backup", "copy.db"];

#[test]
fn a_newer_ledger_in_a_file_is_refused() {
    let twilio = FakeTwilio::start();
    let place = place(&twilio, &[]);
    raise(&place, ".flexcast/ledger.db", ON_SQLITE);
    is_refused(&place, &twilio, ON_SQLITE, &[WORK, LOOK, IMPORT, BACKUP]);
    // Nothing was changed: it is used again as soon as the program fits.
    let db = Connection::open(place.path(".flexcast/ledger.db")).expect("a database");
    let lowered = db.pragma_update(None, "user_version", ON_SQLITE);
    lowered.expect("the version before");
    drop(db);
    place.work(&["--until-idle"]).ended().ends_with(0);
}

#[test]
fn a_newer_queue_in_a_file_is_refused() {
    let twilio = FakeTwilio::start();
    let place = place(&twilio, &[]);
    raise(&place, ".flexcast/queue.db", OF_QUEUE);
    is_refused(&place, &twilio, OF_QUEUE, &[WORK, IMPORT]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_ledger_on_postgresql_is_refused() {
    let twilio = FakeTwilio::start();
    let (database, vhost) = (Database::new().await, Vhost::new().await);
    let environment = [("DATABASE_URL", &*database.url), ("AMQP_URL", &*vhost.url)];
    let place = place(&twilio, &environment);
    let raise = format!("INSERT INTO flexcast.migrations (number) VALUES ({ON_POSTGRESQL} + 1)");
    database.raw(&raise).await;
    is_refused(&place, &twilio, ON_POSTGRESQL, &[WORK, LOOK, IMPORT]);
}
