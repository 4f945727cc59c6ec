//! An input file that can be read repeatedly.
//!
//! In: a path. Out: its bytes from the beginning, any number of times. Always: input that can be read only once (a
//! pipe) is copied to a temporary file without a name, which disappears when the process dies.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::encoding::FileEncoding;
use crate::intake::IntakeError;

/// The number of bytes that are read to distinguish messages from a table.
const START_BYTES: u64 = 1024;

/// A file's length and time of last modification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::intake) struct Stamp(u64, Option<SystemTime>);

/// A file that can be read repeatedly.
#[derive(Debug)]
pub(in crate::intake) struct Kept {
    /// The path as the operator wrote it.
    named: PathBuf,
    /// The copy of a pipe's data.
    copy: Option<Arc<File>>,
}

/// Reads an open file from its beginning. Each reader has its own position.
#[derive(Debug)]
pub(in crate::intake) struct Bytes {
    file: Arc<File>,
    offset: u64,
}

impl Kept {
    /// Opens the file at a path and copies it if it is a pipe.
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

    /// The path as the operator wrote it.
    pub(in crate::intake) fn named(&self) -> &Path {
        &self.named
    }

    /// A stamp that changes with the file.
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

    /// Whether the file contains messages, one line of JSON each, and not a table: by its extension, or by a brace
    /// at its beginning, which no header has.
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

    /// The length of the file in bytes.
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
