//! Tests of the file after a crash at each moment, and of a copy of the file alone.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tempfile::TempDir;

use super::users::Users;
use super::{DatabaseKind, FileError, LOG_PAGES, SqliteFile, beside, look_after, mark};

const KIND: DatabaseKind = DatabaseKind {
    noun: "a test's file",
    remedy: "Copy it again",
};

/// The number of pages in the log that triggers a checkpoint.
const FOLD_PAGES: u32 = 8;

struct User {
    file: SqliteFile,
    conn: Connection,
}

fn make(conn: &mut Connection) -> rusqlite::Result<()> {
    conn.execute_batch(
        "CREATE TABLE rows (n INTEGER PRIMARY KEY, text TEXT); PRAGMA user_version = 1",
    )
}

fn open(path: &Path) -> Result<User, FileError> {
    let file = SqliteFile::open(path, &KIND, FOLD_PAGES, make)?;
    let conn = Connection::open(path).expect("a database");
    conn.pragma_update(None, "journal_mode", "WAL")
        .expect("a log");
    look_after(&conn).expect("it is set up");
    Ok(User { file, conn })
}

impl User {
    fn write(&mut self, n: u32) {
        self.file.before_write(&self.conn).expect("it is marked");
        let sql = "INSERT INTO rows VALUES (?1, hex(randomblob(1500)))";
        self.conn.execute(sql, [n]).expect("it is written");
    }

    fn close(self) {
        self.file.close(self.conn);
    }
}

fn rows(conn: &Connection) -> u32 {
    conn.query_row("SELECT count(*) FROM rows", [], |row| row.get(0))
        .expect("a count")
}

/// The size of the log in pages: it grows, and is rewritten from its beginning.
fn log_pages(path: &Path) -> u32 {
    let log = fs::metadata(beside(path, "-wal")).expect("a log");
    (log.len() / 4_096) as u32
}

/// The files as a crash at one moment would leave them.
struct Moment {
    folder: TempDir,
}

impl Moment {
    fn of(path: &Path, ends: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for end in ends {
            let from = beside(path, end);
            if from.exists() {
                fs::copy(from, beside(&folder.path().join("file.db"), end)).expect("it is copied");
            }
        }
        Self { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("file.db")
    }
}

/// Panics unless, after a crash at this moment, all rows are there and the file opens, and a copy of the file alone
/// has all rows or is refused. Returns whether the copy is refused.
#[track_caller]
fn crash(path: &Path, wanted: u32) -> bool {
    // Restores this thread's count: the files that are opened here have logs too.
    let pages = LOG_PAGES.get();
    let is_refused = crash_of(path, wanted);
    LOG_PAGES.set(pages);
    is_refused
}

#[track_caller]
fn crash_of(path: &Path, wanted: u32) -> bool {
    let crashed = Moment::of(path, &["", "-wal"]);
    let user = open(&crashed.path()).expect("a crash is no reason");
    assert_eq!(rows(&user.conn), wanted);
    user.close();
    let closed = Moment::of(&crashed.path(), &[""]);
    assert_eq!(
        rows(&open(&closed.path()).expect("it is whole").conn),
        wanted
    );

    let alone = Moment::of(path, &[""]);
    match open(&alone.path()) {
        Ok(user) => assert_eq!(rows(&user.conn), wanted, "an older state was taken"),
        Err(FileError::Refused(_)) => {
            let entries = fs::read_dir(alone.folder.path()).expect("a folder").count();
            assert_eq!(entries, 1, "something was made");
            return true;
        }
        Err(error) => panic!("{error}"),
    }
    false
}

/// Panics unless the file is complete after another SQLite program has opened it since a crash.
#[track_caller]
fn crash_and_look(path: &Path, wanted: u32) {
    let pages = LOG_PAGES.get();
    let crashed = Moment::of(path, &["", "-wal"]);
    let other = Connection::open(crashed.path()).expect("a database");
    assert_eq!(rows(&other), wanted);
    drop(other);
    assert!(!beside(&crashed.path(), "-wal").exists());
    let user = open(&crashed.path()).expect("it is whole");
    assert_eq!(rows(&user.conn), wanted);
    LOG_PAGES.set(pages);
}

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file.db");
    (folder, path)
}

#[test]
fn a_crash_at_each_moment_of_a_process_is_no_reason_to_refuse_its_file() {
    let (_folder, path) = place();
    let mut user = open(&path).expect("a new file");
    assert!(!crash(&path, 0), "nothing is in the log alone");
    let mut refused = 0;
    for n in 1..=60 {
        user.write(n);
        refused += u32::from(crash(&path, n));
        crash_and_look(&path, n);
        user.file.after_write(&user.conn);
        assert!(crash(&path, n), "the file says that it is in use");
        crash_and_look(&path, n);
    }
    assert_eq!(refused, 60, "the log has what the file has not");
    assert!(log_pages(&path) <= 2 * FOLD_PAGES, "the log is folded in");
    user.close();
    assert!(!crash(&path, 60) && !beside(&path, "-wal").exists());
}

#[test]
fn a_crash_at_each_moment_of_a_beginning_and_an_end_is_no_reason_either() {
    let (_folder, path) = place();
    let mut user = open(&path).expect("a new file");
    // The steps of `before_write`.
    mark::set(&user.conn, mark::IN_USE).expect("it is set");
    assert!(!crash(&path, 0));
    assert!(mark::fold(&user.conn, mark::Fold::WhatGoes).expect("it is folded in"));
    assert!(crash(&path, 0));
    mark::set(&user.conn, mark::WHOLE).expect("it is set");
    assert!(crash(&path, 0));
    crash_and_look(&path, 0);
    for n in 1..=5 {
        user.write(n);
    }
    // The steps of `close`.
    mark::set(&user.conn, mark::IN_USE).expect("it is set");
    assert!(crash(&path, 5));
    assert!(mark::fold(&user.conn, mark::Fold::WhatGoes).expect("it is folded in"));
    assert!(crash(&path, 5));
    mark::set(&user.conn, mark::WHOLE).expect("it is set");
    assert!(crash(&path, 5));
    crash_and_look(&path, 5);
    assert!(mark::fold(&user.conn, mark::Fold::AndEmpty).expect("it is folded in"));
    assert!(!crash(&path, 5));
    user.close();
    assert!(!crash(&path, 5));
}

#[test]
fn a_crash_in_a_checkpoint_is_no_reason_either() {
    let (_folder, path) = place();
    let mut user = open(&path).expect("a new file");
    for n in 1..=30 {
        user.write(n);
    }
    let before = fs::read(&path).expect("a file");
    let log = fs::read(beside(&path, "-wal")).expect("a log");
    mark::set(&user.conn, mark::IN_USE).expect("it is set");
    assert!(mark::fold(&user.conn, mark::Fold::WhatGoes).expect("it is folded in"));
    let after = fs::read(&path).expect("a file");
    assert!(after.len() > before.len());
    // SQLite writes pages in order; the log stays until all of them are durable.
    for pages in 1..after.len() / 4_096 {
        let torn = tempfile::tempdir().expect("a folder");
        let torn_path = torn.path().join("file.db");
        let mut bytes = after[..pages * 4_096].to_vec();
        bytes.extend(before.iter().skip(bytes.len()));
        fs::write(&torn_path, bytes).expect("it is written");
        fs::write(beside(&torn_path, "-wal"), &log).expect("it is written");
        assert!(crash(&torn_path, 30), "{pages} pages");
    }
    user.close();
}

#[test]
fn of_several_users_the_last_one_makes_the_file_whole() {
    let (_folder, path) = place();
    let mut work = open(&path).expect("a new file");
    work.write(1);
    let mut import = open(&path).expect("it is there");
    import.write(2);
    work.write(3);
    let status = open(&path).expect("it is there");
    assert!(crash(&path, 3));
    import.close();
    assert!(crash(&path, 3));
    work.close();
    assert!(crash(&path, 3), "one is left, which has written nothing");
    status.close();
    assert!(!crash(&path, 3) && !beside(&path, "-wal").exists());
    // A user that only reads leaves no mark.
    let status = open(&path).expect("it is there");
    assert!(!crash(&path, 3));
    status.close();
    // A drop is a crash.
    let mut killed = open(&path).expect("it is there");
    killed.write(4);
    let User { file, conn } = killed;
    drop((conn, file));
    assert!(beside(&path, "-wal").exists() && crash(&path, 4));
}

#[test]
fn a_reader_of_an_old_state_only_puts_the_folding_off() {
    let (_folder, path) = place();
    let mut user = open(&path).expect("a new file");
    user.write(1);
    let reader = Connection::open(&path).expect("a database");
    reader.execute_batch("BEGIN").expect("it begins");
    assert_eq!(rows(&reader), 1);
    for n in 2..=50 {
        user.write(n);
        user.file.after_write(&user.conn);
        assert!(crash(&path, n));
        crash_and_look(&path, n);
    }
    let long = log_pages(&path);
    assert!(long > 50, "the log keeps what the reader has not read");
    drop(reader);
    for n in 51..=100 {
        user.write(n);
        user.file.after_write(&user.conn);
    }
    assert!(LOG_PAGES.get() <= 2 * FOLD_PAGES, "the log has begun again");
    assert!(crash(&path, 100));
    user.close();
    assert!(!crash(&path, 100));
}

/// Of two processes that find no file, one creates it and keeps it open: the other does not wait for its end.
#[test]
fn a_process_that_was_second_to_make_the_file_does_not_wait_for_the_first_to_end() {
    let (_folder, path) = place();
    let first = open(&path).expect("it opens");
    let second = Users::of(&path).expect("its lock");
    let is_alone = |is_made: bool| second.be_alone_unless(|| is_made).expect("an answer");
    assert!(!is_alone(true), "the first one has it");
    first.close();
    assert!(is_alone(false));
}

#[test]
fn two_users_that_fold_the_log_in_at_the_same_time_leave_the_file_in_use() {
    let (_folder, path) = place();
    for round in 0..5 {
        let users = std::thread::scope(|scope| {
            let writing = [0, 1].map(|which| {
                let path = &path;
                scope.spawn(move || {
                    let mut user = open(path).expect("it opens");
                    for n in 0..100 {
                        user.write(round * 200 + which * 100 + n);
                        user.file.after_write(&user.conn);
                    }
                    user
                })
            });
            writing.map(|one| one.join().expect("no panic"))
        });
        let wanted = (round + 1) * 200;
        assert!(crash(&path, wanted), "the file says that it is in use");
        crash_and_look(&path, wanted);
        users.into_iter().for_each(User::close);
        assert!(!crash(&path, wanted) && !beside(&path, "-wal").exists());
    }
}
