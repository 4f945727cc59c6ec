//! The hold: one `work` or `send` at a time on one SQLite ledger.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};

use crate::ledger::{LedgerError, Result};

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
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&lock)
        .map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(held(path, &lock)),
        Err(TryLockError::Error(error)) => return Err(unusable(error)),
    }
    // The process id is for the error message of the next process; the lock does not need it.
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| write!(file, "{}", std::process::id()))
        .map_err(unusable)?;
    Ok(Hold { _file: file })
}

fn held(path: &Path, lock: &Path) -> LedgerError {
    let by = std::fs::read_to_string(lock)
        .ok()
        .filter(|pid| !pid.is_empty())
        .map(|pid| format!(" (process {pid})"))
        .unwrap_or_default();
    LedgerError::Held(format!(
        "the ledger {} is held by another work or send{by}: wait until it ends; \
         several consumers at once need PostgreSQL (set DATABASE_URL)",
        path.display()
    ))
}

/// The lock file is beside the database, never the database itself: closing any handle of the database would drop
/// SQLite's own locks.
fn lock_file(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".lock");
    name.into()
}
