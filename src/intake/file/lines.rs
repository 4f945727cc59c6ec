//! Passes the bytes of a table to the CSV reader and records the lines of its rows.
//!
//! In: a text. Out: the same bytes, and the lines of each row. Always: every byte is examined before the CSV reader
//! gets it; a row that is too large for memory ends the reading. (The CSV reader itself counts a row's line from
//! the end of the record before, and accepts any quotes.)

use std::io::{self, ErrorKind, Read};

use super::quotes::{Quotes, RowPlace, TooBig};

/// Passes bytes through and records the lines of rows.
pub(super) struct LineReader<R> {
    inner: R,
    quotes: Quotes,
}

impl<R: Read> LineReader<R> {
    pub(in crate::intake) fn new(inner: R, delimiter: u8) -> Self {
        Self {
            inner,
            quotes: Quotes::of(delimiter),
        }
    }

    /// The lines of the row that the CSV reader returned last. Call it once for each row.
    pub(in crate::intake) fn row(&mut self) -> Option<RowPlace> {
        self.quotes.row()
    }

    /// The row that is too large, if there is one: reading must stop.
    pub(super) fn too_big(&self) -> Option<TooBig> {
        self.quotes.too_big()
    }
}

impl<R: Read> Read for LineReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.too_big().is_some() {
            return Err(ErrorKind::InvalidData.into());
        }
        // The byte after a carriage return decides whether a row ends there: both are passed on together.
        let kept = usize::from(buffer.len() > 1);
        let room = buffer.len() - kept;
        let mut count = self.inner.read(&mut buffer[..room])?;
        if kept == 1 && count > 0 && buffer[count - 1] == b'\r' {
            count += read_one(&mut self.inner, &mut buffer[count..=count])?;
        }
        self.quotes.pass(&buffer[..count]);
        if count == 0 && room > 0 {
            self.quotes.end();
        }
        Ok(count)
    }
}

fn read_one(inner: &mut impl Read, byte: &mut [u8]) -> io::Result<usize> {
    loop {
        match inner.read(byte) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_record_has_its_place() {
        let table: [(&str, &[u64]); 7] = [
            ("a\nb\nc", &[1, 2, 3]),
            ("a\r\nb\r\nc\r\n", &[1, 2, 3]),
            ("a\rb\r\rc\r", &[1, 2, 4]),
            ("\n\na\n\n\nb\n", &[3, 6]),
            ("a\r\n\r\n\"x\r\ny\"\r\nb", &[1, 3, 5]),
            ("\u{feff}a\n\"x\n\ny\"\nb", &[1, 2, 5]),
            ("a,\"b\n1,\"c\",d\n=\"x\"\ny\"z", &[1, 3, 4]),
        ];
        for capacity in [2, 5, 64] {
            for (text, expected) in table {
                let mut csv = csv::ReaderBuilder::new()
                    .has_headers(false)
                    .flexible(true)
                    .buffer_capacity(capacity)
                    .from_reader(LineReader::new(text.as_bytes(), b','));
                let mut record = csv::ByteRecord::new();
                let mut found = Vec::new();
                while csv.read_byte_record(&mut record).expect("readable") {
                    found.push(csv.get_mut().row().expect("a place").line);
                }
                assert_eq!(found, expected, "{text:?}");
                assert_eq!(csv.get_mut().row(), None, "{text:?}");
            }
        }
    }
}
