//! The bytes of a table on their way to the CSV reader, with the places of its rows.
//!
//! In: a text. Out: the same bytes, and where each row stands that the CSV reader makes of them. Always: what was
//! passed on was looked at; a row that is too big to be held ends the reading. (The CSV reader's own count of lines
//! stands where the record before ended, and it takes any quotes.)

use std::io::{self, ErrorKind, Read};

use super::quotes::{Quotes, RowPlace, TooBig};

/// Passes bytes through and notes where rows stand.
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

    /// Where the row stands that the CSV reader gave last. To be asked for each row once.
    pub(in crate::intake) fn row(&mut self) -> Option<RowPlace> {
        self.quotes.row()
    }

    /// Why reading stopped, or must stop.
    pub(super) fn too_big(&self) -> Option<TooBig> {
        self.quotes.too_big()
    }
}

impl<R: Read> Read for LineReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.too_big().is_some() {
            return Err(ErrorKind::InvalidData.into());
        }
        // What follows a carriage return tells whether a row ends there: the two are passed on together.
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
