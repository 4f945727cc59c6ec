//! A file as it was given, which can be read again and again.
//!
//! In: a path. Out: its bytes from the beginning, as often as wanted. Always: what can be read only
//! once (a pipe) is kept in a temporary file.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tempfile::NamedTempFile;

use super::IntakeError;

/// A file's length and when it was last written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp(u64, Option<SystemTime>);

/// A file that can be read again.
#[derive(Debug)]
pub(super) struct Kept {
    /// As the operator named it.
    named: PathBuf,
    /// What a pipe brought.
    copy: Option<NamedTempFile>,
}

impl Kept {
    /// Keeps what stands at a path.
    pub(super) fn of(path: &Path) -> Result<Self, IntakeError> {
        let copy = copy_of_a_pipe(path).map_err(|source| IntakeError::Unreadable {
            path: path.into(),
            source,
        })?;
        Ok(Self {
            named: path.into(),
            copy,
        })
    }

    /// The path as it was given.
    pub(super) fn named(&self) -> &Path {
        &self.named
    }

    /// Where the bytes are.
    pub(super) fn path(&self) -> &Path {
        self.copy.as_ref().map_or(&*self.named, NamedTempFile::path)
    }

    /// What changes when the file does.
    pub(super) fn stamp(&self) -> io::Result<Stamp> {
        let metadata = fs::metadata(self.path())?;
        Ok(Stamp(metadata.len(), metadata.modified().ok()))
    }

    pub(super) fn open(&self) -> io::Result<File> {
        File::open(self.path())
    }

    /// Whether it is messages, a line of JSON each, and no table: by its name, or because it begins with
    /// a brace, which no header does.
    pub(super) fn is_of_messages(&self) -> io::Result<bool> {
        let extension = self.named.extension().and_then(|end| end.to_str());
        let by_name = |end: &str| ["jsonl", "ndjson"].contains(&end.to_ascii_lowercase().as_str());
        if extension.is_some_and(by_name) {
            return Ok(true);
        }
        let mut start = Vec::new();
        self.open()?.take(1024).read_to_end(&mut start)?;
        let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&start);
        Ok(start.trim_ascii_start().starts_with(b"{"))
    }
}

fn copy_of_a_pipe(path: &Path) -> io::Result<Option<NamedTempFile>> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if metadata.is_file() {
        return Ok(None);
    }
    let mut copy = NamedTempFile::new()?;
    io::copy(&mut file, &mut copy)?;
    Ok(Some(copy))
}
