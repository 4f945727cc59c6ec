//! The ledger's file and its log: whole after an end, refused where one lacks the other, and never refused for
//! a crash.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use serde_json::json;

use super::{campaign, contacts};
use crate::support::flexcast::{FakeTwilio, Place, balanced, each_once, eventually};
use crate::support::killed_imports::draw;

const CUSTOMERS: usize = 40;

/// Kills of a process, each a random moment after its start.
const KILLS: u64 = 24;

/// A state with [`CUSTOMERS`] messages that wait; every process has ended.
fn imported(twilio: &FakeTwilio) -> (Place, Vec<String>) {
    let place = Place::facing(twilio);
    let slow = campaign("task_on_reply", "conversations").replace("200/s", "40/s");
    place.write("spring.toml", slow);
    let (numbers, file) = contacts(CUSTOMERS);
    place.write("contacts.csv", file);
    place
        .run(&["import", "spring.toml", "contacts.csv"])
        .ends_with(0);
    (place, numbers)
}

fn ledger(place: &Place) -> PathBuf {
    place.path(".flexcast/ledger.db")
}

/// Copies files of one state to another place, as somebody does who knows no better.
fn copied(twilio: &FakeTwilio, place: &Place, names: &[&str]) -> Place {
    let copy = Place::facing(twilio);
    std::fs::create_dir(copy.path(".flexcast")).expect("a folder");
    for name in names {
        let name = format!(".flexcast/{name}");
        std::fs::copy(place.path(&name), copy.path(&name)).expect("it is copied");
    }
    copy
}

/// What is in a state's folder.
fn contents(place: &Place) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = std::fs::read_dir(place.path(".flexcast")).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .map(|path| (path.clone(), std::fs::read(&path).expect("a file")))
        .collect()
}

/// Panics unless every command that opens the ledger refuses it with these words and changes nothing.
#[track_caller]
fn is_refused(place: &Place, words: &[&str]) {
    let before = contents(place);
    place.write("contacts.csv", contacts(3).1);
    let commands: [&[&str]; 5] = [
        &["status"],
        &["work", "--http", "127.0.0.1:0", "--until-idle"],
        &["import", "spring", "contacts.csv"],
        &["campaign", "list"],
        &["ledger", "backup", "copy.db"],
    ];
    for command in commands {
        let ran = place.run(command).ends_with(78);
        for word in words {
            assert!(
                ran.err.contains(word),
                "{command:?} should say {word:?}: {}",
                ran.err
            );
        }
        assert_eq!(ran.err.trim().lines().count(), 1, "{}", ran.err);
        assert!(
            contents(place) == before,
            "{command:?} has changed something"
        );
    }
    assert!(!place.path("copy.db").exists() && !place.path("copy.db.part").exists());
}

/// Panics unless the logs of ledger and queue are gone or empty, and each file alone has everything.
#[track_caller]
fn is_closed(twilio: &FakeTwilio, place: &Place) {
    for name in ["ledger.db-wal", "queue.db-wal"] {
        let log = std::fs::metadata(place.path(&format!(".flexcast/{name}")));
        assert!(
            log.is_err() || log.is_ok_and(|log| log.len() == 0),
            "{name}"
        );
    }
    let alone = copied(twilio, place, &["ledger.db", "queue.db"]);
    assert_eq!(alone.status("spring"), place.status("spring"));
}

#[test]
fn after_a_clean_end_and_after_sigterm_the_file_alone_is_whole() {
    let twilio = FakeTwilio::start();
    let (place, numbers) = imported(&twilio);
    is_closed(&twilio, &place);
    let mut work = place.work(&[]);
    place.status_until("spring", |books| books["done"].as_u64() >= Some(5));
    // Others come and go beside it, and leave the log to it.
    place.write("more.csv", contacts(CUSTOMERS + 5).1);
    place.run(&["import", "spring", "more.csv"]).ends_with(0);
    assert!(place.path(".flexcast/ledger.db-wal").exists());
    work.terminate();
    work.ended().ends_with(0);
    is_closed(&twilio, &place);
    place.work(&["--until-idle"]).ended().ends_with(0);
    is_closed(&twilio, &place);
    let more = contacts(CUSTOMERS + 5).0;
    assert_eq!(more[..CUSTOMERS], numbers);
    each_once(&twilio.effects(), "message", &more);
    let send = ["send", "spring.toml", "contacts.csv", "--yes"];
    place.run(&send).ends_with(0);
    is_closed(&twilio, &place);
    // A command that fails closes the file too.
    place.run(&["campaign", "show", "autumn"]).ends_with(78);
    is_closed(&twilio, &place);
}

#[test]
fn an_import_that_is_asked_to_stop_closes_the_file_and_goes_on_later() {
    let twilio = FakeTwilio::start();
    let (place, _) = imported(&twilio);
    // Another process writes and does not come to an end: the import waits where it is to begin.
    let thief = Connection::open(ledger(&place)).expect("the ledger");
    thief.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    place.write("more.csv", contacts(CUSTOMERS + 20).1);
    let mut import = place.start(&["import", "spring", "more.csv"]);
    eventually("the import to begin", || {
        import.err().contains("more.csv").then_some(())
    });
    import.terminate();
    let log = place.path(".flexcast/queue.db-wal");
    eventually("the queue to be closed", || (!log.exists()).then_some(()));
    thief.execute_batch("ROLLBACK").expect("let go");
    drop(thief);
    let ended = import.ended().ends_with(75);
    assert!(
        ended.err.contains("repeat the command to continue"),
        "{}",
        ended.err
    );
    is_closed(&twilio, &place);
    place.run(&["import", "spring", "more.csv"]).ends_with(0);
    place.work(&["--until-idle"]).ended().ends_with(0);
    let books = place.status("spring");
    balanced(&books);
    each_once(&twilio.effects(), "message", &contacts(CUSTOMERS + 20).0);
}

#[test]
fn a_file_that_was_copied_without_its_log_is_refused() {
    let twilio = FakeTwilio::start();
    let (place, _) = imported(&twilio);
    let mut work = place.work(&[]);
    place.status_until("spring", |books| books["done"].as_u64() >= Some(5));
    let without = [
        "copied without its log",
        "ledger.db-wal",
        "flexcast ledger backup FILE",
    ];
    is_refused(&copied(&twilio, &place, &["ledger.db"]), &without);
    work.crash();
    is_refused(
        &copied(&twilio, &place, &["ledger.db", "queue.db"]),
        &without,
    );
    // The log came too, or was lost where it was.
    let whole = copied(&twilio, &place, &["ledger.db", "ledger.db-wal"]);
    balanced(&whole.status("spring"));
    let queue = copied(&twilio, &place, &["ledger.db", "ledger.db-wal", "queue.db"]);
    let refused = queue.run(&["work", "--http", "127.0.0.1:0"]).ends_with(78);
    for word in [
        "queue.db was copied without its log",
        "FlexcastQueueLacksMessages",
    ] {
        assert!(refused.err.contains(word), "{}", refused.err);
    }
    let here = copied(&twilio, &place, &["ledger.db", "ledger.db-wal"]);
    std::fs::remove_file(here.path(".flexcast/ledger.db-wal")).expect("it is removed");
    is_refused(&here, &without);
    // After the crash the file itself opens with its log, and is whole again then.
    balanced(&place.status("spring"));
    is_closed(&twilio, &place);
}

#[test]
fn a_file_that_is_empty_cut_off_or_something_else_is_refused_and_left_alone() {
    let twilio = FakeTwilio::start();
    let (place, _) = imported(&twilio);
    let bytes = std::fs::read(ledger(&place)).expect("a file");
    let text = "not a database, but long enough to be looked at. ".repeat(40);
    let cases: [(&[u8], &str); 4] = [
        (b"", "has 0 bytes"),
        (&bytes[..8_192], "was cut off"),
        (&bytes[..100], "was cut off"),
        (text.as_bytes(), "is not a database"),
    ];
    for (content, said) in cases {
        let copy = copied(&twilio, &place, &["queue.db"]);
        std::fs::write(ledger(&copy), content).expect("it is written");
        is_refused(&copy, &[said, "ledger.db", "Nothing was changed"]);
        if content.is_empty() {
            // SQLite would remove the log of an empty file.
            copy.write(".flexcast/ledger.db-wal", "a log");
            is_refused(&copy, &[said, "ledger.db-wal"]);
        }
    }
    let lost = copied(&twilio, &place, &[]);
    lost.write(".flexcast/ledger.db-wal", "a log");
    is_refused(&lost, &["is missing, but its log"]);
}

#[test]
fn a_ledger_of_an_earlier_version_opens_with_and_without_its_log() {
    for has_log in [false, true] {
        // Each ledger has an account of its own: the second one has no right to the campaign of the first.
        let twilio = FakeTwilio::start();
        let (place, _) = imported(&twilio);
        let old = Connection::open(ledger(&place)).expect("the ledger");
        // It had no mark.
        old.execute_batch("PRAGMA application_id = 0; PRAGMA wal_checkpoint(TRUNCATE)")
            .expect("it is done");
        if has_log {
            old.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
                .expect("it is set");
            old.execute_batch("UPDATE meta SET value = 'later' WHERE name = 'probe'")
                .expect("it is written");
        }
        drop(old);
        assert_eq!(place.path(".flexcast/ledger.db-wal").exists(), has_log);
        balanced(&place.status("spring"));
        place.run(&["ledger", "backup", "copy.db"]).ends_with(0);
        let mut work = place.work(&[]);
        place.status_until("spring", |books| books["done"] == json!(CUSTOMERS));
        let without = copied(&twilio, &place, &["ledger.db"]);
        is_refused(&without, &["copied without its log"]);
        work.terminate();
        work.ended().ends_with(0);
        is_closed(&twilio, &place);
    }
    // Its first commits were in the log alone: without that, an empty database.
    let twilio = FakeTwilio::start();
    let (place, _) = imported(&twilio);
    let early = copied(&twilio, &place, &[]);
    let empty = Connection::open(ledger(&early)).expect("a database");
    empty
        .execute_batch("PRAGMA journal_mode = WAL")
        .expect("a page");
    drop(empty);
    is_refused(&early, &["a database without tables"]);
}

#[test]
fn another_program_that_folds_the_log_in_after_a_crash_leaves_a_whole_ledger() {
    let twilio = FakeTwilio::start();
    let (place, numbers) = imported(&twilio);
    let mut work = place.work(&[]);
    place.status_until("spring", |books| books["done"].as_u64() >= Some(5));
    work.crash();
    for name in ["ledger.db", "queue.db"] {
        let file = place.path(&format!(".flexcast/{name}"));
        let sqlite = Connection::open(&file).expect("a database");
        let count = sqlite.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()));
        count.expect("it reads");
        drop(sqlite);
        assert!(!place.path(&format!(".flexcast/{name}-wal")).exists());
    }
    place.work(&["--until-idle"]).ended().ends_with(0);
    each_once(&twilio.effects(), "message", &numbers);
}

/// Writes some megabytes that are in the log alone afterwards.
fn lengthen_the_log(place: &Place, round: u64) {
    let conn = Connection::open(ledger(place)).expect("the ledger");
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .expect("it is set");
    conn.execute_batch(&format!(
        "PRAGMA wal_autocheckpoint = 0;
         CREATE TABLE IF NOT EXISTS filler (round INTEGER, text TEXT);
         WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 5000)
         INSERT INTO filler SELECT {round}, hex(randomblob(400)) FROM n"
    ))
    .expect("it is longer");
}

fn count(file: &Path, sql: &str) -> i64 {
    let conn = Connection::open(file).expect("a database");
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .expect("it is set");
    conn.query_row(sql, [], |row| row.get(0)).expect("a count")
}

#[test]
fn a_kill_while_the_log_is_folded_in_loses_nothing_and_is_refused_by_nobody() {
    let twilio = FakeTwilio::start();
    let (place, _) = imported(&twilio);
    for round in 0..KILLS {
        lengthen_the_log(&place, round);
        // It writes, so that it marks the file, and folds the log in at its beginning and its end.
        let pause = if round % 2 == 0 { "pause" } else { "resume" };
        let mut command = place.start(&["campaign", pause, "spring"]);
        std::thread::sleep(Duration::from_millis(draw(round) % 120));
        command.crash();
        let rows = count(&ledger(&place), "SELECT count(DISTINCT round) FROM filler");
        assert_eq!(rows, round as i64 + 1);
        // Not each time, so that some rounds begin with the log of the one before.
        if round % 3 == 0 {
            balanced(&place.status("spring"));
        }
    }
    balanced(&place.status("spring"));
    is_closed(&twilio, &place);
    assert_eq!(
        count(&ledger(&place), "SELECT count(*) FROM filler"),
        5_000 * KILLS as i64
    );
    let conn = Connection::open(ledger(&place)).expect("a database");
    let check = conn.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0));
    assert_eq!(check.as_deref(), Ok("ok"));
}

#[test]
fn a_kill_at_the_very_beginning_leaves_a_state_that_can_be_begun() {
    let twilio = FakeTwilio::start();
    for round in 0..KILLS {
        let place = Place::facing(&twilio);
        place.write("spring.toml", campaign("task_on_reply", "conversations"));
        let mut apply = place.start(&["campaign", "apply", "spring.toml"]);
        std::thread::sleep(Duration::from_millis(draw(round) % 60));
        apply.crash();
        place
            .run(&["campaign", "apply", "spring.toml"])
            .ends_with(0);
        assert_eq!(place.status("spring")["accepted"], json!(0));
    }
}
