//! `flexcast ledger backup`: whole copies, made while the ledger is in use, killed or out of room.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};

use super::{campaign, contacts};
use crate::support::flexcast::{FakeTwilio, Place, Ran, balanced, each_once, waits};
use crate::support::killed_imports::draw;

const CUSTOMERS: usize = 60;

/// Kills of a backup, each a random moment after its start.
const KILLS: u64 = 24;

/// A state with [`CUSTOMERS`] messages, some of them done.
fn begun(twilio: &FakeTwilio) -> (Place, Vec<String>) {
    let place = Place::facing(twilio);
    let slow = campaign("task_on_reply", "conversations").replace("200/s", "40/s");
    place.write("spring.toml", slow);
    let (numbers, file) = contacts(CUSTOMERS);
    place.write("contacts.csv", file);
    place
        .run(&["import", "spring.toml", "contacts.csv"])
        .ends_with(0);
    let mut work = place.work(&[]);
    place.status_until("spring", |books| books["done"].as_u64() >= Some(10));
    work.terminate();
    work.ended().ends_with(0);
    (place, numbers)
}

/// Another state, whose ledger is this file and whose queue is not there.
fn restored(twilio: &FakeTwilio, copy: &Path) -> Place {
    let place = Place::facing(twilio);
    std::fs::create_dir(place.path(".flexcast")).expect("a folder");
    std::fs::copy(copy, place.path(".flexcast/ledger.db")).expect("it is copied");
    place
}

/// Every row of every table, as text; but for who has a message on a queue.
fn rows(file: &Path) -> Vec<String> {
    let conn = Connection::open(file).expect("a database");
    let strings = |sql: &str| {
        let mut statement = conn.prepare(sql).expect("a query");
        let rows = statement.query_map([], |row| row.get::<_, String>(0));
        rows.expect("rows").map(|row| row.expect("a row")).collect()
    };
    let tables: Vec<String> =
        strings("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name");
    let mut all = Vec::new();
    for table in tables {
        let columns: Vec<String> = strings(&format!(
            "SELECT '\"' || name || '\"' FROM pragma_table_info('{table}')
             WHERE name NOT IN ('queued', 'queue_after')"
        ));
        let text = columns.join(", ");
        let rows = strings(&format!(
            "SELECT json_array('{table}', {text}) AS row FROM {table} ORDER BY row"
        ));
        all.extend(rows);
    }
    all
}

/// Makes the ledger's file longer by some megabytes.
fn lengthen(place: &Place) {
    let conn = Connection::open(place.path(".flexcast/ledger.db")).expect("the ledger");
    conn.execute_batch(
        "CREATE TABLE filler (n INTEGER PRIMARY KEY, text TEXT);
         WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 30000)
         INSERT INTO filler SELECT n, hex(randomblob(200)) FROM n",
    )
    .expect("it is longer");
}

/// Panics unless this file is a whole ledger that is used nowhere.
#[track_caller]
fn is_whole(file: &Path) {
    let conn = Connection::open(file).expect("a database");
    let text = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, String>(0));
    assert_eq!(text("PRAGMA integrity_check").expect("an answer"), "ok");
    assert_eq!(text("PRAGMA journal_mode").expect("an answer"), "delete");
    let count = conn.query_row("SELECT count(*) FROM messages", [], |row| row.get(0));
    assert_eq!(count, Ok(CUSTOMERS as i64));
    let mode = std::fs::metadata(file).expect("it is there").permissions();
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777,
        0o600
    );
}

#[test]
fn a_backup_is_the_same_ledger_and_work_goes_on_with_it() {
    let twilio = FakeTwilio::start();
    let (place, numbers) = begun(&twilio);
    let made = place.run(&["ledger", "backup", "copy.db", "--json"]);
    let made = made.ends_with(0).json();
    let copy = place.path("copy.db").canonicalize().expect("it is there");
    let bytes = std::fs::metadata(&copy).expect("it is there").len();
    assert_eq!(
        made,
        json!({"file": copy, "bytes": bytes, "messages": CUSTOMERS})
    );
    is_whole(&copy);
    let ledger = place.path(".flexcast/ledger.db");
    assert_eq!(rows(&copy), rows(&ledger));
    let said = place
        .run(&["ledger", "backup", "other.db"])
        .ends_with(0)
        .out;
    let other = place.path("other.db").canonicalize().expect("it is there");
    assert!(
        said.starts_with(&format!("{}: ", other.display())),
        "{said}"
    );
    assert!(said.contains("60 messages"), "{said}");

    let restored = restored(&twilio, &copy);
    assert_eq!(restored.status("spring"), {
        let mut books = place.status("spring");
        // The queue's file is not there: what waits is not on it.
        books["unread"] = json!(0);
        books
    });
    restored.work(&["--until-idle"]).ended().ends_with(0);
    let books = restored.status("spring");
    balanced(&books);
    assert_eq!(books["done"], json!(CUSTOMERS), "{books}");
    each_once(&twilio.effects(), "message", &numbers);
}

#[test]
fn a_backup_is_made_beside_work_and_has_one_moment_of_it() {
    let twilio = FakeTwilio::start();
    let (place, numbers) = begun(&twilio);
    let mut work = place.work(&["--until-idle"]);
    let mut done = 10;
    for at in 0..5 {
        let name = format!("copy-{at}.db");
        place.run(&["ledger", "backup", &name]).ends_with(0);
        is_whole(&place.path(&name));
        let copy = restored(&twilio, &place.path(&name));
        let books = copy.status("spring");
        balanced(&books);
        assert_eq!(books["in_flight"], json!(0), "{books}");
        assert!(books["done"].as_u64() >= Some(done), "{books}");
        done = books["done"].as_u64().expect("a count");
        let open = CUSTOMERS as u64 - done;
        assert_eq!(
            books["queued"].as_u64().expect("a count") + waits(&books),
            open
        );
    }
    work.ended().ends_with(0);
    each_once(&twilio.effects(), "message", &numbers);
}

#[test]
fn a_backup_that_is_killed_leaves_no_half_file_under_its_name() {
    let twilio = FakeTwilio::start();
    let (place, _) = begun(&twilio);
    lengthen(&place);
    let copy = place.path("copy.db");
    let (mut killed, mut at_most_ms) = (0, 40);
    for at in 0..KILLS {
        let mut backup = place.start(&["ledger", "backup", "copy.db", "--force"]);
        std::thread::sleep(Duration::from_millis(draw(at) % at_most_ms));
        backup.crash();
        killed += usize::from(place.path("copy.db.part").exists());
        if copy.exists() {
            is_whole(&copy);
        }
        if killed == 0 {
            at_most_ms += 40;
        }
        balanced(&place.status("spring"));
    }
    assert!(killed > 0, "no backup was killed while it was written");
    place
        .run(&["ledger", "backup", "copy.db", "--force"])
        .ends_with(0);
    is_whole(&copy);
    let left = std::fs::read_dir(place.path(".")).expect("a folder");
    let left = left.map(|entry| entry.expect("an entry").file_name());
    let left: Vec<_> = left
        .filter(|name| name.to_string_lossy().starts_with("copy.db."))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(rows(&copy), rows(&place.path(".flexcast/ledger.db")));
}

/// Runs the program where no file can have more than so many KiB.
fn run_without_room(place: &Place, kib: u32, arguments: &[&str]) -> Ran {
    // In blocks of 512 bytes. Ignored, the signal of such a write turns into its error.
    let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$@\"", kib * 2);
    let program = place.command(arguments);
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", &script, "sh"])
        .arg(program.get_program());
    command
        .args(program.get_args())
        .env_clear()
        .current_dir(place.path("."));
    let variables = program
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)));
    let output = command.envs(variables).output().expect("a shell");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ran {
        code: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

#[test]
fn where_there_is_no_room_nothing_is_left_and_nothing_is_lost() {
    let twilio = FakeTwilio::start();
    let (place, numbers) = begun(&twilio);
    lengthen(&place);
    let ran = run_without_room(&place, 400, &["ledger", "backup", "copy.db"]).ends_with(75);
    assert!(ran.err.contains("copy.db was not made"), "{}", ran.err);
    assert!(!place.path("copy.db").exists() && !place.path("copy.db.part").exists());
    // What was there before is there still.
    place.run(&["ledger", "backup", "copy.db"]).ends_with(0);
    run_without_room(&place, 400, &["ledger", "backup", "copy.db", "--force"]).ends_with(75);
    is_whole(&place.path("copy.db"));

    // The ledger itself has no room: for its log, and for what belongs to that.
    place.write("more.csv", contacts(CUSTOMERS + 40).1);
    let before = place.status("spring");
    for kib in [0, 4, 16, 32, 64] {
        let ran = run_without_room(&place, kib, &["import", "spring", "more.csv", "--again"]);
        assert_ne!(ran.code, Some(0), "{kib} KiB: {}", ran.err);
        assert!(
            ran.code.is_some() && !ran.err.contains("panicked"),
            "{kib} KiB: {}",
            ran.err
        );
        let books = place.status("spring");
        balanced(&books);
        assert_eq!(books["done"], before["done"], "{kib} KiB");
    }
    place
        .run(&["import", "spring", "more.csv", "--again"])
        .ends_with(0);
    place.work(&["--until-idle"]).ended().ends_with(0);
    let more = contacts(CUSTOMERS + 40).0;
    assert_eq!(more[..CUSTOMERS], numbers);
    each_once(&twilio.effects(), "message", &more);
}

#[test]
fn a_backup_replaces_nothing_unless_it_is_told_to_and_never_the_ledger() {
    let place = Place::impatient();
    let none = place.run(&["ledger", "backup", "copy.db"]).ends_with(78);
    assert!(none.err.contains("there is no ledger in"), "{}", none.err);
    assert!(!place.path(".flexcast").exists(), "nothing is made for it");

    let twilio = FakeTwilio::start();
    let (mut place, _) = begun(&twilio);
    place.write("copy.db", "something else");
    let refused = place.run(&["ledger", "backup", "copy.db"]).ends_with(2);
    assert!(refused.err.contains("--force"), "{}", refused.err);
    let kept = std::fs::read_to_string(place.path("copy.db")).expect("it is there");
    assert_eq!(kept, "something else");
    std::os::unix::fs::symlink(place.path(".flexcast/ledger.db"), place.path("link.db"))
        .expect("a link");
    for own in [
        ".flexcast/ledger.db",
        ".flexcast/ledger.db-wal",
        ".flexcast/ledger.db.users",
        ".flexcast/queue.db",
        ".flexcast/../.flexcast/queue.db-wal",
        "link.db",
    ] {
        let refused = place
            .run(&["ledger", "backup", own, "--force"])
            .ends_with(2);
        assert!(
            refused.err.contains("uses this file"),
            "{own}: {}",
            refused.err
        );
    }
    for (file, why) in [(".flexcast", "a folder"), ("nowhere/copy.db", "its folder")] {
        let refused = place.run(&["ledger", "backup", file]).ends_with(2);
        assert!(refused.err.contains(why), "{}", refused.err);
    }
    balanced(&place.status("spring"));
    // Another backup is being written: its lock is held.
    let part = std::fs::File::create(place.path("copy.db.part")).expect("a file");
    part.lock().expect("the lock");
    let refused = place
        .run(&["ledger", "backup", "copy.db", "--force"])
        .ends_with(75);
    assert!(refused.err.contains("another backup"), "{}", refused.err);
    drop(part);
    place
        .run(&["ledger", "backup", "copy.db", "--force"])
        .ends_with(0);
    is_whole(&place.path("copy.db"));

    // Nothing is asked of the server.
    place.set("DATABASE_URL", "postgres://nobody:secret@192.0.2.1/none");
    let refused = place.run(&["ledger", "backup", "other.db"]).ends_with(78);
    assert!(
        refused.err.contains("pg_dump --schema=flexcast"),
        "{}",
        refused.err
    );
    assert!(!refused.err.contains("secret"), "{}", refused.err);
    let left: Value = json!(place.path("other.db").exists());
    assert_eq!(left, json!(false));
}
