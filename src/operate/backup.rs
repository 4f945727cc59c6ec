//! Back up the ledger: a whole copy under the file's name, or none.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::files::private;
use crate::ledger::{BackupSource, LedgerError};

use super::OperateError;

/// How often the place of an interrupted backup is cleared before another process is taken to be at it.
const ATTEMPTS: u32 = 3;

/// A backup that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackedUp {
    /// Where it is: an absolute path.
    pub file: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// How many messages it has.
    pub messages: u64,
}

/// Copies the ledger to `file` while it is in use.
///
/// The copy is made under the name of `file` with `.part` added, for its owner alone, and gets its name when it is durable. A file of that name is replaced with `replace`
/// alone. What a killed backup left is removed by the next one to the same file.
///
/// # Errors
///
/// [`OperateError::BackupRefused`] when there is a file of that name, or none can be there;
/// [`OperateError::BackupFailed`] when it was not made: then nothing has its name, or what had it before;
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
            "the ledger or the queue itself uses this name; choose another",
        ));
    }
    let taken = || {
        refused(
            &file,
            "there is such a file already; choose another name, or replace it with --force",
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

/// A copy that is not whole yet, kept from other backups by a lock.
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
                    // Another backup that saw it before this lock has removed it.
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

    /// Gives the copy its name, for good.
    fn name(&self, file: &Path, replace: bool) -> io::Result<()> {
        if replace {
            fs::rename(&self.path, file)?;
        } else {
            match fs::hard_link(&self.path, file) {
                Ok(()) => self.remove(),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(error),
                // A file system without hard links cannot refuse a name that is taken in the same step.
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

    /// Removes the copy, and says what remains and why there is none.
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

/// Removes what an interrupted backup has left; false while another one is at it. Removed and never emptied: a
/// backup that was killed when it had just got its name has both names.
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

/// Whether both are there and are one file.
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

/// Whether two paths are one file, or would be. Without opening it: a close would drop the locks that this
/// process has on a ledger.
fn is_same(own: &Path, file: &Path) -> bool {
    let is_named = absolute(own).is_ok_and(|own| own == file);
    is_named || (cfg!(unix) && is_one(fs::metadata(own), fs::metadata(file)))
}

/// The path in its folder's own spelling. The folder must be there.
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

/// Makes a change of names in a file's folder outlive a power failure.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    File::open(folder)?.sync_all()
}
