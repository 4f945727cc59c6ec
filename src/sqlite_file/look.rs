//! Checks a file before it is opened, and refuses it with a sentence for the operator.

use std::path::Path;

use rusqlite::ErrorCode;
use rusqlite::config::DbConfig;

use super::{DatabaseKind, FileError, beside, mark, polled, unusable};

/// The number of checks, a millisecond apart, of a file that seems to lack its log: between two checks, its last
/// user may mark the file as whole and remove the log.
const LOOKS: u32 = 20;

/// The state of a file that is not refused.
#[derive(Clone, Copy, Debug)]
pub(super) enum FilePresence {
    Missing,
    There {
        /// Whether the file's mark is [`mark::IN_USE`].
        is_in_use: bool,
    },
}

/// Checks a file without a change to it.
pub(super) fn look(path: &Path, kind: &DatabaseKind) -> Result<FilePresence, FileError> {
    let mut seen = Err(unusable(path, &"it was not checked"));
    // Only a refused file may change between two checks.
    polled(LOOKS, || {
        seen = look_once(path, kind);
        (!matches!(seen, Err(FileError::Refused(_)))).then_some(())
    });
    seen
}

fn look_once(path: &Path, kind: &DatabaseKind) -> Result<FilePresence, FileError> {
    let bytes = match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => metadata.len(),
        Ok(_) => return Err(unusable(path, &"it is not a file")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            // SQLite would remove the log of a missing file.
            return match log_bytes(path) {
                None | Some(0) => Ok(FilePresence::Missing),
                Some(_) => Err(lost(path)),
            };
        }
        Err(error) => return Err(unusable(path, &error)),
    };
    if bytes == 0 {
        return Err(empty(path, kind));
    }
    let FileContents {
        mark,
        edition,
        is_cut_off,
    } = match read(path) {
        Ok(read) => read,
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
            return Err(no_database(path, kind));
        }
        Err(error) => return Err(unusable(path, &error)),
    };
    let log = log_bytes(path);
    let is_in_use = mark == mark::IN_USE;
    match log {
        None if is_in_use => return Err(without_log(path, kind)),
        None if edition == 0 => return Err(without_tables(path, kind)),
        _ => {}
    }
    // A crash during a checkpoint can leave the file shorter than its header says; the missing pages are in the
    // log.
    if log.unwrap_or_default() == 0 && is_cut_off {
        return Err(cut_off(path, kind, bytes));
    }
    Ok(FilePresence::There { is_in_use })
}

/// The contents of a file's header.
struct FileContents {
    mark: i32,
    /// The version of its schema; 0 without tables.
    edition: i64,
    /// Whether the file is shorter than its number of pages.
    is_cut_off: bool,
}

fn read(path: &Path) -> rusqlite::Result<FileContents> {
    let conn = mark::open_alone(path)?;
    let number = |sql| conn.query_row(sql, [], |row| row.get::<_, i64>(0));
    let mark = mark::of(&conn)?;
    let edition = number("PRAGMA user_version")?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, false)?;
    let is_cut_off = match number("PRAGMA page_count") {
        Ok(_) => false,
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => true,
        Err(error) => return Err(error),
    };
    Ok(FileContents {
        mark,
        edition,
        is_cut_off,
    })
}

/// The length of a file's log in bytes; `None` without a log.
pub(super) fn log_bytes(path: &Path) -> Option<u64> {
    let metadata = std::fs::metadata(beside(path, "-wal"));
    metadata.ok().map(|metadata| metadata.len())
}

fn without_log(path: &Path, kind: &DatabaseKind) -> FileError {
    let (file, DatabaseKind { remedy, .. }) = (path.display(), kind);
    FileError::Refused(format!(
        "{file} was copied without its log: {file}-wal, which has the last writes, is not beside it. {remedy}. \
         Nothing was changed"
    ))
}

fn without_tables(path: &Path, kind: &DatabaseKind) -> FileError {
    let (file, DatabaseKind { noun, remedy }) = (path.display(), kind);
    FileError::Refused(format!(
        "{file} is a database without tables: {noun} that was copied without its log {file}-wal, or not {noun} at all. \
         {remedy}; to start with a new file, move this one away. Nothing was changed"
    ))
}

fn lost(path: &Path) -> FileError {
    let file = path.display();
    FileError::Refused(format!(
        "{file} is missing, but its log {file}-wal is there: put the file back beside it; to start with a new \
         file, move the log away. Nothing was changed"
    ))
}

fn empty(path: &Path, kind: &DatabaseKind) -> FileError {
    let (file, DatabaseKind { noun, .. }) = (path.display(), kind);
    FileError::Refused(format!(
        "{file} has 0 bytes, which {noun} never has: a copy was cut off, or the file was emptied. Put the whole \
         file in its place; to start with a new file, move the empty file and {file}-wal away. Nothing was \
         changed"
    ))
}

fn cut_off(path: &Path, kind: &DatabaseKind, bytes: u64) -> FileError {
    let (file, DatabaseKind { noun, .. }) = (path.display(), kind);
    FileError::Refused(format!(
        "{file} is {noun} that was cut off: it has {bytes} bytes, fewer than its pages need. Put the whole file in its place. \
         Nothing was changed"
    ))
}

fn no_database(path: &Path, kind: &DatabaseKind) -> FileError {
    let (file, DatabaseKind { noun, .. }) = (path.display(), kind);
    FileError::Refused(format!(
        "{file} is not a database, so it is not {noun}: put {noun} in its place, or choose another --state. \
         Nothing was changed"
    ))
}
