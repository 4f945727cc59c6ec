//! The records of a file: a header, then rows, each with its first line.
//!
//! In: a source. Out: its non-empty records, with the faults in their quotes. Always: a record that is too large
//! for memory ends the reading with its line.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use csv::{ReaderBuilder, StringRecord};

use super::header::{ABOVE_MAX, header_among};
use super::lines::LineReader;
use super::quotes::{CELLS_MAX, ROW_BYTES_MAX, RowPlace, TooBig};
use super::source::Source;
use crate::intake::IntakeError;

/// The size of one read, in bytes.
const BUFFER_BYTES: usize = 64 * 1024;

/// The most bytes that are held in the search for the header.
const ABOVE_BYTES_MAX: usize = 1024 * 1024;

/// A file's records from its beginning.
pub(in crate::intake) struct Records {
    source: Arc<Source>,
    csv: csv::Reader<LineReader<Box<dyn Read + Send>>>,
}

/// A header, and the number of records above it.
pub(in crate::intake) struct Header {
    pub(in crate::intake) cells: Vec<String>,
    pub(in crate::intake) above: usize,
}

impl Records {
    pub(in crate::intake) fn of(source: Arc<Source>) -> Result<Self, IntakeError> {
        let text = source.text();
        let text = text.map_err(|error| unreadable(&source.path, error))?;
        let delimiter = source.delimiter.byte;
        let csv = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .buffer_capacity(BUFFER_BYTES)
            .from_reader(LineReader::new(text, delimiter));
        let mut records = Self { source, csv };
        if records.source.delimiter.has_sep_line {
            records.next(&mut StringRecord::new())?;
        }
        Ok(records)
    }

    /// The records below the header, which has `above` records above it.
    pub(in crate::intake) fn below(source: Arc<Source>, above: usize) -> Result<Self, IntakeError> {
        let mut records = Self::of(source)?;
        let mut record = StringRecord::new();
        for _ in 0..=above {
            records.next(&mut record)?;
        }
        Ok(records)
    }

    /// Finds the header among the first records; `None` in an empty file.
    pub(in crate::intake) fn header(
        mut self,
        names_an_address: impl Fn(&[String]) -> bool,
    ) -> Result<Option<Header>, IntakeError> {
        let mut record = StringRecord::new();
        let (mut rows, mut places) = (Vec::new(), Vec::new());
        let mut bytes = 0;
        while rows.len() <= ABOVE_MAX && bytes <= ABOVE_BYTES_MAX {
            let Some(place) = self.next(&mut record)? else {
                break;
            };
            bytes += record.as_slice().len() + record.len();
            rows.push(record.iter().map(str::to_owned).collect::<Vec<String>>());
            places.push(place);
        }
        let at = header_among(rows.iter().map(Vec::as_slice), names_an_address);
        let Some(place) = places.get(at) else {
            return Ok(None);
        };
        if let Some(wrong) = place.wrong {
            return Err(IntakeError::NotText {
                path: self.source.path.clone(),
                line: place.line,
                why: format!("in the header {}", place.detail(wrong)),
            });
        }
        Ok(Some(Header {
            cells: rows.swap_remove(at),
            above: at,
        }))
    }

    /// Reads the next non-empty record.
    pub(in crate::intake) fn next(
        &mut self,
        record: &mut StringRecord,
    ) -> Result<Option<RowPlace>, IntakeError> {
        loop {
            let read = self.csv.read_record(record);
            if let Some(too_big) = self.csv.get_ref().too_big() {
                return Err(self.refusal(too_big));
            }
            match read {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(error) => return Err(unreadable(&self.source.path, error.into())),
            }
            let place = self.csv.get_mut().row();
            let is_right = place.is_none_or(|place| place.wrong.is_none());
            if is_right && record.iter().all(|cell| cell.trim().is_empty()) {
                continue;
            }
            let Some(mut place) = place else {
                let error = io::Error::other("a row without a place");
                return Err(unreadable(&self.source.path, error));
            };
            if let Some(sheet) = &self.source.sheet {
                let number = record.position().map_or(0, csv::Position::record);
                place.line = sheet.row(number);
                place.last_line = place.line;
            }
            return Ok(Some(place));
        }
    }

    fn refusal(&self, too_big: TooBig) -> IntakeError {
        let path = self.source.path.clone();
        match too_big {
            TooBig::Long { line } => IntakeError::RowTooLong {
                path,
                line,
                max_mib: ROW_BYTES_MAX / (1024 * 1024),
            },
            TooBig::Wide { line } => IntakeError::RowTooWide {
                path,
                line,
                max: CELLS_MAX,
            },
        }
    }
}

fn unreadable(path: &Path, source: io::Error) -> IntakeError {
    IntakeError::Unreadable {
        path: path.into(),
        source,
    }
}
