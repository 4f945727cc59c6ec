//! A SQLite file that several flexcast processes use, and the log beside it.
//!
//! In: a path. Out: the right to write the file, or the sentence that refuses it. Always: if a file's last commits
//! are only in its log, the file itself is marked so, and a copy without the log is refused; after the last process
//! has closed the file, the file alone is complete.
//!
//! How: `PRAGMA application_id` holds a mark. While a process writes, the mark in the file itself is
//! [`mark::IN_USE`], and the mark on the newest page 1 in the log is [`mark::WHOLE`]. So the file becomes complete,
//! and is marked so, with any complete checkpoint: flexcast's at its end, or another SQLite program's after a
//! crash. flexcast's own earlier checkpoints leave the file marked as in use ([`mark::fold_in_use`]).
//!
//! <https://www.sqlite.org/wal.html>: a log (`-wal`) stays after a crash; the last close removes it.

mod create;
mod look;
mod mark;
mod place;
#[cfg(test)]
mod tests;
mod users;

pub(crate) use mark::set_whole;
pub(crate) use place::FilePlace;

use std::cell::Cell;
use std::ffi::OsString;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use look::{FilePresence, look};
use users::Users;

/// The number of attempts, a millisecond apart, of the first write's checkpoint while others read an older state.
const FIRST_ATTEMPTS: u32 = 5_000;

/// The number of attempts of a checkpoint between two writes.
const LATER_ATTEMPTS: u32 = 3;

/// The number of attempts to open a file that is created and removed meanwhile.
const OPEN_ATTEMPTS: u32 = 5;

thread_local! {
    /// The pages in the log after this thread's last commit, as SQLite reports them.
    static LOG_PAGES: Cell<u32> = const { Cell::new(0) };
}

/// The kind of a database file: the words for it in error messages.
#[derive(Debug)]
pub(crate) struct DatabaseKind {
    /// With its article: "a ledger".
    pub(crate) noun: &'static str,
    /// The remedy for a copy without its log, as an imperative sentence without its full stop.
    pub(crate) remedy: &'static str,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// The file is not usable as it is. Nothing was changed.
    #[error("{0}")]
    Refused(String),
    /// The file system or another process prevents its use.
    #[error("{0}")]
    Unusable(String),
}

/// A file that this process uses. [`SqliteFile::close`] ends the use; a drop has the effect of a crash.
#[derive(Debug)]
pub(crate) struct SqliteFile {
    path: PathBuf,
    place: FilePlace,
    users: Users,
    /// The file was marked as in use when it was opened, and keeps the mark while this process uses it.
    was_in_use: bool,
    /// Whether this process has marked the file as in use, as far as that was possible.
    is_marked: bool,
    /// The number of pages in the log that triggers a checkpoint.
    fold_pages: u32,
    /// The number of pages that triggers the next attempt.
    fold_at: u32,
    /// The pages in the log at the last check.
    pages: u32,
}

impl SqliteFile {
    /// Checks the file, and refuses it or registers this process as a user. A missing file is created: `make` fills
    /// it, and it gets its name when it is complete. `fold_pages` is the number of pages in the log that triggers a
    /// checkpoint.
    ///
    /// # Errors
    ///
    /// [`FileError::Refused`] when the file lacks its log, is empty, is truncated or is not a database;
    /// [`FileError::Unusable`] when it cannot be read or created.
    pub(crate) fn open<E: Display>(
        path: &Path,
        kind: &DatabaseKind,
        fold_pages: u32,
        make: impl Fn(&mut Connection) -> Result<(), E>,
    ) -> Result<Self, FileError> {
        // Checked first: no other file is created beside a refused one.
        look(path, kind)?;
        let users = Users::of(path)?;
        for _ in 0..OPEN_ATTEMPTS {
            users.join()?;
            if let FilePresence::There { is_in_use } = look(path, kind)? {
                return Ok(Self::joined(path, users, is_in_use, fold_pages));
            }
            // Another process that creates the file keeps it open afterwards, maybe for days: do not wait for it.
            let is_made = || matches!(look(path, kind), Ok(FilePresence::There { .. }));
            let is_alone = users.be_alone_unless(is_made)?;
            if let FilePresence::Missing = look(path, kind)?
                && is_alone
            {
                create::create(path, &make)?;
            }
        }
        Err(unusable(path, &"it is removed each time it is created"))
    }

    /// As [`SqliteFile::open`], for an existing file.
    ///
    /// # Errors
    ///
    /// As [`SqliteFile::open`]; [`FileError::Unusable`] also when the file is missing.
    pub(crate) fn open_existing(path: &Path, kind: &DatabaseKind) -> Result<Self, FileError> {
        look(path, kind)?;
        let users = Users::of(path)?;
        users.join()?;
        match look(path, kind)? {
            FilePresence::There { is_in_use } => Ok(Self::joined(path, users, is_in_use, u32::MAX)),
            FilePresence::Missing => Err(unusable(path, &"there is no such file")),
        }
    }

    fn joined(path: &Path, users: Users, was_in_use: bool, fold_pages: u32) -> Self {
        Self {
            path: path.to_owned(),
            place: FilePlace::of(path),
            users,
            was_in_use,
            is_marked: false,
            fold_pages,
            fold_at: fold_pages,
            pages: 0,
        }
    }

    /// The identity of the file.
    #[must_use]
    pub(crate) fn place(&self) -> &FilePlace {
        &self.place
    }

    /// Call before each write, outside a transaction: the first call marks the file as in use, later calls cost
    /// nothing.
    ///
    /// # Errors
    ///
    /// SQLite's errors: another process holds the write lock, or the disk is full.
    pub(crate) fn before_write(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        if self.is_marked {
            return Ok(());
        }
        let is_said = self.was_in_use && mark::of(conn)? == mark::WHOLE;
        if !is_said && !mark::fold_in_use(&self.path, conn, FIRST_ATTEMPTS)? {
            tracing::warn!(
                file = %self.path.display(),
                "another program reads an old state of this file: a copy without its log cannot be detected"
            );
        }
        self.is_marked = true;
        Ok(())
    }

    /// Call after each commit: checkpoints a log that has grown long. A failure is harmless: the next call tries
    /// again.
    pub(crate) fn after_write(&mut self, conn: &Connection) {
        let pages = LOG_PAGES.get();
        if pages < self.pages {
            // The log was restarted.
            self.fold_at = self.fold_pages;
        }
        self.pages = pages;
        if pages < self.fold_at {
            return;
        }
        if let Err(error) = mark::fold_in_use(&self.path, conn, LATER_ATTEMPTS) {
            tracing::debug!(%error, file = %self.path.display(), "the log is not checkpointed yet");
        }
        // A log with a reader cannot be restarted: avoid a checkpoint at each commit.
        self.pages = LOG_PAGES.get();
        self.fold_at = self.fold_pages.max(self.pages + self.fold_pages / 8);
    }

    /// Closes the writing connection. The last process that uses the file checkpoints the log, so that the file
    /// alone is complete; if that fails, the log stays, as after a crash.
    pub(crate) fn close(self, conn: Connection) {
        // If another file took the path, the log belongs to that file and is not removed.
        let is_ours = self.place.look().is_ok();
        let is_whole = is_ours && self.users.are_gone() && self.is_folded(&conn).unwrap_or_else(|error| {
            tracing::warn!(%error, file = %self.path.display(), "the log is not checkpointed: keep it with the file");
            false
        });
        // Only then may the close remove the log.
        let removed = conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !is_whole);
        if let Err(error) = removed {
            tracing::debug!(%error, "SQLite decides whether the log is removed");
        }
        // Closed while the lock is held: the next user finds a complete file.
        drop(conn);
    }

    fn is_folded(&self, conn: &Connection) -> rusqlite::Result<bool> {
        let is_in_use = self.was_in_use || self.is_marked || mark::of(conn)? == mark::IN_USE;
        if is_in_use && !mark::fold_in_use(&self.path, conn, FIRST_ATTEMPTS)? {
            return Ok(false);
        }
        Ok(mark::fold(conn, mark::Fold::AndEmpty)? && mark::of(conn)? != mark::IN_USE)
    }
}

/// Prepares a connection to a file of [`SqliteFile`]: only flexcast checkpoints the log. Call it after every other
/// setting of the log.
///
/// # Errors
///
/// The errors of SQLite.
pub(crate) fn look_after(conn: &Connection) -> rusqlite::Result<()> {
    keep_log(conn)?;
    conn.wal_hook(Some(|_, pages| {
        LOG_PAGES.set(u32::try_from(pages).unwrap_or_default());
        Ok(())
    }));
    Ok(())
}

/// Makes the close of a connection keep the log.
///
/// # Errors
///
/// The errors of SQLite.
pub(crate) fn keep_log(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(())
}

/// The paths of the files that SQLite and flexcast create beside a file: the log and others.
#[must_use]
pub(crate) fn neighbours(path: &Path) -> Vec<PathBuf> {
    ["-wal", "-shm", "-journal", ".users", ".lock", ".new"]
        .map(|end| beside(path, end))
        .into()
}

/// Whether the file exists, or a log whose file is missing.
#[must_use]
pub(crate) fn is_there(path: &Path) -> bool {
    path.exists() || look::log_bytes(path).is_some_and(|bytes| bytes > 0)
}

/// The path with `end` added to its name.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}

fn unusable(path: &Path, error: &dyn Display) -> FileError {
    FileError::Unusable(format!("{}: {error}", path.display()))
}

/// Calls `ask`, a millisecond apart, until it returns a value.
fn polled<T>(attempts: u32, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    for _ in 0..attempts {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    None
}
