//! The mark in a file, and the checkpoints that write it from the log into the file.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

/// The file is complete without its log. ("flcs")
pub(super) const WHOLE: i32 = 0x666c_6373;

/// The file's last commits may be only in its log. ("flcu")
pub(super) const IN_USE: i32 = 0x666c_6375;

/// Whether a checkpoint also empties the log.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fold {
    /// A passive checkpoint: it does not wait; pages that a reader still needs stay in the log.
    WhatGoes,
    /// A truncating checkpoint: it waits for readers and writers, up to the connection's busy timeout, and empties
    /// the log.
    AndEmpty,
}

/// The mark that this connection sees: the log's, if the log has one. 0 in a file of an earlier version.
pub(super) fn of(conn: &Connection) -> rusqlite::Result<i32> {
    conn.query_row("PRAGMA application_id", [], |row| row.get(0))
}

/// The mark in the file itself, without its log.
pub(super) fn in_file(path: &Path) -> rusqlite::Result<i32> {
    of(&open_alone(path)?)
}

/// Marks a file as whole. No other process may have it open, and it must have no log.
///
/// # Errors
///
/// The errors of SQLite.
pub(crate) fn set_whole(conn: &Connection) -> rusqlite::Result<()> {
    set(conn, WHOLE)
}

/// Checkpoints the log so that the file's mark is in-use and the log's mark is whole. The first is true of the file
/// now; the second becomes true of it with any later complete checkpoint. Returns false if a reader of an older
/// state, or another process with the same action, prevented it.
pub(super) fn fold_in_use(path: &Path, conn: &Connection, attempts: u32) -> rusqlite::Result<bool> {
    for attempt in 0..attempts {
        if attempt > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        set(conn, IN_USE)?;
        // Another process may have set the other mark before this checkpoint: then the file has that one.
        if fold(conn, Fold::WhatGoes)? && in_file(path)? == IN_USE {
            set(conn, WHOLE)?;
            return Ok(true);
        }
    }
    // The file was marked earlier. Otherwise the in-use mark stays in the log for the next checkpoint.
    if in_file(path)? == IN_USE {
        set(conn, WHOLE)?;
    }
    Ok(false)
}

/// Checkpoints the log; returns whether all of it is in the file now.
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

/// Opens the file without its log, as a copy of the file alone would be read. It uses SQLite, because any other
/// open and close of the file drops this process's locks on it (<https://www.sqlite.org/howtocorrupt.html>, section
/// 2.2). Takes no lock and creates no file.
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
    // A checkpoint writes page 1 first: for a moment the file is shorter than its header says, and SQLite would
    // report it as damaged.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, true)?;
    Ok(conn)
}

/// Sets the mark, in the log if the file has one.
pub(super) fn set(conn: &Connection, mark: i32) -> rusqlite::Result<()> {
    if of(conn)? == mark {
        return Ok(());
    }
    conn.pragma_update(None, "application_id", mark)
}
