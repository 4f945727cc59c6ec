//! Whether a file is UTF-8 from end to end, before anything of it is used.
//!
//! In: a reader. Out: the first byte that is not UTF-8, with its line. Always: one chunk in memory.

use std::io::{self, ErrorKind, Read};

const CHUNK_BYTES: usize = 64 * 1024;

/// The first byte of a file that is not UTF-8.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotUtf8 {
    /// The physical line, counted from 1.
    pub(super) line: u64,
    /// Bytes from the file's beginning, to the byte or to the row it stands in.
    pub(super) offset: u64,
    /// The byte, when it is known.
    pub(super) byte: Option<u8>,
}

impl NotUtf8 {
    /// What the file looks like, and what to do.
    pub(super) fn hint(&self) -> &'static str {
        match (self.offset, self.byte) {
            // The byte order marks of UTF-16.
            (0, Some(0xFF | 0xFE)) => {
                "it looks like UTF-16 (Excel's \"Unicode text\"); save it as \"CSV UTF-8\""
            }
            _ => "it looks like Windows-1252 or another encoding; save it as \"CSV UTF-8\"",
        }
    }
}

/// Reads to the end, or to the first byte that is not UTF-8.
pub(super) fn first_not_utf8(mut reader: impl Read) -> io::Result<Option<NotUtf8>> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let (mut line, mut offset) = (1, 0);
    // The beginning of a character that a chunk ended in.
    let mut carried = 0;
    loop {
        let count = match reader.read(&mut chunk[carried..]) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let filled = carried + count;
        let (valid, is_wrong) = match std::str::from_utf8(&chunk[..filled]) {
            Ok(text) => (text.len(), false),
            Err(error) => (
                error.valid_up_to(),
                error.error_len().is_some() || count == 0,
            ),
        };
        line += chunk[..valid].iter().filter(|byte| **byte == b'\n').count() as u64;
        offset += valid as u64;
        if is_wrong {
            let byte = Some(chunk[valid]);
            return Ok(Some(NotUtf8 { line, offset, byte }));
        }
        if count == 0 {
            return Ok(None);
        }
        chunk.copy_within(valid..filled, 0);
        carried = filled - valid;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time: every character of several bytes is cut.
    struct Trickle<'a>(&'a [u8]);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.0.len().min(buffer.len()).min(1);
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    #[test]
    fn the_first_wrong_byte_is_found_with_its_line() {
        type Found = Option<(u64, u64, u8)>;
        let table: [(&[u8], Found); 6] = [
            (b"", None),
            ("phone\nZo\u{eb}\n\u{1f600}".as_bytes(), None),
            (b"phone\nZo\xeb,1\n", Some((2, 8, 0xeb))),
            (b"\xff\xfep\0", Some((1, 0, 0xff))),
            (b"a\nb\nc\xc3", Some((3, 5, 0xc3))),
            (b"\xef\xbb\xbfphone\n", None),
        ];
        for (bytes, expected) in table {
            let expected = expected.map(|(line, offset, byte)| NotUtf8 {
                line,
                offset,
                byte: Some(byte),
            });
            assert_eq!(first_not_utf8(bytes).expect("readable"), expected);
            assert_eq!(first_not_utf8(Trickle(bytes)).expect("readable"), expected);
        }
    }
}
