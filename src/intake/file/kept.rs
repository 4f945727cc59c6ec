//! A file as it was given, which can be read again and again.
//!
//! In: a path. Out: its bytes from the beginning, as often as wanted. Always: what can be read only
//! once (a pipe) is kept in a temporary file that has no name, so that nothing stays of it when the process dies.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::encoding::FileEncoding;
use crate::intake::IntakeError;

/// How much of a file is looked at to tell messages from a table, in bytes.
const START_BYTES: u64 = 1024;

/// A file's length and when it was last written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::intake) struct Stamp(u64, Option<SystemTime>);

/// A file that can be read again.
#[derive(Debug)]
pub(in crate::intake) struct Kept {
    /// As the operator named it.
    named: PathBuf,
    /// What a pipe brought.
    copy: Option<Arc<File>>,
}

/// Reads an open file from its beginning. Each reader has a place of its own in the file.
#[derive(Debug)]
pub(in crate::intake) struct Bytes {
    file: Arc<File>,
    offset: u64,
}

impl Kept {
    /// Keeps what stands at a path.
    pub(in crate::intake) fn of(path: &Path) -> Result<Self, IntakeError> {
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
    pub(in crate::intake) fn named(&self) -> &Path {
        &self.named
    }

    /// What changes when the file does.
    pub(in crate::intake) fn stamp(&self) -> io::Result<Stamp> {
        let metadata = match &self.copy {
            Some(copy) => copy.metadata()?,
            None => fs::metadata(&self.named)?,
        };
        Ok(Stamp(metadata.len(), metadata.modified().ok()))
    }

    pub(in crate::intake) fn open(&self) -> io::Result<Bytes> {
        match &self.copy {
            Some(copy) => Ok(Bytes::of(Arc::clone(copy))),
            None => Ok(Bytes::of(Arc::new(File::open(&self.named)?))),
        }
    }

    /// Whether it is messages, a line of JSON each, and no table: by its name, or because it begins with
    /// a brace, which no header does.
    pub(in crate::intake) fn is_of_messages(&self) -> io::Result<bool> {
        let extension = self.named.extension().and_then(|end| end.to_str());
        let by_name = |end: &str| ["jsonl", "ndjson"].contains(&end.to_ascii_lowercase().as_str());
        if extension.is_some_and(by_name) {
            return Ok(true);
        }
        let mut start = Vec::new();
        self.open()?.take(START_BYTES).read_to_end(&mut start)?;
        let start = FileEncoding::start_as_text(&start);
        Ok(start.trim_start().starts_with('{'))
    }
}

impl Bytes {
    pub(in crate::intake) fn of(file: Arc<File>) -> Self {
        Self { file, offset: 0 }
    }

    /// The whole file's length in bytes.
    pub(in crate::intake) fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        #[cfg(unix)]
        let read = std::os::unix::fs::FileExt::read_at(&*self.file, buffer, self.offset);
        #[cfg(windows)]
        let read = std::os::windows::fs::FileExt::seek_read(&*self.file, buffer, self.offset);
        let count = read?;
        self.offset += count as u64;
        Ok(count)
    }
}

impl Seek for Bytes {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let offset = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(by) => self.len()?.checked_add_signed(by),
            SeekFrom::Current(by) => self.offset.checked_add_signed(by),
        };
        self.offset = offset.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.offset)
    }
}

fn copy_of_a_pipe(path: &Path) -> io::Result<Option<Arc<File>>> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if metadata.is_file() {
        return Ok(None);
    }
    let mut copy = tempfile::tempfile()?;
    io::copy(&mut file, &mut copy)?;
    copy.flush()?;
    Ok(Some(Arc::new(copy)))
}
