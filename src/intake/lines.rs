//! Which physical line a record begins on.
//!
//! In: the file's bytes on their way to the CSV reader. Out: the line of a byte offset. Always: what
//! an editor shows, whatever ends the lines and however many are blank. (The CSV reader's own count
//! stands where the record before ended: one short after CRLF, more after blank lines.)

use std::collections::VecDeque;
use std::io::{self, Read};

/// Passes bytes through and notes where lines end.
pub(super) struct LineReader<R> {
    inner: R,
    /// Offsets of `\r` and `\n` from the record being read to how far the file was read ahead.
    ends: VecDeque<(u64, u8)>,
    /// How far the file was read.
    offset: u64,
    /// `\n` before the first of `ends`.
    passed: u64,
    /// The last byte that ends no line.
    last: u8,
    is_at_end: bool,
    /// Where the record being read begins, as far as is known.
    record_start: u64,
}

/// The longest row, in bytes: one that is longer is a quote that never closes, and would be held in
/// memory to the file's end.
pub(super) const ROW_BYTES_MAX: u64 = 8 * 1024 * 1024;

impl<R: Read> LineReader<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            ends: VecDeque::new(),
            offset: 0,
            passed: 0,
            last: 0,
            is_at_end: false,
            record_start: 0,
        }
    }

    /// The line of the record that follows the last one of [`Self::line_of`].
    pub(super) fn line_after(&mut self) -> u64 {
        let line_end = self.ends.iter().find(|(_, byte)| *byte == b'\n');
        let start = line_end.map_or(self.record_start, |(at, _)| at + 1);
        self.line_of(start)
    }

    /// Whether reading stopped because the record is longer than [`ROW_BYTES_MAX`].
    pub(super) fn is_row_too_long(&self) -> bool {
        self.offset.saturating_sub(self.record_start) > ROW_BYTES_MAX
    }

    /// Whether the record just read, with this as its last cell, took the rest of the file for a
    /// quote that is never closed. A cell of several lines is quoted: the file must end in its quote.
    /// (The CSV reader takes the file's end for the quote's.)
    pub(super) fn is_quote_open(&self, last_cell: &str) -> bool {
        self.is_at_end && last_cell.contains('\n') && self.last != b'"'
    }

    /// The line, counted from 1, of the record that the CSV reader found from `offset` on. Offsets
    /// only go forward: what lies before is forgotten.
    pub(super) fn line_of(&mut self, offset: u64) -> u64 {
        self.record_start = offset;
        // The reader leaves the rest of a line's end, and blank lines, in front of the record.
        let mut start = offset;
        while let Some((at, byte)) = self.ends.front().copied() {
            if at > start {
                break;
            }
            if at == start {
                start += 1;
            }
            self.passed += u64::from(byte == b'\n');
            self.ends.pop_front();
        }
        self.passed + 1
    }
}

impl<R: Read> Read for LineReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_row_too_long() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let count = self.inner.read(buffer)?;
        self.is_at_end = count == 0 && !buffer.is_empty();
        let text = buffer[..count].iter().rev();
        if let Some(last) = text.copied().find(|byte| !matches!(byte, b'\r' | b'\n')) {
            self.last = last;
        }
        let bytes = (self.offset..).zip(&buffer[..count]);
        let ends = bytes.filter(|(_, byte)| matches!(byte, b'\r' | b'\n'));
        self.ends.extend(ends.map(|(at, byte)| (at, *byte)));
        self.offset += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_begin_where_an_editor_shows_them() {
        let table: [(&str, &[u64]); 5] = [
            ("a\nb\nc", &[1, 2, 3]),
            ("a\r\nb\r\nc\r\n", &[1, 2, 3]),
            ("\n\na\n\n\nb\n", &[3, 6]),
            ("a\r\n\r\n\"x\r\ny\"\r\nb", &[1, 3, 5]),
            ("\u{feff}a\n\"x\n\ny\"\nb", &[1, 2, 5]),
        ];
        for (text, expected) in table {
            let mut csv = csv::ReaderBuilder::new()
                .has_headers(false)
                .buffer_capacity(2)
                .from_reader(LineReader::new(text.as_bytes()));
            let mut record = csv::ByteRecord::new();
            let mut found = Vec::new();
            while csv.read_byte_record(&mut record).expect("readable") {
                let offset = record.position().expect("a position").byte();
                found.push(csv.get_mut().line_of(offset));
            }
            assert_eq!(found, expected, "{text:?}");
        }
    }
}
