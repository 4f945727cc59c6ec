//! Reads a file of contacts, row by row.
//!
//! In: a path, and the campaign's settings for numbers and columns. Out: an iterator of [`Row`]s. Always: memory
//! does not grow with the file; a file that cannot be decoded completely is refused before its first row; lines
//! below the table are not rows.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use csv::StringRecord;

use super::contact::RowReader;
use super::survey::survey;
use crate::intake::file::blanks;
use crate::intake::file::joined::Joined;
use crate::intake::file::kept::Kept;
use crate::intake::file::quotes::{RowFault, RowPlace};
use crate::intake::file::records::Records;
use crate::intake::file::source::Source;
use crate::intake::{
    Columns, Contact, ContactsOptions, Field, IntakeError, Origin, Rejection, Warning,
};
use crate::message::RejectReason;
use crate::numbers::{self, Plus};

/// The most lines that are held back to see whether a row of the table follows.
const FOOTERS_MAX: usize = 20;

/// One row of the file.
#[derive(Clone, Debug)]
pub struct Row {
    /// The first physical line of the row, counted from 1; in a workbook, the row of the sheet.
    pub line: u64,
    pub outcome: Result<Contact, Rejection>,
    /// Corrections of an accepted row.
    pub warnings: Vec<Warning>,
    /// All cells, as in the file.
    pub(in crate::intake) cells: StringRecord,
}

impl Row {
    /// All cells, as in the file, including those without a field.
    pub fn cells(&self) -> impl Iterator<Item = &str> {
        self.cells.iter()
    }
}

/// The rows of a file. An `Err` concerns the whole file and is the last item.
pub struct Contacts {
    source: Arc<Source>,
    rows: Arc<RowReader>,
    records: Records,
    /// The number of records above the header.
    above: usize,
    record: StringRecord,
    /// Rows that were read and not returned yet.
    ready: VecDeque<Row>,
    /// Lines below the table, unless another row follows.
    footers: VecDeque<Row>,
    is_over: bool,
    /// The value of `--default-region`, for this file or for the file whose rejects it contains.
    region_told: Option<String>,
}

impl Contacts {
    /// Opens a file, reads its header and checks that a row follows. A row of empty cells does not count.
    ///
    /// # Errors
    ///
    /// [`IntakeError`] when the file has no rows or its columns cannot be determined.
    pub fn open(path: &Path, options: &ContactsOptions) -> Result<Self, IntakeError> {
        Self::of(&Arc::new(Kept::of(path)?), options)
    }

    pub(in crate::intake) fn of(
        kept: &Arc<Kept>,
        options: &ContactsOptions,
    ) -> Result<Self, IntakeError> {
        let find =
            |headers: &[String]| Columns::find(headers.to_vec(), options.channel, &options.map);
        let path = kept.named().to_path_buf();
        let exact = |headers: &[String]| {
            let columns = find(headers).ok()?;
            let fields = [Field::Address, Field::Id].into_iter();
            let exact = fields.flat_map(|field| columns.all_of(field).iter().copied());
            Some(exact.collect())
        };
        let source = Arc::new(Source::open(kept, options, &exact)?);
        let records = Records::of(Arc::clone(&source))?;
        let Some(header) = records.header(|row| exact(row).is_some())? else {
            return Err(IntakeError::Empty { path });
        };
        let columns = find(&header.cells)?;
        let mut rows = RowReader {
            channel: options.channel,
            default_region: default_region(options, &columns)?,
            columns,
            default_agent: options.default_agent.clone(),
            plus: Plus::Kept,
        };
        rows.plus = survey(Records::below(Arc::clone(&source), header.above)?, &rows)?;
        let kept = rows.columns.origin();
        let kept = kept.and_then(|origin| origin.default_region.clone());
        let region_told = options.region_told.clone().or(kept);
        let mut contacts = Self::over(source, Arc::new(rows), header.above)?;
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
    /// [`IntakeError`] when the file can no longer be read.
    pub fn again(&self) -> Result<Self, IntakeError> {
        let mut again = Self::over(self.source.clone(), self.rows.clone(), self.above)?;
        again.region_told.clone_from(&self.region_told);
        Ok(again)
    }

    fn over(source: Arc<Source>, rows: Arc<RowReader>, above: usize) -> Result<Self, IntakeError> {
        Ok(Self {
            records: Records::below(Arc::clone(&source), above)?,
            source,
            rows,
            above,
            record: StringRecord::new(),
            ready: VecDeque::new(),
            footers: VecDeque::new(),
            is_over: false,
            region_told: None,
        })
    }

    /// The mapping of columns to fields, for previews and notes.
    #[must_use]
    pub fn columns(&self) -> &Columns {
        &self.rows.columns
    }

    /// The path as the operator wrote it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.source.path
    }

    /// The detected form of the file: its encoding and separator, or its sheet.
    #[must_use]
    pub fn shape(&self) -> String {
        self.source.to_string()
    }

    /// Notes about the columns for the operator before the import.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes = self.rows.columns.notes().to_vec();
        if self.above > 0 {
            notes.push(format!(
                "rows above the header that are not read: {}",
                self.above
            ));
        }
        let sheet = self.source.sheet.iter();
        notes.extend(sheet.flat_map(|sheet| sheet.notes.iter().cloned()));
        if self.rows.plus == Plus::Lost {
            let note = "the numbers seem to have lost their +: most of those without one read as \
                        international, and those that do are read so";
            notes.push(note.to_owned());
        }
        notes
    }

    /// Calls `each` for every record below the header, without any check of it.
    pub(super) fn each_record(
        &self,
        each: &mut dyn FnMut(u64, &StringRecord),
    ) -> Result<(), IntakeError> {
        let mut records = Records::below(Arc::clone(&self.source), self.above)?;
        let mut record = StringRecord::new();
        while let Some(place) = records.next(&mut record)? {
            each(place.line, &record);
        }
        Ok(())
    }

    /// The settings that read this file, for its file of rejects.
    pub(in crate::intake) fn told(&self) -> Origin {
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

    /// The number of lines below the table, once all rows were returned.
    #[must_use]
    pub fn footers(&self) -> u64 {
        if self.is_over {
            self.footers.len() as u64
        } else {
            0
        }
    }

    /// A text of all settings that influence how rows are read; only for comparisons.
    pub(in crate::intake) fn reading(&self) -> String {
        format!("{}\n{:?}", self.source, self.rows)
    }

    pub(in crate::intake) fn kept(&self) -> &Kept {
        &self.source.kept
    }

    /// The separator for a file of the same form, and whether it needs a byte order mark.
    pub(in crate::intake) fn dialect(&self) -> (u8, bool) {
        let is_sheet = self.source.sheet.is_some();
        (
            self.source.delimiter.byte,
            is_sheet || self.source.encoding.wants_bom(),
        )
    }

    /// Reads until a row is ready or the file ends.
    fn fill(&mut self) -> Result<(), IntakeError> {
        while self.ready.is_empty() && !self.is_over {
            let Some(place) = self.records.next(&mut self.record)? else {
                self.is_over = true;
                return Ok(());
            };
            let is_sheet = self.source.sheet.is_some();
            let may_be_footer = match place.wrong {
                None => true,
                // It may be a report's name in quotes.
                Some(wrong) => wrong == RowFault::QuoteInside && place.line == place.last_line,
            };
            let is_footer = may_be_footer && self.rows.is_like_a_footer(&self.record, is_sheet);
            let row = self.read(place);
            if is_footer && self.footers.len() < FOOTERS_MAX {
                self.footers.push_back(row);
            } else {
                self.ready.append(&mut self.footers);
                self.ready.push_back(row);
            }
        }
        Ok(())
    }

    fn read(&self, place: RowPlace) -> Row {
        let line = place.line;
        let read = match self.misfit(place) {
            // Its cells are not safe to read.
            Some(detail) => Err(Rejection {
                line,
                id: None,
                column: None,
                reason: RejectReason::RowMalformed,
                detail,
            }),
            None => self.read_cells(line),
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

    fn read_cells(&self, line: u64) -> Result<(Contact, Vec<Warning>), Rejection> {
        let columns = &self.rows.columns;
        let is_field = |at: usize| {
            let mut fields = Field::ALL.iter().flat_map(|field| columns.all_of(*field));
            fields.any(|field| *field == at) || columns.name_parts().contains(&at)
        };
        let Some(record) = blanks::without(&self.record, is_field) else {
            return self.rows.read(line, &self.record);
        };
        let (contact, mut warnings) = self.rows.read(line, &record)?;
        warnings.push(Warning::ValueLeftOut);
        Ok((contact, warnings))
    }

    /// The fault in a row's quotes and line breaks that makes its cells unsafe.
    fn misfit(&self, place: RowPlace) -> Option<String> {
        if let Some(wrong) = place.wrong {
            return Some(place.detail(wrong));
        }
        let (line, last) = (place.line, place.last_line);
        if line == last {
            return None;
        }
        let columns = &self.rows.columns;
        let joined = Joined {
            channel: self.rows.channel,
            delimiter: char::from(self.source.delimiter.byte),
            address: columns.at(Field::Address)?,
            columns: columns.headers().len(),
        };
        joined.is_joined(&self.record).then(|| {
            format!(
                "a quoted cell has lines {line} to {last} and looks like several rows: a quote may be missing, and none \
                 of these lines was imported; if it is one cell, remove its line breaks"
            )
        })
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
