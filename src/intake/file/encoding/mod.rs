//! Detects the encoding of a file before any of it is used.
//!
//! In: a file that can be read again. Out: its encoding and the evidence for it. Always: one chunk in memory; a
//! file with bytes that do not fit its encoding is refused, so that no row is accepted if later rows cannot be
//! read.

pub(super) mod western;
#[cfg(test)]
pub(super) mod tests;

use std::borrow::Cow;
use std::fmt;
use std::io::{self, ErrorKind, Read};

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};
use encoding_rs_io::DecodeReaderBytesBuilder;

use self::western::WesternSurvey;
use super::line_count::LineCount;

const CHUNK_BYTES: usize = 64 * 1024;

/// A file's encoding, with the evidence for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::intake) struct FileEncoding {
    pub(in crate::intake) encoding: &'static Encoding,
    /// The length of the byte order mark before the text.
    pub(in crate::intake) bom_bytes: usize,
    how: Evidence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Evidence {
    /// A byte order mark.
    Marked,
    /// All bytes are valid UTF-8.
    Valid,
    /// Every second byte at the beginning is zero.
    Zeroes,
    /// The frequencies of the letters.
    Guessed,
    /// The operator's choice.
    Told,
}

impl fmt::Display for FileEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.how {
            Evidence::Marked => " with a byte order mark",
            Evidence::Zeroes => " (by its zero bytes)",
            Evidence::Guessed => " (guessed: --encoding names another)",
            Evidence::Valid | Evidence::Told => "",
        };
        write!(f, "{}{how}", self.encoding.name())
    }
}

/// Why a file's bytes are not text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::intake) struct NotText {
    /// The physical line, counted from 1.
    pub(in crate::intake) line: u64,
    pub(in crate::intake) why: String,
}

/// The result of a pass over all bytes of a file.
pub(in crate::intake) struct EncodingSurvey {
    start: Vec<u8>,
    /// The first byte that is not UTF-8, with its line.
    pub(in crate::intake) first_wrong: Option<(u64, u8)>,
    wrong: u64,
    /// The number of valid UTF-8 characters of several bytes.
    pub(in crate::intake) multibyte: u64,
    detector: EncodingDetector,
    /// The check of encodings that the detector cannot distinguish.
    western: WesternSurvey,
}

impl FileEncoding {
    /// Whether the encoding is the preferred one: UTF-8 without a byte order mark.
    pub(in crate::intake) fn is_plain(&self) -> bool {
        self.encoding == UTF_8 && self.bom_bytes == 0
    }

    /// Detects a file's encoding: its byte order mark, then UTF-8 if every byte fits, then UTF-16 by its zero
    /// bytes, then the best guess. `open` opens the file again. `told` is the operator's choice.
    pub(in crate::intake) fn find(
        open: impl Fn() -> io::Result<Box<dyn Read + Send>>,
        told: Option<&'static Encoding>,
    ) -> io::Result<Result<Self, NotText>> {
        let look = look(open()?)?;
        let marked = Encoding::for_bom(&look.start);
        let (encoding, bom_bytes, how) = match (told, marked) {
            (Some(told), marked) => {
                let bom = marked.filter(|(encoding, _)| *encoding == told);
                (told, bom.map_or(0, |(_, bytes)| bytes), Evidence::Told)
            }
            (None, Some((encoding, bytes))) => (encoding, bytes, Evidence::Marked),
            (None, None) => match look.guess() {
                Ok((encoding, how)) => (encoding, 0, how),
                Err(not_text) => return Ok(Err(not_text)),
            },
        };
        let found = Self {
            encoding,
            bom_bytes,
            how,
        };
        if encoding == UTF_8 {
            return Ok(match look.first_wrong {
                Some((line, byte)) => Err(not_utf8(line, byte)),
                None => Ok(found),
            });
        }
        let checked = first_malformed(found.skip_bom(open()?)?, encoding)?;
        Ok(match checked {
            Some(line) => Err(NotText {
                line,
                why: format!("the bytes there are not {}", encoding.name()),
            }),
            None => Ok(found),
        })
    }

    /// The beginning of a file as text, with the encoding that the beginning alone suggests.
    pub(in crate::intake) fn start_as_text(start: &[u8]) -> Cow<'_, str> {
        let marked = Encoding::for_bom(start);
        let encoding = marked.map(|(encoding, _)| encoding);
        let encoding = encoding.or_else(|| utf_16_by_zeroes(start));
        encoding.unwrap_or(UTF_8).decode(start).0
    }

    /// The encoding of a sheet's text, which flexcast writes itself.
    pub(in crate::intake) const fn own() -> Self {
        Self {
            encoding: UTF_8,
            bom_bytes: 0,
            how: Evidence::Valid,
        }
    }

    /// Whether a spreadsheet program needs a byte order mark to open a UTF-8 file of flexcast's correctly: this
    /// file had one, or has a legacy encoding.
    pub(in crate::intake) fn wants_bom(&self) -> bool {
        self.bom_bytes > 0 || self.encoding != UTF_8
    }

    /// The file's text as UTF-8, without the byte order mark.
    pub(in crate::intake) fn decode(
        &self,
        file: Box<dyn Read + Send>,
    ) -> io::Result<Box<dyn Read + Send>> {
        let file = self.skip_bom(file)?;
        if self.encoding == UTF_8 {
            return Ok(file);
        }
        let mut builder = DecodeReaderBytesBuilder::new();
        builder.encoding(Some(self.encoding)).bom_sniffing(false);
        let buffer = vec![0; CHUNK_BYTES];
        Ok(Box::new(builder.build_with_buffer(file, buffer)?))
    }

    fn skip_bom(&self, mut file: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
        file.read_exact(&mut vec![0; self.bom_bytes])?;
        Ok(file)
    }
}

impl EncodingSurvey {
    fn guess(&self) -> Result<(&'static Encoding, Evidence), NotText> {
        if let Some(encoding) = utf_16_by_zeroes(&self.start) {
            return Ok((encoding, Evidence::Zeroes));
        }
        if self.start.contains(&0) {
            let why = "it has zero bytes: this is not text but a program's own format".to_owned();
            return Err(NotText { line: 1, why });
        }
        match self.first_wrong {
            None => Ok((UTF_8, Evidence::Valid)),
            // Most are valid UTF-8: any other encoding would garble them.
            Some((line, byte)) if self.multibyte > self.wrong => Err(not_utf8(line, byte)),
            Some((line, _)) => {
                let guess = self.detector.guess(None, Utf8Detection::Deny);
                match self.western.instead_of(guess) {
                    Ok(encoding) => Ok((encoding, Evidence::Guessed)),
                    Err(why) => Err(NotText { line, why }),
                }
            }
        }
    }

    /// Counts the characters of a chunk; returns the number of bytes at its end that may continue in the next one.
    fn pass(&mut self, bytes: &[u8], is_last: bool, lines: &mut LineCount) -> usize {
        let mut done = 0;
        for part in bytes.utf8_chunks() {
            let (valid, invalid) = (part.valid(), part.invalid());
            lines.pass_all(valid.as_bytes());
            if !valid.is_ascii() {
                self.multibyte += valid.chars().filter(|c| !c.is_ascii()).count() as u64;
            }
            done += valid.len() + invalid.len();
            let Some(first) = invalid.first() else {
                continue;
            };
            let may_go_on = done == bytes.len() && is_cut_short(invalid);
            if may_go_on && !is_last {
                return invalid.len();
            }
            self.wrong += 1;
            self.first_wrong.get_or_insert((lines.line, *first));
        }
        0
    }
}

fn not_utf8(line: u64, byte: u8) -> NotText {
    let why = format!(
        "byte 0x{byte:02X} is not UTF-8, and the rest of the file is; correct that line, or name the \
         file's encoding with --encoding"
    );
    NotText { line, why }
}

/// Text of spreadsheets is mostly ASCII, which has a zero in every second byte of UTF-16.
fn utf_16_by_zeroes(start: &[u8]) -> Option<&'static Encoding> {
    let zeroes = |first: usize| {
        let bytes = start.iter().skip(first).step_by(2);
        bytes.filter(|byte| **byte == 0).count()
    };
    let half = start.len() / 2;
    let (high, low) = (zeroes(0), zeroes(1));
    let most = |count: usize| half > 0 && count * 10 > half * 6;
    match (most(high), most(low)) {
        (true, false) => Some(UTF_16BE),
        (false, true) => Some(UTF_16LE),
        _ => None,
    }
}

pub(in crate::intake) fn look(mut file: impl Read) -> io::Result<EncodingSurvey> {
    let mut look = EncodingSurvey {
        start: Vec::new(),
        first_wrong: None,
        wrong: 0,
        multibyte: 0,
        detector: EncodingDetector::new(Iso2022JpDetection::Deny),
        western: WesternSurvey::default(),
    };
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut lines = LineCount::default();
    // The bytes of a character that continues in the next chunk.
    let mut carried = 0;
    loop {
        let count = read_some(&mut file, &mut chunk[carried..])?;
        if look.start.is_empty() {
            look.start = chunk[..count].to_vec();
        }
        let (bytes, is_last) = (&chunk[carried..carried + count], count == 0);
        look.detector.feed(bytes, is_last);
        let filled = carried + count;
        carried = look.pass(&chunk[..filled], is_last, &mut lines);
        if look.first_wrong.is_some() {
            look.western.pass(&chunk[..filled - carried]);
        }
        if is_last {
            return Ok(look);
        }
        chunk.copy_within(filled - carried..filled, 0);
    }
}

/// Whether these bytes are an incomplete character.
fn is_cut_short(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

/// The line of the first bytes that are invalid in this encoding.
fn first_malformed(mut file: impl Read, encoding: &'static Encoding) -> io::Result<Option<u64>> {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut text = vec![0; 4 * CHUNK_BYTES];
    let mut lines = LineCount::default();
    loop {
        let count = read_some(&mut file, &mut chunk)?;
        let mut bytes = &chunk[..count];
        loop {
            let (result, read, written) =
                decoder.decode_to_utf8_without_replacement(bytes, &mut text, count == 0);
            lines.pass_all(&text[..written]);
            bytes = &bytes[read..];
            match result {
                DecoderResult::InputEmpty => break,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(..) => return Ok(Some(lines.line)),
            }
        }
        if count == 0 {
            return Ok(None);
        }
    }
}

fn read_some(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}
