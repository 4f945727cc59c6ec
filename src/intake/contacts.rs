//! A file of contacts, row by row.
//!
//! In: a path, and what the campaign says about numbers and columns. Out: an iterator of [`Row`]s.
//! Always: memory does not grow with the file; a file that cannot be decoded from end to end is
//! refused before its first row is handed out; what stands below the table is no row.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use csv::{ReaderBuilder, StringRecord};

use super::contact::RowReader;
use super::kept::Kept;
use super::lines::{LineReader, ROW_BYTES_MAX};
use super::source::Source;
use super::survey::survey;
use super::{Columns, Contact, Field, IntakeError, Origin, Rejection, Warning};
use crate::message::{Channel, RejectReason};
use crate::numbers::{self, Plus};

/// How much of the file is read at once, in bytes.
const BUFFER_BYTES: usize = 64 * 1024;

/// How many lines below a table are kept back, to see whether a row of it follows.
const FOOTERS_MAX: usize = 20;

/// How a campaign reads a file.
#[derive(Clone, Debug)]
pub struct ContactsOptions {
    /// Decides what an address is.
    pub channel: Channel,
    /// The campaign's country of numbers without a country code and rows without a country.
    pub default_region: Option<String>,
    /// What `--default-region` says: before the campaign, and before what a file of rejects was read with.
    pub region_told: Option<String>,
    /// What `--map` says, in order: the header of a field, or an empty text for no column.
    pub map: Vec<(Field, String)>,
    /// The agent of rows that name none.
    pub default_agent: Option<String>,
    /// The file's encoding by its label, such as `windows-1252`; without one it is found.
    pub encoding: Option<String>,
    /// What separates columns; without it that is found.
    pub delimiter: Option<u8>,
    /// The workbook's sheet; without one the first.
    pub sheet: Option<String>,
}

impl ContactsOptions {
    /// Options under which everything is found.
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        Self {
            channel,
            default_region: None,
            region_told: None,
            map: Vec::new(),
            default_agent: None,
            encoding: None,
            delimiter: None,
            sheet: None,
        }
    }
}

/// One row of the file.
#[derive(Clone, Debug)]
pub struct Row {
    /// The physical line it begins on, counted from 1; the row of a sheet.
    pub line: u64,
    pub outcome: Result<Contact, Rejection>,
    /// What was changed about a row that was accepted.
    pub warnings: Vec<Warning>,
    /// Its cells, as the file has them.
    pub(super) cells: StringRecord,
}

/// The rows of a file. An `Err` is about the file itself, and the last item.
pub struct Contacts {
    source: Arc<Source>,
    rows: Arc<RowReader>,
    csv: Csv,
    record: StringRecord,
    /// Rows that were read and not handed out.
    ready: VecDeque<Row>,
    /// Lines that stand below the table, unless another row follows.
    footers: VecDeque<Row>,
    is_over: bool,
    /// What `--default-region` said, for this file or for the one that it is the rejects of.
    region_told: Option<String>,
}

pub(super) type Csv = csv::Reader<LineReader<Box<dyn Read + Send>>>;

impl Contacts {
    /// Opens a file, reads its header and looks whether there is a row below it. A row whose cells
    /// are all empty is none.
    ///
    /// # Errors
    ///
    /// [`IntakeError`] when the file has nothing to offer or its columns cannot be told.
    pub fn open(path: &Path, options: &ContactsOptions) -> Result<Self, IntakeError> {
        Self::of(&Arc::new(Kept::of(path)?), options)
    }

    pub(super) fn of(kept: &Arc<Kept>, options: &ContactsOptions) -> Result<Self, IntakeError> {
        let find =
            |headers: &[String]| Columns::find(headers.to_vec(), options.channel, &options.map);
        let path = kept.named().to_path_buf();
        let source = Source::open(kept, options, |headers| find(headers).is_ok())?;
        let mut csv = reader(&source)?;
        let Some(record) = header(&source, &mut csv)? else {
            return Err(IntakeError::Empty { path });
        };
        let headers: Vec<String> = record.iter().map(str::to_owned).collect();
        let columns = find(&headers)?;
        let mut rows = RowReader {
            channel: options.channel,
            default_region: default_region(options, &columns)?,
            columns,
            default_agent: options.default_agent.clone(),
            plus: Plus::Kept,
        };
        rows.plus = survey(&source, &rows)?;
        let kept = rows.columns.origin();
        let kept = kept.and_then(|origin| origin.default_region.clone());
        let region_told = options.region_told.clone().or(kept);
        let mut contacts = Self::over(Arc::new(source), Arc::new(rows), csv);
        contacts.region_told = region_told;
        contacts.fill()?;
        if contacts.ready.is_empty() {
            return Err(IntakeError::NoRows { path });
        }
        Ok(contacts)
    }

    /// The same rows from the beginning.
    ///
    /// # Errors
    ///
    /// [`IntakeError`] when the file cannot be read any more.
    pub fn again(&self) -> Result<Self, IntakeError> {
        let mut csv = reader(&self.source)?;
        header(&self.source, &mut csv)?;
        let mut again = Self::over(self.source.clone(), self.rows.clone(), csv);
        again.region_told = self.region_told.clone();
        Ok(again)
    }

    fn over(source: Arc<Source>, rows: Arc<RowReader>, csv: Csv) -> Self {
        Self {
            source,
            rows,
            csv,
            record: StringRecord::new(),
            ready: VecDeque::new(),
            footers: VecDeque::new(),
            is_over: false,
            region_told: None,
        }
    }

    /// Which column holds what: for a preview, and for what a note says about the choice.
    #[must_use]
    pub fn columns(&self) -> &Columns {
        &self.rows.columns
    }

    /// The file as the operator named it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.source.path
    }

    /// What the file was taken for: its encoding and what separates its columns, or its sheet.
    #[must_use]
    pub fn shape(&self) -> String {
        self.source.to_string()
    }

    /// What an operator should know about the columns before anything is sent.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes = self.rows.columns.notes().to_vec();
        if self.rows.plus == Plus::Lost {
            let note = "the numbers seem to have lost their +: most of those without one read as \
                        international, and those that do are read so";
            notes.push(note.to_owned());
        }
        notes
    }

    /// Reads every record below the header, without judging it.
    pub(super) fn each_record(
        &self,
        each: &mut dyn FnMut(u64, &StringRecord),
    ) -> Result<(), IntakeError> {
        let mut csv = reader(&self.source)?;
        header(&self.source, &mut csv)?;
        let mut record = StringRecord::new();
        while let Some(line) = next_record(&self.source, &mut csv, &mut record)? {
            each(line, &record);
        }
        Ok(())
    }

    /// How it was read, for a file of its rejected rows.
    pub(super) fn told(&self) -> Origin {
        Origin {
            of: None,
            map: self.rows.columns.told().to_vec(),
            default_region: self.region_told.clone(),
            is_export: self
                .rows
                .columns
                .origin()
                .is_some_and(|origin| origin.is_export),
        }
    }

    /// Lines found below the table, once all rows were handed out.
    #[must_use]
    pub fn footers(&self) -> u64 {
        if self.is_over {
            self.footers.len() as u64
        } else {
            0
        }
    }

    /// What decides how its rows are read: for comparison alone.
    pub(super) fn reading(&self) -> String {
        format!("{}\n{:?}", self.source, self.rows)
    }

    pub(super) fn kept(&self) -> &Kept {
        &self.source.kept
    }

    /// How a file of the same kind is written.
    pub(super) fn dialect(&self) -> (u8, bool) {
        let is_sheet = self.source.sheet.is_some();
        (
            self.source.delimiter.byte,
            is_sheet || self.source.encoding.wants_bom(),
        )
    }

    /// Reads on until a row can be handed out, or the file ends.
    fn fill(&mut self) -> Result<(), IntakeError> {
        while self.ready.is_empty() && !self.is_over {
            let Some(line) = next_record(&self.source, &mut self.csv, &mut self.record)? else {
                self.is_over = true;
                return Ok(());
            };
            let is_sheet = self.source.sheet.is_some();
            let is_footer =
                !self.is_quote_open() && self.rows.is_like_a_footer(&self.record, is_sheet);
            let row = self.read(line);
            if is_footer && self.footers.len() < FOOTERS_MAX {
                self.footers.push_back(row);
            } else {
                self.ready.append(&mut self.footers);
                self.ready.push_back(row);
            }
        }
        Ok(())
    }

    fn is_quote_open(&self) -> bool {
        let last_cell = self.record.iter().next_back().unwrap_or_default();
        self.csv.get_ref().is_quote_open(last_cell)
    }

    fn read(&self, line: u64) -> Row {
        let read = if self.is_quote_open() {
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
        Row {
            line,
            outcome,
            warnings,
            cells: self.record.clone(),
        }
    }
}

impl Iterator for Contacts {
    type Item = Result<Row, IntakeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Err(error) = self.fill() {
            self.is_over = true;
            self.footers.clear();
            return Some(Err(error));
        }
        self.ready.pop_front().map(Ok)
    }
}

fn default_region(
    options: &ContactsOptions,
    columns: &Columns,
) -> Result<Option<numbers::Region>, IntakeError> {
    let kept = columns
        .origin()
        .and_then(|origin| origin.default_region.as_ref());
    let told = options.region_told.as_ref().or(kept);
    let Some(code) = told.or(options.default_region.as_ref()) else {
        return Ok(None);
    };
    let region = numbers::country(code).ok_or_else(|| IntakeError::NoSuchRegion {
        region: code.clone(),
    })?;
    Ok(Some(region))
}

pub(super) fn reader(source: &Source) -> Result<Csv, IntakeError> {
    let text = source
        .text()
        .map_err(|error| unreadable(&source.path, error))?;
    Ok(ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(source.delimiter.byte)
        .buffer_capacity(BUFFER_BYTES)
        .from_reader(LineReader::new(text)))
}

/// Reads the header, and the line `sep=;` above it.
pub(super) fn header(source: &Source, csv: &mut Csv) -> Result<Option<StringRecord>, IntakeError> {
    let mut record = StringRecord::new();
    if source.delimiter.has_sep_line {
        next_record(source, csv, &mut record)?;
    }
    let line = next_record(source, csv, &mut record)?;
    Ok(line.map(|_| record))
}

/// Reads on to the next record that is not empty, and gives the line it begins on.
pub(super) fn next_record(
    source: &Source,
    csv: &mut Csv,
    record: &mut StringRecord,
) -> Result<Option<u64>, IntakeError> {
    loop {
        match csv.read_record(record) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(_) if csv.get_ref().is_row_too_long() => {
                return Err(IntakeError::RowTooLong {
                    path: source.path.clone(),
                    line: csv.get_mut().line_after(),
                    max_mib: ROW_BYTES_MAX / (1024 * 1024),
                });
            }
            Err(error) => return Err(unreadable(&source.path, error.into())),
        }
        let position = record.position();
        let line = csv
            .get_mut()
            .line_of(position.map_or(0, csv::Position::byte));
        if record.iter().any(|cell| !cell.trim().is_empty()) {
            // A sheet's rows are records, whatever lines their cells have.
            let row = position.map_or(0, csv::Position::record) + 1;
            return Ok(Some(if source.sheet.is_some() { row } else { line }));
        }
    }
}

fn unreadable(path: &Path, source: io::Error) -> IntakeError {
    IntakeError::Unreadable {
        path: PathBuf::from(path),
        source,
    }
}
