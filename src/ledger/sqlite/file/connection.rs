//! Opens the database: settings and migrations.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::functions::{Context as FunctionContext, FunctionFlags};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use rusqlite_migration::{Error as MigrationError, M, Migrations};

use crate::ledger::{LedgerError, Result};
use crate::sqlite_file::{DatabaseKind, FileError, SqliteFile, keep_log, look_after};

use super::hold::hold_for_migration;

/// How messages about a refused ledger file name it, and what they advise.
pub(super) const KIND: DatabaseKind = DatabaseKind {
    noun: "a ledger",
    remedy: "Copy it with its log, or make the copy with: flexcast ledger backup FILE",
};

/// The migrations of all editions, oldest first. SQLite's `user_version` counts those that a file has.
const EDITIONS: &[M<'static>] = &[
    M::up(include_str!("../../migrations/sqlite/0001_ledger.sql")),
    M::up(include_str!("../../migrations/sqlite/0002_undos.sql")),
    M::up(include_str!("../../migrations/sqlite/0003_overtaken.sql")),
    M::up(include_str!("../../migrations/sqlite/0004_manifest.sql")),
    M::up(include_str!("../../migrations/sqlite/0005_waiting.sql")),
    M::up(include_str!("../../migrations/sqlite/0006_steering.sql")),
    M::up(include_str!("../../migrations/sqlite/0007_upkeep.sql")),
    M::up(include_str!(
        "../../migrations/sqlite/0008_incarnations.sql"
    )),
    M::up(include_str!("../../migrations/sqlite/0009_trying.sql")),
    M::up(include_str!("../../migrations/sqlite/0010_backlogs.sql")),
    M::up(include_str!(
        "../../migrations/sqlite/0011_words_and_age.sql"
    )),
    M::up(include_str!("../../migrations/sqlite/0012_operations.sql")),
    M::up(include_str!("../../migrations/sqlite/0013_origins.sql")),
];

/// How often a statement asks for the write lock, a millisecond apart, while another process has it: for five seconds,
/// well under any lease. An import's batch takes milliseconds, so that a longer wait means that a process is stuck.
const BUSY_TRIES_MAX: i32 = 5_000;

/// The number of prepared statements kept a connection: there are about fifty in all.
const STATEMENTS_MAX: usize = 64;

/// The writer's page cache in KiB: enough for the upper levels of every index of a million messages. An import's whole
/// process must stay under 96 MiB, and other pages are in the operating system's cache.
const WRITER_CACHE_KIB: i64 = 16 * 1024;

/// A reader's page cache in KiB.
const READER_CACHE_KIB: i64 = 16 * 1024;

/// Pages (of 4 KiB) in the write-ahead log before a checkpoint. SQLite's default of 1,000 is two batches of an import:
/// the same index pages would be written back again and again.
const CHECKPOINT_PAGES: u32 = 8_000;

/// The write-ahead log is truncated to this many bytes after a checkpoint.
const WAL_BYTES_MAX: i64 = 64 * 1024 * 1024;

/// How often opening is tried while another process opens the same new file.
const OPEN_ATTEMPTS: u32 = 10;

/// Opens the file for writing, creates it if it does not exist, and runs its migrations.
pub(super) fn open_writer(path: &Path) -> Result<(Connection, SqliteFile)> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        return Err(unusable(folder, &"there is no such folder"));
    }
    let mut file = SqliteFile::open(path, &KIND, CHECKPOINT_PAGES, set_up)?;
    let mut attempt = 0;
    loop {
        attempt += 1;
        match try_open_writer(path, &mut file) {
            Ok(conn) => return Ok((conn, file)),
            // Two processes that bring the same file up to date at once can fail in ways that waiting for a lock does
            // not prevent: in the change to WAL, and in the migrations.
            Err(LedgerError::Unavailable(_)) if attempt < OPEN_ATTEMPTS => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => return Err(error),
        }
    }
}

fn try_open_writer(path: &Path, file: &mut SqliteFile) -> Result<Connection> {
    // Without SQLITE_OPEN_CREATE: if the file was removed meanwhile, that is an error, and no new ledger begins.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn =
        Connection::open_with_flags(path, flags).map_err(|error| unusable(path, &error))?;
    conn.busy_handler(Some(wait_for_lock))?;
    conn.pragma_update(None, "journal_mode", "WAL")?;
    // NORMAL loses the last commits in a power failure: https://www.sqlite.org/pragma.html
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    conn.pragma_update(None, "journal_size_limit", WAL_BYTES_MAX)?;
    look_after(&conn)?;
    prepare(&mut conn)?;
    let pending = migrations().pending_migrations(&conn);
    let is_pending = pending.is_ok_and(|pending| pending > 0);
    // Held until the end of this function.
    let _no_consumer = is_pending.then(|| hold_for_migration(path)).transpose()?;
    if is_pending {
        file.before_write(&conn)?;
    }
    migrate(&mut conn)?;
    Ok(conn)
}

/// Asks for the lock every millisecond. SQLite's own handler soon asks only every 100 ms: beside a consumer that
/// commits without a pause, with gaps far shorter than that, an import could miss many of them.
pub(super) fn wait_for_lock(tries: i32) -> bool {
    std::thread::sleep(Duration::from_millis(1));
    tries < BUSY_TRIES_MAX
}

/// Opens the file, which a writer has created, for reading only.
pub(super) fn open_reader(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(|error| unusable(path, &error))?;
    conn.busy_handler(Some(wait_for_lock))?;
    keep_log(&conn)?;
    conn.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    plan_once(&conn)?;
    add_lease_clock(&conn)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(conn)
}

/// A database in memory. Its id is an argument, so that a run from a seed is reproducible.
pub(super) fn open_in_memory(id: &str) -> Result<Connection> {
    let mut conn = Connection::open_in_memory()?;
    set_up(&mut conn)?;
    conn.execute("UPDATE meta SET value = ?1 WHERE name = 'id'", [id])?;
    Ok(conn)
}

fn set_up(conn: &mut Connection) -> Result<()> {
    prepare(conn)?;
    migrate(conn)
}

fn prepare(conn: &mut Connection) -> Result<()> {
    conn.pragma_update(None, "foreign_keys", true)?;
    plan_once(conn)?;
    add_lease_clock(conn)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // A transaction that begins by reading and then writes fails at once if another process wrote in between, so every
    // transaction takes the write lock first.
    conn.set_transaction_behavior(TransactionBehavior::Immediate);
    Ok(())
}

/// Adds the function `lease_clock` for the statements that are written once for both stores. Here it returns the
/// caller's time: one consumer works at a time, by its own clock.
fn add_lease_clock(conn: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    let clock = |arguments: &FunctionContext<'_>| arguments.get::<i64>(0);
    conn.create_scalar_function("lease_clock", 1, flags, clock)?;
    Ok(())
}

/// Keeps a statement's plan when its parameters change. This build of SQLite inspects the values of parameters. Without
/// this setting it would prepare a statement on a partial index again for each new time, although it has no statistics
/// that would lead to another plan.
/// <https://www.sqlite.org/qpsg.html>
fn plan_once(conn: &Connection) -> Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

fn migrations() -> Migrations<'static> {
    Migrations::from_slice(EDITIONS)
}

/// Refuses a file whose schema is newer than this program's. Changes nothing.
pub(super) fn refuse_newer(conn: &Connection) -> Result<()> {
    let version: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let is_known = usize::try_from(version).is_ok_and(|version| version <= EDITIONS.len());
    match is_known {
        true => Ok(()),
        false => Err(LedgerError::newer_schema(version, EDITIONS.len())),
    }
}

fn migrate(conn: &mut Connection) -> Result<()> {
    refuse_newer(conn)?;
    migrations().to_latest(conn).map_err(|error| match error {
        // Not an error in a migration: another process has just run it. See `open_writer`.
        MigrationError::RusqliteError { err, query } if !query.is_empty() => {
            LedgerError::Unavailable(format!("its schema could not be made: {err}"))
        }
        MigrationError::RusqliteError { err, .. } => err.into(),
        other => LedgerError::Misconfigured(other.to_string()),
    })
}

impl From<FileError> for LedgerError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Refused(text) => Self::Misconfigured(text),
            FileError::Unusable(text) => Self::Unavailable(text),
        }
    }
}

fn unusable(path: &Path, error: &dyn std::fmt::Display) -> LedgerError {
    LedgerError::Unavailable(format!("{}: {error}", path.display()))
}
