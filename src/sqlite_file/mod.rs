//! A file of SQLite's that several of our processes use, and the log beside it.
//!
//! In: a path. Out: the right to write the file, or a sentence why it is refused. Always: a file whose last
//! commits are in its log alone says so itself, so that a copy of it without the log is refused; after the
//! last process has closed the file, the file alone is whole.
//!
//! How: `PRAGMA application_id` holds a mark. While a process writes, the file itself says [`mark::IN_USE`],
//! and the newest page 1 in the log says [`mark::WHOLE`]. So the file becomes whole and says so, whichever
//! program folds the log into it: ours at its end, or another program of SQLite's after a crash. Our own
//! checkpoints before the end leave the file in use ([`mark::fold_in_use`]).
//!
//! <https://www.sqlite.org/wal.html>: a log (`-wal`) stays after a crash, and is removed by the last close.

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

/// How often the first write waits for readers of an older state of the file, a millisecond apart.
const FIRST_ATTEMPTS: u32 = 5_000;

/// How often a checkpoint between two writes is tried at once.
const LATER_ATTEMPTS: u32 = 3;

/// How often a file that is made and removed meanwhile is looked for.
const OPEN_ATTEMPTS: u32 = 5;

thread_local! {
    /// Pages in the log after this thread's last commit, as SQLite has told.
    static LOG_PAGES: Cell<u32> = const { Cell::new(0) };
}

/// What a file is for: the words of the sentences that refuse one.
#[derive(Debug)]
pub(crate) struct DatabaseKind {
    /// With its article: "a ledger".
    pub(crate) noun: &'static str,
    /// What to do about a copy that lacks its log, as an imperative sentence without its full stop.
    pub(crate) remedy: &'static str,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// The file is not what it should be. Nothing was changed.
    #[error("{0}")]
    Refused(String),
    /// The file system, or another process, does not let us.
    #[error("{0}")]
    Unusable(String),
}

/// A file that this process uses. [`SqliteFile::close`] ends that; a drop does what a crash does.
#[derive(Debug)]
pub(crate) struct SqliteFile {
    path: PathBuf,
    place: FilePlace,
    users: Users,
    /// The file itself said that it was in use when it was opened. It says so until we are gone.
    was_in_use: bool,
    /// The file itself says that it is in use, as far as that could be had.
    is_marked: bool,
    /// So many pages in the log are reason for a checkpoint.
    fold_pages: u32,
    /// The next checkpoint is tried at so many pages.
    fold_at: u32,
    /// Pages in the log when they were last looked at.
    pages: u32,
}

impl SqliteFile {
    /// Looks at the file, refuses it or shows that this process uses it. A file that is not there is made:
    /// `make` fills it, and it gets its name when it is whole. `fold_pages`: how many pages may be in the log.
    ///
    /// # Errors
    ///
    /// [`FileError::Refused`] when the file lacks its log, is empty, is cut off or is no database;
    /// [`FileError::Unusable`] when it cannot be read or made.
    pub(crate) fn open<E: Display>(
        path: &Path,
        kind: &DatabaseKind,
        fold_pages: u32,
        make: impl Fn(&mut Connection) -> Result<(), E>,
    ) -> Result<Self, FileError> {
        // First of all: a file that is refused gets no neighbours.
        look(path, kind)?;
        let users = Users::of(path)?;
        for _ in 0..OPEN_ATTEMPTS {
            users.join()?;
            if let FilePresence::There { is_in_use } = look(path, kind)? {
                return Ok(Self::joined(path, users, is_in_use, fold_pages));
            }
            // Another process that makes the file keeps it afterwards, maybe for days: it is not waited for.
            let is_made = || matches!(look(path, kind), Ok(FilePresence::There { .. }));
            let is_alone = users.be_alone_unless(is_made)?;
            if let FilePresence::Missing = look(path, kind)?
                && is_alone
            {
                create::create(path, &make)?;
            }
        }
        Err(unusable(path, &"it is removed as soon as it is made"))
    }

    /// As [`SqliteFile::open`], of a file that is there.
    ///
    /// # Errors
    ///
    /// As [`SqliteFile::open`]; [`FileError::Unusable`] also when it is not there.
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

    /// Which file it is.
    #[must_use]
    pub(crate) fn place(&self) -> &FilePlace {
        &self.place
    }

    /// Before the first write of a connection, and at no cost before the others: has the file itself say that
    /// it is in use. Not within a transaction.
    ///
    /// # Errors
    ///
    /// SQLite's: another process keeps the write lock, or the disk is full.
    pub(crate) fn before_write(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        if self.is_marked {
            return Ok(());
        }
        let is_said = self.was_in_use && mark::of(conn)? == mark::WHOLE;
        if !is_said && !mark::fold_in_use(&self.path, conn, FIRST_ATTEMPTS)? {
            tracing::warn!(
                file = %self.path.display(),
                "another program reads an old state of this file: a copy without its log would not be noticed"
            );
        }
        self.is_marked = true;
        Ok(())
    }

    /// After a commit: folds the log into the file when it has grown long. A failure is no matter: the next
    /// one tries again.
    pub(crate) fn after_write(&mut self, conn: &Connection) {
        let pages = LOG_PAGES.get();
        if pages < self.pages {
            // The log has begun again.
            self.fold_at = self.fold_pages;
        }
        self.pages = pages;
        if pages < self.fold_at {
            return;
        }
        if let Err(error) = mark::fold_in_use(&self.path, conn, LATER_ATTEMPTS) {
            tracing::debug!(%error, file = %self.path.display(), "the log is not folded in yet");
        }
        // A log that is still read from does not begin again: it is not folded in at each commit.
        self.pages = LOG_PAGES.get();
        self.fold_at = self.fold_pages.max(self.pages + self.fold_pages / 8);
    }

    /// Closes the writing connection. The last process that uses the file folds the log in, so that the file
    /// alone is whole; where that fails the log stays, as after a crash.
    pub(crate) fn close(self, conn: Connection) {
        // The log beside another file is that one's: it is not removed.
        let is_ours = self.place.look().is_ok();
        let is_whole = is_ours && self.users.are_gone() && self.is_folded(&conn).unwrap_or_else(|error| {
            tracing::warn!(%error, file = %self.path.display(), "the log is not folded in: keep it with the file");
            false
        });
        // Without that the log is not removed by the close.
        let removed = conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !is_whole);
        if let Err(error) = removed {
            tracing::debug!(%error, "the log's end is SQLite's to choose");
        }
        // While the lock is held: who opens the file next finds it whole.
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

/// Sets a connection up for a file that [`SqliteFile`] looks after: its log is folded in by us alone. After
/// every other setting that concerns the log.
///
/// # Errors
///
/// SQLite's.
pub(crate) fn look_after(conn: &Connection) -> rusqlite::Result<()> {
    keep_log(conn)?;
    conn.wal_hook(Some(|_, pages| {
        LOG_PAGES.set(u32::try_from(pages).unwrap_or_default());
        Ok(())
    }));
    Ok(())
}

/// Has the close of a connection leave the log where it is.
///
/// # Errors
///
/// SQLite's.
pub(crate) fn keep_log(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(())
}

/// The files that SQLite and we keep for a file, by their paths: its log and what belongs to it.
#[must_use]
pub(crate) fn neighbours(path: &Path) -> Vec<PathBuf> {
    ["-wal", "-shm", "-journal", ".users", ".lock", ".new"]
        .map(|end| beside(path, end))
        .into()
}

/// Whether a file is there, or a log whose file is missing.
#[must_use]
pub(crate) fn is_there(path: &Path) -> bool {
    path.exists() || look::log_bytes(path).is_some_and(|bytes| bytes > 0)
}

/// A path with something added to its name.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}

fn unusable(path: &Path, error: &dyn Display) -> FileError {
    FileError::Unusable(format!("{}: {error}", path.display()))
}

/// Asks again, a millisecond apart, until there is an answer.
fn polled<T>(attempts: u32, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    for _ in 0..attempts {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    None
}
