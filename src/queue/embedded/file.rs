//! The queue's file: its tables, and how it is opened.
//!
//! In: a path. Out: a connection to a file with the tables of this program's edition. Always: a file of a newer program
//! is refused and keeps its tables.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use rusqlite_migration::{Error, M, Migrations};

use crate::queue::{self, QueueError};
use crate::sqlite_file::{DatabaseKind, FileError, SqliteFile, look_after};

/// The words for a queue file in error messages, and the advice that they give.
const KIND: DatabaseKind = DatabaseKind {
    noun: "a queue",
    remedy: "Copy it with its log, or move it away and let the ledger publish the waiting messages again \
             (docs/runbooks.md, FlexcastQueueLacksMessages)",
};

/// The size of the write-ahead log, in pages of 4 KiB, at which it is checkpointed: SQLite's default.
const CHECKPOINT_PAGES: u32 = 1_000;

/// The number of tries, a millisecond apart, to get a lock that another process holds. An import's batch holds it
/// for milliseconds; a wait of ten seconds means that a process hangs.
const BUSY_TRIES_MAX: i32 = 10_000;

/// The number of attempts to open the file while other processes create it.
const OPEN_ATTEMPTS: u32 = 25;
/// The size of the cache of prepared statements: more than there are.
const STATEMENTS_MAX: usize = 32;

/// The tables of the first edition.
const TABLES: &str = "
CREATE TABLE binding (one INTEGER PRIMARY KEY CHECK (one = 1), ledger_id TEXT NOT NULL) STRICT;
CREATE TABLE campaign (id TEXT PRIMARY KEY, epoch INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE queued (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    campaign   TEXT NOT NULL,
    message_id TEXT NOT NULL,
    body       BLOB NOT NULL,
    due_ms     INTEGER NOT NULL DEFAULT 0, -- 0: at once; else not before, in Unix milliseconds
    consumer   INTEGER,                    -- NULL: not delivered
    deliveries INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX queued_ready ON queued (campaign, consumer, due_ms, seq);
CREATE TABLE dead (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    campaign   TEXT NOT NULL,
    message_id TEXT NOT NULL,
    body       BLOB NOT NULL,
    reason     TEXT NOT NULL,
    step       TEXT,
    code       INTEGER,
    attempt    INTEGER NOT NULL,
    detail     TEXT NOT NULL,
    died_ms    INTEGER NOT NULL
) STRICT;
";

/// The migrations of all editions, oldest first. SQLite's `user_version` counts those that a file has.
const EDITIONS: &[M<'static>] = &[M::up(TABLES)];

/// Opens the file, creates it if it is missing, and migrates its tables.
///
/// # Errors
///
/// [`QueueError::Refused`] when the file is not a queue, was copied without its log, or was written by a newer
/// program; [`QueueError::Unreachable`] when it cannot be used. Both name the path.
pub(super) fn open(path: &Path) -> queue::Result<(Connection, SqliteFile)> {
    let unusable = |error: String| QueueError::Unreachable(format!("queue file {error}"));
    let mut file =
        SqliteFile::open(path, &KIND, CHECKPOINT_PAGES, migrate).map_err(|error| match error {
            FileError::Refused(text) => QueueError::Refused(text),
            FileError::Unusable(text) => unusable(text),
        })?;
    let mut attempt = 1;
    loop {
        match try_open(path, &mut file) {
            Ok(connection) => return Ok((connection, file)),
            Err(OpenError::Newer(version)) => {
                return Err(QueueError::Refused(newer_schema(path, version)));
            }
            // Processes that migrate the same file at once can fail in ways that a wait for a lock does not cover:
            // the change to WAL, and the migrations.
            Err(_) if attempt < OPEN_ATTEMPTS && path.exists() => {
                attempt += 1;
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => return Err(unusable(format!("{}: {error}", path.display()))),
        }
    }
}

/// Why the file was not opened.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error("its schema has version {0}")]
    Newer(i64),
    #[error(transparent)]
    Other(#[from] Error),
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Other(error.into())
    }
}

/// The sentence for a file whose schema is newer than this program's.
fn newer_schema(path: &Path, version: i64) -> String {
    format!(
        "{} has schema version {version}, and this program (flexcast {}) knows no version after {}: start the newer \
         flexcast that wrote the queue, or restore the backup that was made before the upgrade (docs/upgrading.md)",
        path.display(),
        env!("CARGO_PKG_VERSION"),
        EDITIONS.len()
    )
}

fn try_open(path: &Path, file: &mut SqliteFile) -> Result<Connection, OpenError> {
    // Without SQLITE_OPEN_CREATE: if the file was removed meanwhile, this fails and does not create an empty one.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_handler(Some(wait_for_lock))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // FULL: confirmed messages survive a power failure; NORMAL would lose the last commits.
    connection.pragma_update(None, "synchronous", "FULL")?;
    look_after(&connection)?;
    prepare(&mut connection)?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if !usize::try_from(version).is_ok_and(|version| version <= EDITIONS.len()) {
        return Err(OpenError::Newer(version));
    }
    if migrations().pending_migrations(&connection)? > 0 {
        file.before_write(&connection)?;
    }
    migrate(&mut connection)?;
    Ok(connection)
}

/// SQLite's own busy handler soon asks only every 100 ms and misses the gaps between the commits of a process that
/// writes much.
fn wait_for_lock(tries: i32) -> bool {
    std::thread::sleep(Duration::from_millis(1));
    tries < BUSY_TRIES_MAX
}

pub(super) fn in_memory() -> Result<Connection, Error> {
    let mut connection = Connection::open_in_memory()?;
    prepare(&mut connection)?;
    migrate(&mut connection)?;
    Ok(connection)
}

fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.set_transaction_behavior(TransactionBehavior::Immediate);
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // A statement keeps its plan. Without this setting, SQLite makes another plan when the value of a LIMIT or of a
    // partial index's condition changes (https://www.sqlite.org/qpsg.html).
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

fn migrations() -> Migrations<'static> {
    Migrations::from_slice(EDITIONS)
}

fn migrate(connection: &mut Connection) -> Result<(), Error> {
    migrations().to_latest(connection)
}
