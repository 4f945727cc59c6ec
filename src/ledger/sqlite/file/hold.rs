//! The hold: one `work` or `send` at a time on one SQLite ledger, and none of them during a migration.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::ledger::{LedgerError, Result};

/// The number of attempts to get the lock, [`PAUSE`] apart: a migration holds it for milliseconds.
const ATTEMPTS: u32 = 25;
const PAUSE: Duration = Duration::from_millis(20);

/// Lasts until it is dropped or the process ends in any way: then the operating system releases the lock.
#[derive(Debug)]
pub struct Hold {
    _file: File,
}

/// Holds the ledger at `path` for this process's consumer. `import`, `campaign` and `status` need no hold and run
/// beside it.
///
/// # Errors
///
/// [`LedgerError::Held`] while another process holds it; [`LedgerError::Unavailable`] when the lock
/// file beside the ledger cannot be made.
pub fn hold(path: &Path) -> Result<Hold> {
    let lock = lock_file(path);
    let unusable = |error| LedgerError::Unavailable(format!("{}: {error}", lock.display()));
    let Some(mut file) = locked(&lock, File::try_lock).map_err(unusable)? else {
        return Err(LedgerError::Held(format!(
            "the ledger {} is in use by another work or send{}: wait until it ends. `status`, `import` and the other \
             commands work meanwhile. Several consumers at once need PostgreSQL (set DATABASE_URL)",
            path.display(),
            holder(&lock)
        )));
    };
    // The process id is for the error message of the next process; the lock does not need it.
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| write!(file, "{}", std::process::id()))
        .map_err(unusable)?;
    Ok(Hold { _file: file })
}

/// Keeps consumers away from the ledger at `path` while its schema is changed. Several processes may do this at once.
///
/// # Errors
///
/// [`LedgerError::Held`] while a consumer holds it. That consumer knows the schema as it is now, and no later one.
pub(super) fn hold_for_migration(path: &Path) -> Result<Hold> {
    let lock = lock_file(path);
    let unusable = |error| LedgerError::Unavailable(format!("{}: {error}", lock.display()));
    match locked(&lock, File::try_lock_shared).map_err(unusable)? {
        Some(file) => Ok(Hold { _file: file }),
        None => Err(LedgerError::consumer_of_older_schema(&holder(&lock))),
    }
}

/// The lock file with its lock; `None` while another process has it.
fn locked(
    lock: &Path,
    try_lock: impl Fn(&File) -> std::result::Result<(), TryLockError>,
) -> std::io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let file = options.open(lock)?;
    for attempt in 1..=ATTEMPTS {
        match try_lock(&file) {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if attempt == ATTEMPTS => {}
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
        }
    }
    Ok(None)
}

/// The process that has the lock, for error messages.
fn holder(lock: &Path) -> String {
    std::fs::read_to_string(lock)
        .ok()
        .filter(|pid| !pid.is_empty())
        .map(|pid| format!(" (process {pid})"))
        .unwrap_or_default()
}

/// The lock file is beside the database, never the database itself: closing any handle of the database would drop
/// SQLite's own locks.
fn lock_file(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".lock");
    name.into()
}
