//! Reads the XML of a workbook's part, event by event.
//!
//! In: a part of the ZIP file. Out: its events. Always: the lengths of events and of joined texts and the depth of
//! elements are limited, because a file of a few kilobytes can decompress to gigabytes.

use std::borrow::Cow;
use std::io::{self, BufReader, Read};

use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use zip::read::ZipFile;

use super::super::kept::Bytes;

/// The longest event, in bytes: a cell's text has at most 32,767 characters.
const EVENT_BYTES_MAX: u64 = 1024 * 1024;

/// The longest text that is joined from several events, in bytes.
const TEXT_BYTES_MAX: usize = 1024 * 1024;

/// The deepest nesting of elements. A sheet has six levels.
const DEPTH_MAX: usize = 64;

/// Why a workbook cannot be read.
#[derive(Debug)]
pub(super) enum Fault {
    Io(io::Error),
    /// A sentence for the operator.
    Refused(String),
}

/// A part's events.
pub(super) struct Xml<'a> {
    reader: Reader<BufReader<Guard<ZipFile<'a, BufReader<Bytes>>>>>,
    buffer: Vec<u8>,
    depth: usize,
}

/// Stops reading within an event that is too long.
struct Guard<R> {
    inner: R,
    /// The number of bytes since the last event.
    since: u64,
}

impl<'a> Xml<'a> {
    pub(super) fn of(part: ZipFile<'a, BufReader<Bytes>>) -> Self {
        let guard = Guard {
            inner: part,
            since: 0,
        };
        let mut reader = Reader::from_reader(BufReader::new(guard));
        let config = reader.config_mut();
        config.expand_empty_elements = true;
        config.check_end_names = false;
        Self {
            reader,
            buffer: Vec::new(),
            depth: 0,
        }
    }

    pub(super) fn next(&mut self) -> Result<Event<'_>, Fault> {
        self.buffer.clear();
        self.reader.get_mut().get_mut().since = 0;
        let event = self
            .reader
            .read_event_into(&mut self.buffer)
            .map_err(damaged)?;
        match &event {
            Event::Start(_) if self.depth == DEPTH_MAX => {
                let why = format!("it has elements that are nested more than {DEPTH_MAX} deep");
                return Err(Fault::Refused(why));
            }
            Event::Start(_) => self.depth += 1,
            Event::End(_) => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        Ok(event)
    }
}

impl<R: Read> Read for Guard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.since > EVENT_BYTES_MAX {
            let why = format!("a value in it is longer than {EVENT_BYTES_MAX} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        let count = self.inner.read(buffer)?;
        self.since += count as u64;
        Ok(count)
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The value of an element's attribute, by its name without a prefix.
pub(super) fn attribute<'e>(element: &'e BytesStart<'_>, name: &str) -> Option<Cow<'e, str>> {
    let mut attributes = element.attributes();
    let mut attributes = attributes.with_checks(false).flatten();
    let found = attributes.find(|attribute| attribute.key.local_name().as_ref() == name)?;
    found.normalized_value(XmlVersion::Implicit1_0).ok()
}

/// Whether an attribute is true.
pub(super) fn is_set(element: &BytesStart<'_>, name: &str) -> bool {
    attribute(element, name).is_some_and(|value| ["1", "true", "on"].contains(&&*value))
}

/// Appends an event's text.
pub(super) fn add_text(text: &mut String, event: &Event<'_>) -> Result<(), Fault> {
    match event {
        Event::Text(part) => text.push_str(&part.xml10_content()),
        Event::CData(part) => text.push_str(&part.xml10_content()),
        Event::GeneralRef(part) => text.push_str(&referred(part)?),
        _ => {}
    }
    if text.len() > TEXT_BYTES_MAX {
        return Err(Fault::Refused(format!(
            "a text in it is longer than {TEXT_BYTES_MAX} bytes"
        )));
    }
    Ok(())
}

fn referred(part: &BytesRef<'_>) -> Result<String, Fault> {
    if let Some(entity) = quick_xml::escape::resolve_xml_entity(part) {
        return Ok(entity.to_owned());
    }
    let found = part.resolve_char_ref().map_err(damaged)?;
    let unknown = || Fault::Refused("it is damaged: it refers to an unknown entity".to_owned());
    found.map(String::from).ok_or_else(unknown)
}

/// Appends a text in which `_x000D_` stands for a character, as in workbooks.
pub(super) fn add_unescaped(text: &mut String, mut escaped: &str) {
    while let Some(at) = escaped.find("_x") {
        let code = escaped
            .get(at + 2..at + 6)
            .filter(|_| escaped[at..].get(6..7) == Some("_"));
        let is_hex = |code: &&str| code.bytes().all(|byte| byte.is_ascii_hexdigit());
        let code = code
            .filter(is_hex)
            .and_then(|code| u32::from_str_radix(code, 16).ok());
        let (before, after) = escaped.split_at(at);
        text.push_str(before);
        match code {
            Some(code) => {
                text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                escaped = &after[7..];
            }
            None => {
                text.push_str("_x");
                escaped = &after[2..];
            }
        }
    }
    text.push_str(escaped);
}

fn damaged(error: quick_xml::Error) -> Fault {
    match error {
        quick_xml::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            Fault::Refused(error.to_string())
        }
        error => Fault::Refused(format!("it is damaged: {error}")),
    }
}
