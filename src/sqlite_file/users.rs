//! The processes that use a file: each holds a shared lock on a second file beside it.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use super::{FileError, beside, polled, unusable};

use crate::files::private;

/// The number of attempts to get a lock, a millisecond apart. The last user of a file holds the lock exclusively
/// during its checkpoint, which takes a second at most.
const ATTEMPTS: u32 = 10_000;

/// This process's lock. The operating system releases it when the process ends in any way.
#[derive(Debug)]
pub(super) struct Users {
    path: PathBuf,
    lock: File,
}

impl Users {
    /// Opens the lock file of the file at `path`; this process is not a user yet. A separate file is used because a
    /// lock on the database itself would interfere with SQLite's locks.
    pub(super) fn of(path: &Path) -> Result<Self, FileError> {
        let path = beside(path, ".users");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let lock = private(&mut options)
            .open(&path)
            .map_err(|error| unusable(&path, &error))?;
        Ok(Self { path, lock })
    }

    /// Registers this process as a user. It must not hold the exclusive lock.
    pub(super) fn join(&self) -> Result<(), FileError> {
        self.leave()?;
        self.ask(File::try_lock_shared)
    }

    /// Waits until there is no other user and keeps others out, or until `is_needless` returns true. Returns
    /// whether this process is alone.
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

    /// Returns whether there is no other user. If so, others are kept out from now on; in any case this process is
    /// no user any more. Of two processes that call this at the same time, at least one gets true, unless a third
    /// one joins.
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
        let held = "another flexcast process is opening or closing the file and does not finish";
        answer.unwrap_or_else(|| Err(unusable(&self.path, &held)))
    }
}
