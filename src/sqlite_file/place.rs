//! Checks whether an open file is still the one at its path.
//!
//! A process can go on writing to a file that was removed or replaced, and its data is lost at the end. Always: the
//! check does not open the file, because the close would release SQLite's own locks
//! (<https://www.sqlite.org/howtocorrupt.html>, section 2.2).

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

use super::{FileError, unusable};

/// The identity of a file: device and inode.
type FileId = (u64, u64);

/// A path and the identity of the file that was there.
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

    /// The path, device and inode as text: a copied or restored file differs, also at the same path.
    pub(crate) fn text(&self) -> String {
        let path = self.path.canonicalize();
        let path = path.as_deref().unwrap_or(&self.path).display();
        match self.file {
            Some((device, inode)) => format!("{path}:{device}:{inode}"),
            None => path.to_string(),
        }
    }

    /// Checks whether the file is still there: one system call if it is.
    ///
    /// # Errors
    ///
    /// [`FileError::Refused`] when the file was removed or replaced: further writes are lost.
    /// [`FileError::Unusable`] when it was moved, because it can be moved back, or when the file system does not
    /// tell.
    pub(crate) fn look(&self) -> Result<(), FileError> {
        let file = self.path.display();
        match std::fs::metadata(&self.path) {
            Ok(metadata) if self.file == identity(&metadata) => Ok(()),
            Ok(_) => Err(FileError::Refused(format!(
                "{file} is another file than the one that this process opened, which is lost once the process \
                 has ended. End the process, and check which of the two files is yours"
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

/// An open file cannot be replaced on this system.
#[cfg(not(unix))]
fn identity(_: &Metadata) -> Option<FileId> {
    None
}

/// Whether a file that this process has open has no name any more. Linux lists open files without opening them; on
/// other systems the file may have been moved.
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
