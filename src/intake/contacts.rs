//! A CSV file, row by row.
//!
//! In: a path, and what the campaign says about numbers and columns. Out: an iterator of [`Row`]s.
//! Always: memory does not grow with the file, and a file that is not UTF-8 is refused before its
//! first row is handed out.

use std::fs::File;
use std::io::{self, Seek};
use std::path::{Path, PathBuf};

use csv::{ErrorKind, ReaderBuilder, StringRecord};

use super::contact::RowReader;
use super::lines::LineReader;
use super::utf8::{NotUtf8, first_not_utf8};
use super::{Columns, Contact, Field, IntakeError, Rejection, Warning, phone};
use crate::message::{Channel, RejectReason};

/// How much of the file is read at once, in bytes.
const BUFFER_BYTES: usize = 64 * 1024;

/// How a campaign reads a file.
#[derive(Clone, Debug)]
pub struct ContactsOptions {
    /// Decides what an address is.
    pub channel: Channel,
    /// Two letters: the country of numbers without a country code and rows without a country.
    pub default_region: Option<String>,
    /// What `--map` says, in order: the header of a field, or an empty text for no column.
    pub map: Vec<(Field, String)>,
    /// The agent of rows that name none.
    pub default_agent: Option<String>,
}

/// One row of the file.
#[derive(Clone, Debug)]
pub struct Row {
    /// The physical line it begins on, counted from 1.
    pub line: u64,
    pub outcome: Result<Contact, Rejection>,
    /// What was changed about a row that was accepted.
    pub warnings: Vec<Warning>,
}

/// The rows of a file. An `Err` is about the file itself, and the last item.
pub struct Contacts {
    path: PathBuf,
    csv: csv::Reader<LineReader<File>>,
    rows: RowReader,
    /// The first row, read to see that there is one.
    first: Option<Row>,
    record: StringRecord,
    is_over: bool,
}

impl Contacts {
    /// Opens a file, reads its header and looks whether there is a row below it. A row whose cells
    /// are all empty is none.
    ///
    /// # Errors
    ///
    /// [`IntakeError`] when the file has nothing to offer or its columns cannot be told.
    pub fn open(path: &Path, options: &ContactsOptions) -> Result<Self, IntakeError> {
        let default_region = default_region(options)?;
        let mut csv = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(BUFFER_BYTES)
            .from_reader(LineReader::new(open_utf8(path)?));
        let mut record = StringRecord::new();
        if next_record(&mut csv, &mut record, path)?.is_none() {
            return Err(IntakeError::Empty { path: path.into() });
        }
        let headers = record.iter().map(str::to_owned).collect();
        let mut contacts = Self {
            path: path.into(),
            csv,
            rows: RowReader {
                columns: Columns::find(headers, options.channel, &options.map)?,
                channel: options.channel,
                default_region,
                default_agent: options.default_agent.clone(),
            },
            first: None,
            record,
            is_over: false,
        };
        contacts.first = contacts.read()?;
        match contacts.first {
            Some(_) => Ok(contacts),
            None => Err(IntakeError::NoRows { path: path.into() }),
        }
    }

    /// Which column holds what: for a preview, and for what a note says about the choice.
    #[must_use]
    pub fn columns(&self) -> &Columns {
        &self.rows.columns
    }

    fn read(&mut self) -> Result<Option<Row>, IntakeError> {
        let Some(line) = next_record(&mut self.csv, &mut self.record, &self.path)? else {
            return Ok(None);
        };
        let last_cell = self.record.iter().next_back().unwrap_or_default();
        let read = if self.csv.get_ref().is_quote_open(last_cell) {
            Err(Rejection {
                line,
                column: None,
                reason: RejectReason::RowMalformed,
                detail: "a quote opens in this row and never closes: the rows below went into it"
                    .to_owned(),
            })
        } else {
            self.rows.read(line, &self.record)
        };
        let (outcome, warnings) = match read {
            Ok((contact, warnings)) => (Ok(contact), warnings),
            Err(rejection) => (Err(rejection), Vec::new()),
        };
        Ok(Some(Row {
            line,
            outcome,
            warnings,
        }))
    }
}

impl Iterator for Contacts {
    type Item = Result<Row, IntakeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(row) = self.first.take() {
            return Some(Ok(row));
        }
        if self.is_over {
            return None;
        }
        let row = self.read().transpose();
        self.is_over = !matches!(row, Some(Ok(_)));
        row
    }
}

fn default_region(options: &ContactsOptions) -> Result<Option<phone::Region>, IntakeError> {
    let Some(code) = &options.default_region else {
        return Ok(None);
    };
    let region = phone::region(code).ok_or_else(|| IntakeError::NoSuchRegion {
        region: code.clone(),
    })?;
    Ok(Some(region))
}

/// Reads on to the next record that is not empty, and gives the line it begins on.
fn next_record(
    csv: &mut csv::Reader<LineReader<File>>,
    record: &mut StringRecord,
    path: &Path,
) -> Result<Option<u64>, IntakeError> {
    loop {
        let more = match csv.read_record(record) {
            Ok(more) => more,
            // Only where the file could not be read twice, or changed in between.
            Err(error) if matches!(error.kind(), ErrorKind::Utf8 { .. }) => {
                let offset = error.position().map_or(0, csv::Position::byte);
                let line = csv.get_mut().line_of(offset);
                return Err(not_utf8(
                    path,
                    &NotUtf8 {
                        line,
                        offset,
                        byte: None,
                    },
                ));
            }
            Err(error) => return Err(unreadable(path, error.into())),
        };
        if !more {
            return Ok(None);
        }
        if record.iter().any(|cell| !cell.trim().is_empty()) {
            let offset = record.position().map_or(0, csv::Position::byte);
            return Ok(Some(csv.get_mut().line_of(offset)));
        }
    }
}

fn unreadable(path: &Path, source: io::Error) -> IntakeError {
    IntakeError::Unreadable {
        path: path.into(),
        source,
    }
}

fn not_utf8(path: &Path, found: &NotUtf8) -> IntakeError {
    IntakeError::NotUtf8 {
        path: path.into(),
        line: found.line,
        byte: found.byte,
        offset: found.offset,
        hint: found.hint(),
    }
}

/// Opens the file, and reads it through once where it can be read twice: no row is accepted of a
/// file whose later rows cannot be read.
fn open_utf8(path: &Path) -> Result<File, IntakeError> {
    let unreadable = |source| unreadable(path, source);
    let mut file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(unreadable(io::ErrorKind::IsADirectory.into()));
    }
    if metadata.is_file() {
        if let Some(found) = first_not_utf8(&file).map_err(unreadable)? {
            return Err(not_utf8(path, &found));
        }
        file.rewind().map_err(unreadable)?;
    }
    Ok(file)
}
