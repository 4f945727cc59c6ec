//! A file of messages: one line of JSON for each, in the form that publishers send.
//!
//! In: a path. Out: its lines with their numbers. Always: no line longer than a message's limit is in memory; blank
//! lines are skipped.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use encoding_rs::Encoding;

use crate::intake::IntakeError;
use crate::intake::file::encoding::FileEncoding;
use crate::intake::file::kept::Kept;
use crate::intake::file::source::encoding_of;
use crate::message::MESSAGE_BYTES_MAX;

/// The size of one read, in bytes.
const BUFFER_BYTES: usize = 64 * 1024;

/// One line of the file.
#[derive(Clone, Debug)]
pub struct Line {
    /// Counted from 1.
    pub number: u64,
    pub(in crate::intake) text: LineText,
}

/// The text of a line.
#[derive(Clone, Debug)]
pub(in crate::intake) enum LineText {
    Whole(Vec<u8>),
    /// The line exceeds the limit for messages: its length in bytes.
    TooLong(usize),
}

/// The lines of a file. An `Err` concerns the whole file and is the last item.
pub struct Messages {
    kept: Arc<Kept>,
    encoding: FileEncoding,
    reader: BufReader<Box<dyn Read + Send>>,
    number: u64,
    is_over: bool,
}

impl Messages {
    /// Opens a file of messages; `told` is the operator's choice of encoding.
    pub(in crate::intake) fn of(
        kept: Arc<Kept>,
        told: Option<&'static Encoding>,
    ) -> Result<Self, IntakeError> {
        let encoding = encoding_of(&kept, told)?;
        let mut messages = Self::from_the_beginning(kept, encoding)?;
        let path = messages.path().to_path_buf();
        match messages.next() {
            Some(Ok(_)) => messages.again(),
            Some(Err(error)) => Err(error),
            None => Err(IntakeError::NoMessages { path }),
        }
    }

    fn from_the_beginning(kept: Arc<Kept>, encoding: FileEncoding) -> Result<Self, IntakeError> {
        let opened = kept.open().and_then(|file| encoding.decode(Box::new(file)));
        let text = opened.map_err(|error| unreadable(kept.named(), error))?;
        Ok(Self {
            kept,
            encoding,
            reader: BufReader::with_capacity(BUFFER_BYTES, text),
            number: 0,
            is_over: false,
        })
    }

    /// The detected form: `JSON lines, UTF-16LE with a byte order mark`.
    pub(in crate::intake) fn shape(&self) -> String {
        if self.encoding.is_plain() {
            return "JSON lines".to_owned();
        }
        format!("JSON lines, {}", self.encoding)
    }

    /// The same lines from the beginning.
    ///
    /// # Errors
    ///
    /// [`IntakeError`] when the file can no longer be read.
    pub fn again(&self) -> Result<Self, IntakeError> {
        Self::from_the_beginning(Arc::clone(&self.kept), self.encoding)
    }

    /// The path as the operator wrote it.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.kept.named()
    }

    pub(in crate::intake) fn kept(&self) -> &Kept {
        &self.kept
    }

    fn read(&mut self) -> io::Result<Option<Line>> {
        loop {
            let mut text = Vec::new();
            // The limit, the line break, and one byte that shows that the line is longer.
            let most = MESSAGE_BYTES_MAX as u64 + 3;
            (&mut self.reader).take(most).read_until(b'\n', &mut text)?;
            if text.is_empty() {
                return Ok(None);
            }
            self.number += 1;
            let is_whole = text.ends_with(b"\n") || (text.len() as u64) < most;
            let length = text.trim_ascii_end().len();
            let text = if is_whole && length <= MESSAGE_BYTES_MAX {
                text.truncate(length);
                LineText::Whole(text)
            } else if is_whole {
                LineText::TooLong(length)
            } else {
                LineText::TooLong(text.len() + skip_line(&mut self.reader)?)
            };
            if !matches!(&text, LineText::Whole(text) if text.trim_ascii().is_empty()) {
                let number = self.number;
                return Ok(Some(Line { number, text }));
            }
        }
    }
}

impl Iterator for Messages {
    type Item = Result<Line, IntakeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        match self.read() {
            Ok(Some(line)) => Some(Ok(line)),
            Ok(None) => {
                self.is_over = true;
                None
            }
            Err(error) => {
                self.is_over = true;
                Some(Err(unreadable(self.path(), error)))
            }
        }
    }
}

/// Skips to the end of the line; returns the number of skipped bytes.
fn skip_line(reader: &mut impl BufRead) -> io::Result<usize> {
    let mut skipped = 0;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(skipped);
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(buffer.len(), |at| at + 1);
        skipped += end.unwrap_or(used);
        reader.consume(used);
        if end.is_some() {
            return Ok(skipped);
        }
    }
}

fn unreadable(path: &Path, source: io::Error) -> IntakeError {
    IntakeError::Unreadable {
        path: path.into(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Vec<(u64, Option<usize>)> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        let kept = Arc::new(Kept::of(file.path()).expect("a file"));
        let messages = Messages::of(kept, None).expect("lines");
        let lines = messages.map(|line| {
            let line = line.expect("a line");
            match line.text {
                LineText::Whole(_) => (line.number, None),
                LineText::TooLong(bytes) => (line.number, Some(bytes)),
            }
        });
        lines.collect()
    }

    #[test]
    fn lines_are_counted_and_long_ones_are_not_held() {
        let max = MESSAGE_BYTES_MAX;
        let long = |bytes: usize| "x".repeat(bytes);
        let text = format!(
            "\u{feff}{{}}\n\n  \r\n{}\r\n{}\n{}\r\n{}",
            long(max),
            long(max + 1),
            long(3 * max),
            "{}"
        );
        let expected = [
            (1, None),
            (4, None),
            (5, Some(max + 1)),
            (6, Some(3 * max + 1)),
            (7, None),
        ];
        assert_eq!(lines(text.as_bytes()), expected);
    }

    #[test]
    fn a_file_without_a_line_is_refused() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let kept = Arc::new(Kept::of(file.path()).expect("a file"));
        assert!(matches!(
            Messages::of(kept, None),
            Err(IntakeError::NoMessages { .. })
        ));
    }
}
