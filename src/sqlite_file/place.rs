//! Whether a file that is open is still the one at its path.
//!
//! A file that was removed, or that another one took the place of, goes on being written by who has it open, and nobody
//! finds it afterwards. Always: the file is not opened for a look, since to close it would end SQLite's own locks
//! (<https://www.sqlite.org/howtocorrupt.html>, section 2.2).

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

use super::{FileError, unusable};

/// A file of the file system: its device and inode.
type FileId = (u64, u64);

/// A path, and which file was there.
#[derive(Clone, Debug)]
pub(crate) struct FilePlace {
    path: PathBuf,
    file: Option<FileId>,
}

impl FilePlace {
    /// The file that is at this path now.
    pub(crate) fn of(path: &Path) -> Self {
        let metadata = std::fs::metadata(path).ok();
        Self {
            path: path.to_owned(),
            file: metadata.as_ref().and_then(identity),
        }
    }

    /// The path, the device and the inode as text: a file that was copied or restored is another one, also at the
    /// same path.
    pub(crate) fn text(&self) -> String {
        let path = self.path.canonicalize();
        let path = path.as_deref().unwrap_or(&self.path).display();
        match self.file {
            Some((device, inode)) => format!("{path}:{device}:{inode}"),
            None => path.to_string(),
        }
    }

    /// Looks whether it is still there: one call of the operating system while it is.
    ///
    /// # Errors
    ///
    /// [`FileError::Refused`] when it was removed, or another one is there: what is written to it is lost.
    /// [`FileError::Unusable`] when it was moved, since it can be moved back, or when the file system does not tell.
    pub(crate) fn look(&self) -> Result<(), FileError> {
        let file = self.path.display();
        match std::fs::metadata(&self.path) {
            Ok(metadata) if self.file == identity(&metadata) => Ok(()),
            Ok(_) => Err(FileError::Refused(format!(
                "{file} is another file than the one that this process opened, which nobody finds once the process \
                 has ended. End the process, and look which of the two is yours"
            ))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(self.missing()),
            Err(error) => Err(unusable(&self.path, &error)),
        }
    }

    fn missing(&self) -> FileError {
        let file = self.path.display();
        match self.file {
            Some(identity) if is_removed(identity) => FileError::Refused(format!(
                "{file} was removed while this process had it open: what the process writes is lost when it ends. End \
                 the process, and restore the last backup"
            )),
            _ => FileError::Unusable(format!(
                "{file} was moved away while this process had it open: put it back"
            )),
        }
    }
}

#[cfg(unix)]
#[expect(
    clippy::unnecessary_wraps,
    reason = "elsewhere the file system tells nothing of the kind"
)]
fn identity(metadata: &Metadata) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt as _;
    Some((metadata.dev(), metadata.ino()))
}

/// A file that is open cannot be replaced there.
#[cfg(not(unix))]
fn identity(_: &Metadata) -> Option<FileId> {
    None
}

/// Whether a file that this process has open has no name any more. Linux tells of open files without opening them again;
/// where nobody tells, the file may have been moved.
#[cfg(target_os = "linux")]
fn is_removed(file: FileId) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten();
    let mut files = open.filter_map(|entry| std::fs::metadata(entry.ok()?.path()).ok());
    files.any(|open| identity(&open) == Some(file) && open.nlink() == 0)
}

#[cfg(not(target_os = "linux"))]
fn is_removed(_: FileId) -> bool {
    false
}
