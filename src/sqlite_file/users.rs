//! Which processes use a file: a lock that each shares, on a file beside it.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use super::{FileError, beside, polled, unusable};

use crate::files::private;

/// How often a lock is asked for, a millisecond apart. The last process to use a file has the lock alone while
/// it folds the log in, which takes a second at most.
const ATTEMPTS: u32 = 10_000;

/// This process's share. The operating system ends it with the process, however that ends.
#[derive(Debug)]
pub(super) struct Users {
    path: PathBuf,
    lock: File,
}

impl Users {
    /// The users of the file at `path`; this process is none of them yet. Makes the file with the lock, since to
    /// lock the database itself would interfere with SQLite's own locks.
    pub(super) fn of(path: &Path) -> Result<Self, FileError> {
        let path = beside(path, ".users");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let lock = private(&mut options)
            .open(&path)
            .map_err(|error| unusable(&path, &error))?;
        Ok(Self { path, lock })
    }

    /// Makes this process one of them. It must not be alone when it asks.
    pub(super) fn join(&self) -> Result<(), FileError> {
        self.leave()?;
        self.ask(File::try_lock_shared)
    }

    /// Waits until there is no other user, and keeps others out; or until that is needless. Tells whether this process
    /// is alone.
    pub(super) fn be_alone_unless(
        &self,
        is_needless: impl Fn() -> bool,
    ) -> Result<bool, FileError> {
        self.leave()?;
        let is_alone = std::cell::Cell::new(true);
        self.ask(|lock| match lock.try_lock() {
            Err(TryLockError::WouldBlock) if is_needless() => {
                is_alone.set(false);
                Ok(())
            }
            tried => tried,
        })?;
        Ok(is_alone.get())
    }

    /// Whether there is no other. If so, others are kept out from now on; in any case this process is no user any
    /// more. Of two that ask at the same time one at least is told so, unless a third joins.
    pub(super) fn are_gone(&self) -> bool {
        self.leave().is_ok() && self.lock.try_lock().is_ok()
    }

    fn leave(&self) -> Result<(), FileError> {
        self.lock
            .unlock()
            .map_err(|error| unusable(&self.path, &error))
    }

    fn ask(&self, take: impl Fn(&File) -> Result<(), TryLockError>) -> Result<(), FileError> {
        let answer = polled(ATTEMPTS, || match take(&self.lock) {
            Ok(()) => Some(Ok(())),
            Err(TryLockError::WouldBlock) => None,
            Err(TryLockError::Error(error)) => Some(Err(unusable(&self.path, &error))),
        });
        let held =
            "another flexcast process is opening or closing the file and does not come to an end";
        answer.unwrap_or_else(|| Err(unusable(&self.path, &held)))
    }
}
