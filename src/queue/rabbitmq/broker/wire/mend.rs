//! Repairs the fields of a payload: text, tables, arrays.
//!
//! In: bytes. Out: the same number of bytes, readable by the client. Always: well-formed bytes within the limits
//! stay unchanged.
//!
//! The client requires short strings in UTF-8 and reads tables and arrays by recursion; the broker checks neither
//! (AMQP 0-9-1, section 4.2.5).

/// The deepest nesting of tables and arrays in headers. lapin's parser overflows its stack after about 300 levels
/// in a debug build; publishers need only a few.
pub(super) const NESTING_MAX: usize = 32;

/// Replaces a byte that is not UTF-8: the control character SUBSTITUTE exists for this purpose and is one byte
/// long.
const SUBSTITUTE: u8 = 0x1a;

/// The type that an unreadable table or array becomes: a byte array has the same four-byte length.
const BYTE_ARRAY: u8 = b'x';

/// A field of a method's arguments.
#[derive(Clone, Copy)]
pub(super) enum WireField {
    /// This number of bytes without text.
    Plain(usize),
    Text,
    Bytes,
    Table,
    /// The routing key of a message.
    Key,
}

use WireField::{Bytes, Key, Plain, Table, Text};

/// The repairs that were made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Changed {
    /// Text, other than the routing key, that was not UTF-8.
    pub(super) text: bool,
    /// A routing key that was not UTF-8.
    pub(super) key: bool,
    /// Tables or arrays that were nested too deeply or malformed.
    pub(super) nesting: bool,
}

/// A position in a payload. Every method returns `None`, without a change, if too few bytes are left.
pub(super) struct Cursor<'p> {
    payload: &'p mut [u8],
    at: usize,
}

impl<'p> Cursor<'p> {
    /// A cursor at the beginning of the payload.
    pub(super) fn of(payload: &'p mut [u8]) -> Self {
        Self { payload, at: 0 }
    }

    /// The current position.
    pub(super) fn place(&self) -> usize {
        self.at
    }

    /// The bytes between an earlier position and this one.
    pub(super) fn since(&self, place: usize) -> &[u8] {
        &self.payload[place..self.at]
    }

    pub(super) fn skip(&mut self, count: usize) -> Option<()> {
        let end = self.at.checked_add(count)?;
        (end <= self.payload.len()).then(|| self.at = end)
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let begin = self.at;
        self.skip(N)?;
        self.payload[begin..self.at].try_into().ok()
    }

    pub(super) fn short(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }

    pub(super) fn long_long(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    /// The delivery tag, which follows the consumer tag; the position does not change.
    pub(super) fn delivery_tag(&mut self) -> Option<u64> {
        let begin = self.at;
        let [length] = self.take()?;
        let tag = self.skip(length.into()).and_then(|()| self.long_long());
        self.at = begin;
        tag
    }

    pub(super) fn field(&mut self, field: WireField, changed: &mut Changed) -> Option<()> {
        match field {
            Plain(count) => self.skip(count),
            Text => self.text(&mut changed.text),
            Key => self.text(&mut changed.key),
            Bytes => {
                let length = self.take().map(u32::from_be_bytes)?;
                self.skip(usize::try_from(length).ok()?)
            }
            Table => {
                let length = self.take().map(u32::from_be_bytes)?;
                let begin = self.at;
                self.skip(usize::try_from(length).ok()?)?;
                let table = &mut self.payload[begin..self.at];
                if entries(table, ContainerKind::Table, 0, changed).is_none() {
                    changed.nesting = true;
                    blank(table);
                }
                Some(())
            }
        }
    }

    fn text(&mut self, changed: &mut bool) -> Option<()> {
        let [length] = self.take()?;
        let begin = self.at;
        self.skip(length.into())?;
        *changed |= make_utf8(&mut self.payload[begin..self.at]);
        Some(())
    }
}

/// Replaces each byte that is not UTF-8; returns whether there was one.
fn make_utf8(mut text: &mut [u8]) -> bool {
    let mut changed = false;
    while let Err(error) = std::str::from_utf8(text) {
        changed = true;
        let begin = error.valid_up_to();
        // `None`: the text ends in the middle of a character.
        let count = error.error_len().unwrap_or(text.len() - begin);
        text[begin..begin + count].fill(SUBSTITUTE);
        text = &mut text[begin + count..];
    }
    changed
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ContainerKind {
    Table,
    Array,
}

/// Repairs the entries of a table or array at nesting level `depth`; `None` when it is malformed and must be
/// replaced completely. Recursion ends at [`NESTING_MAX`].
fn entries(
    content: &mut [u8],
    kind: ContainerKind,
    depth: usize,
    changed: &mut Changed,
) -> Option<()> {
    let mut cursor = Cursor::of(content);
    while cursor.at < cursor.payload.len() {
        if kind == ContainerKind::Table {
            cursor.text(&mut changed.text)?;
        }
        let tag = cursor.at;
        let [type_of] = cursor.take()?;
        // RabbitMQ's types, which differ from the specification's (https://www.rabbitmq.com/docs/amqp-0-9-1-errata,
        // section 3).
        match type_of {
            b'V' => {}
            b't' | b'b' | b'B' => cursor.skip(1)?,
            b's' | b'u' | b'U' => cursor.skip(2)?,
            b'I' | b'i' | b'f' => cursor.skip(4)?,
            b'D' => cursor.skip(5)?,
            b'L' | b'l' | b'd' | b'T' => cursor.skip(8)?,
            b'S' | BYTE_ARRAY => cursor.field(Bytes, changed)?,
            b'F' | b'A' => {
                let begin = cursor.at + size_of::<u32>();
                cursor.field(Bytes, changed)?;
                let nested = &mut cursor.payload[begin..cursor.at];
                let kind = match type_of {
                    b'F' => ContainerKind::Table,
                    _ => ContainerKind::Array,
                };
                let is_deep = depth == NESTING_MAX;
                if is_deep || entries(nested, kind, depth + 1, changed).is_none() {
                    changed.nesting = true;
                    cursor.payload[tag] = BYTE_ARRAY;
                }
            }
            _ => return None,
        }
    }
    Some(())
}

/// Replaces a malformed table by one with a single byte array under an empty name, or with a name only.
fn blank(table: &mut [u8]) {
    const OVERHEAD: usize = 6;
    match table.len().checked_sub(OVERHEAD) {
        Some(rest) => {
            let length = u32::try_from(rest).unwrap_or(u32::MAX).to_be_bytes();
            table[0] = 0;
            table[1] = BYTE_ARRAY;
            table[2..OVERHEAD].copy_from_slice(&length);
        }
        None if table.len() >= 2 => {
            let last = table.len() - 1;
            table.fill(SUBSTITUTE);
            table[0] = u8::try_from(last - 1).unwrap_or(0);
            table[last] = b'V';
        }
        // A table of one byte cannot exist; no broker accepts it.
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_that_breaks_utf8_is_replaced_and_no_other() {
        let table: [(&[u8], &[u8]); 8] = [
            (b"plain", b"plain"),
            (
                "M\u{fc}ller \u{2713}".as_bytes(),
                "M\u{fc}ller \u{2713}".as_bytes(),
            ),
            (b"M\xfcller", b"M\x1aller"),
            (b"\xff\xfe", b"\x1a\x1a"),
            // Cut off in the middle of a character of three bytes.
            (b"abc\xe2\x9c", b"abc\x1a\x1a"),
            (b"\xe2\x9cabc", b"\x1a\x1aabc"),
            // A surrogate, which UTF-8 does not have.
            (b"\xed\xa0\x80", b"\x1a\x1a\x1a"),
            (b"", b""),
        ];
        for (given, expected) in table {
            let mut text = given.to_vec();
            let changed = make_utf8(&mut text);
            assert_eq!(text, expected);
            assert_eq!(changed, given != expected, "{given:?}");
            assert!(std::str::from_utf8(&text).is_ok());
        }
    }

    /// This many nested arrays.
    fn nested(levels: usize) -> Vec<u8> {
        let mut value = Vec::new();
        for _ in 0..levels {
            let length = u32::try_from(value.len()).expect("short").to_be_bytes();
            value = [&b"A"[..], &length, &value].concat();
        }
        value
    }

    #[test]
    fn the_deepest_level_that_is_kept_is_the_thirty_second() {
        for (levels, is_changed) in [(1, false), (32, false), (33, true), (2_000, true)] {
            let mut table = [&b"\x01n"[..], &nested(levels)].concat();
            let before = table.clone();
            let mut changed = Changed::default();
            entries(&mut table, ContainerKind::Table, 0, &mut changed).expect("a table");
            assert_eq!(changed.nesting, is_changed, "{levels}");
            let differ = before.iter().zip(&table).filter(|(a, b)| a != b).count();
            assert_eq!(differ, usize::from(is_changed), "{levels}");
        }
    }

    #[test]
    fn what_is_no_table_becomes_one_of_the_same_length() {
        for length in 2..40 {
            let mut table = vec![0xff; length];
            blank(&mut table);
            let mut changed = Changed::default();
            let read = entries(&mut table, ContainerKind::Table, 0, &mut changed);
            assert!(read.is_some() && changed == Changed::default(), "{length}");
        }
    }
}
