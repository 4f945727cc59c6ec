//! Backs up the ledger: either a whole copy has the file's name, or there is no copy.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::files::private;
use crate::ledger::{BackupSource, LedgerError};

use super::OperateError;

/// How many times the file of an interrupted backup is removed, before another backup is assumed to be running.
const ATTEMPTS: u32 = 3;

/// A finished backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackedUp {
    /// Its file, as an absolute path.
    pub file: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its number of messages.
    pub messages: u64,
}

/// Copies the ledger to `file` while it is in use.
///
/// The copy is written to the name of `file` with `.part` added, readable by its owner alone, and is renamed when it
/// is durable. An existing file is replaced only with `replace`. The next backup to the same file removes the remains
/// of a killed one.
///
/// # Errors
///
/// [`OperateError::BackupRefused`] when the file exists or cannot be created; [`OperateError::BackupFailed`] when the
/// backup was not made: there is no file of this name then, or the earlier file is unchanged;
/// [`OperateError::Ledger`] when the ledger cannot be read.
pub async fn back_up(
    source: &dyn BackupSource,
    file: &Path,
    replace: bool,
) -> Result<BackedUp, OperateError> {
    let file = absolute(file)?;
    if source.own_files().iter().any(|own| is_same(own, &file)) {
        return Err(refused(
            &file,
            "the ledger or the queue uses this file; choose another name",
        ));
    }
    let taken = || {
        refused(
            &file,
            "the file exists already; choose another name, or replace it with --force",
        )
    };
    match fs::symlink_metadata(&file) {
        Ok(metadata) if metadata.is_dir() => {
            return Err(refused(&file, "it is a folder; add a name"));
        }
        Ok(_) if !replace => return Err(taken()),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(refused(&file, &error.to_string())),
    }
    let part = UnfinishedCopy::begin(&file)?;
    let messages = match source.copy_to(&part.path).await {
        Ok(messages) => messages,
        Err(LedgerError::Unavailable(why)) => return Err(part.given_up(&file, &why)),
        Err(error) => {
            part.remove();
            return Err(error.into());
        }
    };
    let bytes = part.file.sync_all().and_then(|()| part.file.metadata());
    let bytes = match bytes {
        Ok(metadata) => metadata.len(),
        Err(error) => return Err(part.given_up(&file, &error.to_string())),
    };
    match part.name(&file, replace) {
        Ok(()) => Ok(BackedUp {
            file,
            bytes,
            messages,
        }),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            part.remove();
            Err(taken())
        }
        Err(error) => Err(part.given_up(&file, &error.to_string())),
    }
}

/// A copy that is not finished, locked against other backups.
struct UnfinishedCopy {
    path: PathBuf,
    file: File,
}

impl UnfinishedCopy {
    fn begin(file: &Path) -> Result<Self, OperateError> {
        let path = with(file, ".part");
        let failed = |error: &dyn std::fmt::Display| OperateError::BackupFailed {
            file: file.to_owned(),
            detail: format!("{}: {error}", path.display()),
        };
        for _ in 0..ATTEMPTS {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create_new(true);
            match private(&mut options).open(&path) {
                Ok(file) => {
                    // Another backup, which opened the file before this lock, has removed it.
                    if file.try_lock().is_ok() && is_one(file.metadata(), fs::metadata(&path)) {
                        return Ok(Self { path, file });
                    }
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    if !clear(&path).map_err(|error| failed(&error))? {
                        let held = "another backup is being written there: wait until it ends";
                        return Err(failed(&held));
                    }
                }
                Err(error) => return Err(failed(&error)),
            }
        }
        Err(failed(
            &"another backup is being written there: wait until it ends",
        ))
    }

    /// Renames the copy to its final name, durably.
    fn name(&self, file: &Path, replace: bool) -> io::Result<()> {
        if replace {
            fs::rename(&self.path, file)?;
        } else {
            match fs::hard_link(&self.path, file) {
                Ok(()) => self.remove(),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(error),
                // A file system without hard links cannot check the name and rename in one step.
                Err(_) if !file.exists() => fs::rename(&self.path, file)?,
                Err(_) => return Err(ErrorKind::AlreadyExists.into()),
            }
        }
        sync_folder(file)
    }

    fn remove(&self) {
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_file(with(&self.path, "-journal"));
    }

    /// Removes the copy, and returns the error. The error names a file that could not be removed.
    fn given_up(&self, file: &Path, why: &str) -> OperateError {
        self.remove();
        let detail = if self.path.exists() {
            format!("{why}; remove {}", self.path.display())
        } else {
            why.to_owned()
        };
        OperateError::BackupFailed {
            file: file.to_owned(),
            detail,
        }
    }
}

/// Removes the remains of an interrupted backup; false while another backup writes them. The file is never truncated:
/// a backup that was killed just after its renaming has both names.
fn clear(path: &Path) -> io::Result<bool> {
    let left = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(left) => left,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
    };
    match left.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(false),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    if is_one(left.metadata(), fs::metadata(path)) {
        fs::remove_file(path)?;
        let _ = fs::remove_file(with(path, "-journal"));
    }
    Ok(true)
}

/// Whether both exist and are the same file.
fn is_one(one: io::Result<fs::Metadata>, other: io::Result<fs::Metadata>) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let id = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        matches!((one.map(id), other.map(id)), (Ok(one), Ok(other)) if one == other)
    }
    #[cfg(not(unix))]
    {
        one.is_ok() && other.is_ok()
    }
}

/// Whether two paths are the same file, or would be. Does not open the file: closing it would release the locks of
/// this process on a ledger.
fn is_same(own: &Path, file: &Path) -> bool {
    let is_named = absolute(own).is_ok_and(|own| own == file);
    is_named || (cfg!(unix) && is_one(fs::metadata(own), fs::metadata(file)))
}

/// The absolute path, with the folder's path resolved. The folder must exist.
fn absolute(file: &Path) -> Result<PathBuf, OperateError> {
    let name = file
        .file_name()
        .ok_or_else(|| refused(file, "it has no file name"))?;
    let folder = file.parent().filter(|folder| *folder != Path::new(""));
    let folder = folder.unwrap_or(Path::new("."));
    let folder = folder
        .canonicalize()
        .map_err(|error| refused(file, &format!("its folder cannot be used: {error}")))?;
    Ok(folder.join(name))
}

fn refused(file: &Path, why: &str) -> OperateError {
    OperateError::BackupRefused {
        file: file.to_owned(),
        why: why.to_owned(),
    }
}

fn with(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}

/// Makes a renaming in the file's folder durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    File::open(folder)?.sync_all()
}
