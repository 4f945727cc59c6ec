//! The mark in the file, and how it gets from the log into the file itself.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

/// The file is whole without its log. ("flcs")
pub(super) const WHOLE: i32 = 0x666c_6373;

/// The file's last commits may be in its log alone. ("flcu")
pub(super) const IN_USE: i32 = 0x666c_6375;

/// Whether a checkpoint also empties the log.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fold {
    /// Waits for nobody: what a reader still needs stays in the log alone.
    WhatGoes,
    /// Waits for readers and writers, as long as the connection waits for locks, and empties the log.
    AndEmpty,
}

/// The mark as this connection sees it: the log's, where the log has one. 0 in a file of an earlier version.
pub(super) fn of(conn: &Connection) -> rusqlite::Result<i32> {
    conn.query_row("PRAGMA application_id", [], |row| row.get(0))
}

/// The mark in the file itself, whatever its log says.
pub(super) fn in_file(path: &Path) -> rusqlite::Result<i32> {
    of(&open_alone(path)?)
}

/// Marks a file as whole: one that nobody else has open and that has no log.
///
/// # Errors
///
/// SQLite's.
pub(crate) fn set_whole(conn: &Connection) -> rusqlite::Result<()> {
    set(conn, WHOLE)
}

/// Folds the log into the file, so that the file itself says that it is in use and the log that the file is
/// whole: true of the file at that moment, and of any later one at which the whole log is folded in. False when
/// a reader of an older state, or another process that does the same, was in the way.
pub(super) fn fold_in_use(path: &Path, conn: &Connection, attempts: u32) -> rusqlite::Result<bool> {
    for attempt in 0..attempts {
        if attempt > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        set(conn, IN_USE)?;
        // Another process may have set the other mark before our checkpoint: then the file has that one.
        if fold(conn, Fold::WhatGoes)? && in_file(path)? == IN_USE {
            set(conn, WHOLE)?;
            return Ok(true);
        }
    }
    // Said already, at an earlier time. Otherwise the mark stays for whoever folds it in next.
    if in_file(path)? == IN_USE {
        set(conn, WHOLE)?;
    }
    Ok(false)
}

/// Folds the log into the file; whether all of it is there now.
pub(super) fn fold(conn: &Connection, how: Fold) -> rusqlite::Result<bool> {
    let sql = match how {
        Fold::WhatGoes => "PRAGMA wal_checkpoint(PASSIVE)",
        Fold::AndEmpty => "PRAGMA wal_checkpoint(TRUNCATE)",
    };
    conn.query_row(sql, [], |row| {
        let [is_busy, in_log, folded]: [i64; 3] = [row.get(0)?, row.get(1)?, row.get(2)?];
        Ok(is_busy == 0 && in_log == folded)
    })
}

/// Opens the file as if it had no log: as it would be read where only the file was copied to. By SQLite, since
/// to open and close a file in any other way drops the locks that this process has on it
/// (<https://www.sqlite.org/howtocorrupt.html>, section 2.2). Takes no lock and makes nothing.
pub(super) fn open_alone(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let Ok(mut url) = url::Url::from_file_path(&path) else {
        return Err(rusqlite::Error::InvalidPath(path));
    };
    url.set_query(Some("immutable=1"));
    let conn = Connection::open_with_flags(url.as_str(), flags)?;
    // A checkpoint writes page 1 first, so that the file is shorter than it says for a moment: SQLite would
    // call that damaged.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, true)?;
    Ok(conn)
}

/// Sets the mark: in the log, where the file has one.
pub(super) fn set(conn: &Connection, mark: i32) -> rusqlite::Result<()> {
    if of(conn)? == mark {
        return Ok(());
    }
    conn.pragma_update(None, "application_id", mark)
}
