//! The table in a sheet: its header, its columns, and its rows as CSV.
//!
//! In: the sheet's cells. Out: the header and the rows below it in a file, and notes on ignored cells. Always: a
//! written row has a value below the header; cells above or beside the table are reported; a file that exceeds its
//! limit on disk is an error.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use csv::Writer;

use super::super::blanks::NOT_CALCULATED;
use super::super::header::{ABOVE_MAX, header_among};
use super::cells::{Cell, CellValue, SheetCells, name};
use super::parts::SharedStrings;
use super::shown::Formats;
use super::xml::Fault;

/// The longest text of a row, in bytes.
const ROW_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The most bytes that are held in the search for the header.
const ABOVE_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The most consecutive columns without a header within a table.
const GAP_MAX: usize = 2;

/// Writes a sheet's table to a file.
pub(super) struct SheetTable<'e> {
    csv: Writer<BufWriter<Bounded>>,
    exact: &'e dyn Fn(&[String]) -> Option<Vec<usize>>,
    /// The first rows, until the header is found.
    above: Vec<SheetRow>,
    above_bytes: usize,
    /// The table's columns, once the header is found.
    span: Option<Span>,
    written: u64,
    rows: Vec<(u64, u64)>,
    found: SheetFindings,
}

/// A table that was written.
pub(super) struct WrittenTable {
    pub(super) text: File,
    pub(super) rows: Vec<(u64, u64)>,
    pub(super) notes: Vec<String>,
}

/// The columns of a table, counted from 0.
struct Span {
    first: usize,
    last: usize,
    /// Columns in which every digit counts.
    exact: Vec<usize>,
}

/// A row of the sheet.
#[derive(Default)]
struct SheetRow {
    /// Counted from 0.
    number: u32,
    is_hidden: bool,
    cells: Vec<CellText>,
    bytes: usize,
}

/// A cell as text.
struct CellText {
    column: usize,
    shown: String,
    /// Every digit of a number.
    exact: Option<String>,
}

/// The facts about a sheet that become notes.
#[derive(Default)]
struct SheetFindings {
    above: usize,
    hidden: u64,
    not_calculated: u64,
    beside: u64,
    /// The first cell beside the table.
    beside_at: Option<String>,
}

/// Whether a sheet's table has a column of addresses, by its first rows. Errors are ignored here; they are reported
/// when the sheet is read.
pub(super) fn has_addresses(
    cells: &mut SheetCells<'_>,
    texts: &SharedStrings,
    formats: &Formats,
    exact: &dyn Fn(&[String]) -> Option<Vec<usize>>,
) -> bool {
    let (mut rows, mut row) = (Vec::new(), SheetRow::default());
    let mut bytes = 0;
    while let Ok(Some(cell)) = cells.next() {
        if cell.row != row.number {
            bytes += row.bytes;
            rows.push(std::mem::take(&mut row).dense());
            row.number = cell.row;
        }
        if rows.len() > 2 * ABOVE_MAX || bytes > ABOVE_BYTES_MAX {
            break;
        }
        if row.add(&cell, texts, formats).is_err() {
            return false;
        }
    }
    rows.push(row.dense());
    rows.retain(|row| row.iter().any(|cell| !cell.trim().is_empty()));
    let at = header_among(rows.iter().map(Vec::as_slice), |row| exact(row).is_some());
    rows.get(at).is_some_and(|header| exact(header).is_some())
}

impl<'e> SheetTable<'e> {
    pub(super) fn new(
        file: File,
        bytes_max: u64,
        exact: &'e dyn Fn(&[String]) -> Option<Vec<usize>>,
    ) -> Self {
        let bounded = Bounded {
            file,
            left: bytes_max,
        };
        Self {
            csv: Writer::from_writer(BufWriter::new(bounded)),
            exact,
            above: Vec::new(),
            above_bytes: 0,
            span: None,
            written: 0,
            rows: Vec::new(),
            found: SheetFindings::default(),
        }
    }

    /// Reads a sheet to its end.
    pub(super) fn read(
        mut self,
        mut cells: SheetCells<'_>,
        texts: &SharedStrings,
        formats: &Formats,
    ) -> Result<WrittenTable, Fault> {
        let mut row = SheetRow::default();
        while let Some(cell) = cells.next()? {
            if cell.row != row.number {
                self.take(std::mem::take(&mut row))?;
                row.number = cell.row;
            }
            row.is_hidden = cell.is_hidden;
            row.add(&cell, texts, formats)?;
        }
        self.take(row)?;
        if self.span.is_none() {
            self.find_header()?;
        }
        self.csv.flush().map_err(too_much)?;
        let bounded = self
            .csv
            .into_inner()
            .map_err(|error| too_much(error.into_error()))?;
        let bounded = bounded
            .into_inner()
            .map_err(|error| too_much(error.into_error()))?;
        Ok(WrittenTable {
            text: bounded.file,
            rows: self.rows,
            notes: self.found.notes(),
        })
    }

    fn take(&mut self, row: SheetRow) -> Result<(), Fault> {
        if row.cells.iter().all(|cell| cell.shown.trim().is_empty()) {
            return Ok(());
        }
        if self.span.is_some() {
            return self.write(&row);
        }
        self.above_bytes += row.bytes;
        self.above.push(row);
        match self.above.len() > ABOVE_MAX || self.above_bytes > ABOVE_BYTES_MAX {
            true => self.find_header(),
            false => Ok(()),
        }
    }

    fn find_header(&mut self) -> Result<(), Fault> {
        let rows = std::mem::take(&mut self.above);
        let dense: Vec<Vec<String>> = rows.iter().map(SheetRow::dense).collect();
        let names_an_address = |row: &[String]| (self.exact)(row).is_some();
        let at = header_among(dense.iter().map(Vec::as_slice), names_an_address);
        let Some(header) = dense.get(at) else {
            return Ok(());
        };
        let exact = (self.exact)(header).unwrap_or_default();
        let address = exact.first().copied();
        let address = address.or_else(|| header.iter().position(|cell| !cell.trim().is_empty()));
        let (first, last) = span(header, address.unwrap_or_default());
        self.span = Some(Span { first, last, exact });
        self.found.above = at;
        for row in rows.into_iter().skip(at) {
            self.write(&row)?;
        }
        Ok(())
    }

    /// Writes the part of a row that belongs to the table.
    fn write(&mut self, row: &SheetRow) -> Result<(), Fault> {
        let Some(span) = &self.span else {
            return Ok(());
        };
        let mut cells = vec![""; span.last + 1 - span.first];
        for cell in &row.cells {
            let is_exact = self.written > 0 && span.exact.contains(&cell.column);
            let text = match &cell.exact {
                Some(exact) if is_exact => exact,
                _ => &cell.shown,
            };
            if text.trim().is_empty() {
                continue;
            }
            let within = cell.column.checked_sub(span.first);
            if let Some(place) = within.and_then(|at| cells.get_mut(at)) {
                self.found.not_calculated += u64::from(text == NOT_CALCULATED);
                *place = text;
            } else {
                self.found.beside += 1;
                let column = u32::try_from(cell.column).unwrap_or_default();
                self.found
                    .beside_at
                    .get_or_insert_with(|| name(row.number, column));
            }
        }
        if cells.iter().all(|cell| cell.is_empty()) {
            return Ok(());
        }
        self.csv.write_record(&cells).map_err(not_written)?;
        let number = u64::from(row.number) + 1;
        let follows = self
            .rows
            .last()
            .is_some_and(|(first, row)| row + (self.written - first) == number);
        if !follows {
            self.rows.push((self.written, number));
        }
        self.found.hidden += u64::from(row.is_hidden && self.written > 0);
        self.written += 1;
        Ok(())
    }
}

impl SheetRow {
    fn add(
        &mut self,
        cell: &Cell<'_>,
        texts: &SharedStrings,
        formats: &Formats,
    ) -> Result<(), Fault> {
        let shown = match &cell.value {
            CellValue::Shared(at) => match texts.get(*at) {
                Some(text) => text.to_owned(),
                None => {
                    let place = name(cell.row, cell.column);
                    let why = format!("it is damaged: the text of {place} is missing");
                    return Err(Fault::Refused(why));
                }
            },
            CellValue::Text(text) | CellValue::Error(text) => (*text).to_owned(),
            CellValue::Number(number) => formats.number(*number, cell.style),
            CellValue::Boolean(is) => if *is { "TRUE" } else { "FALSE" }.to_owned(),
            CellValue::Date(text) => formats.date(text, cell.style),
            CellValue::NotCalculated => NOT_CALCULATED.to_owned(),
        };
        let exact = match &cell.value {
            CellValue::Number(number) => Some(formats.exact(*number, cell.style)),
            _ => None,
        };
        self.bytes += shown.len() + exact.as_ref().map_or(0, String::len) + size_of::<CellText>();
        if self.bytes > ROW_BYTES_MAX {
            let (row, max) = (cell.row + 1, ROW_BYTES_MAX / (1024 * 1024));
            return Err(Fault::Refused(format!(
                "row {row} has more than {max} MiB of text"
            )));
        }
        self.cells.push(CellText {
            column: cell.column as usize,
            shown,
            exact,
        });
        Ok(())
    }

    /// All cells from column A on, including empty ones.
    fn dense(&self) -> Vec<String> {
        let columns = self.cells.iter().map(|cell| cell.column + 1).max();
        let mut cells = vec![String::new(); columns.unwrap_or_default()];
        for cell in &self.cells {
            cells[cell.column].clone_from(&cell.shown);
        }
        cells
    }
}

impl SheetFindings {
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.above > 0 {
            notes.push(format!(
                "rows above the header that are not read: {}",
                self.above
            ));
        }
        if let Some(at) = &self.beside_at {
            notes.push(format!(
                "cells beside the table that are not read: {}, the first is {at}",
                self.beside
            ));
        }
        if self.hidden > 0 {
            notes.push(format!(
                "rows that are hidden in the sheet, by a filter or by hand, and are read like the others: {}",
                self.hidden
            ));
        }
        if self.not_calculated > 0 {
            notes.push(format!(
                "formulas without a value, which count as empty: {}; open the workbook in a spreadsheet program \
                 and save it",
                self.not_calculated
            ));
        }
        notes
    }
}

/// The first and the last column of the table around `column`: it ends at more than [`GAP_MAX`] columns without a
/// header.
fn span(header: &[String], column: usize) -> (usize, usize) {
    let (mut first, mut last) = (column, column);
    for (at, cell) in header.iter().enumerate().skip(column) {
        if !cell.trim().is_empty() && at - last <= GAP_MAX + 1 {
            last = at;
        }
    }
    for (at, cell) in header.iter().enumerate().take(column).rev() {
        if !cell.trim().is_empty() && first - at <= GAP_MAX + 1 {
            first = at;
        }
    }
    (first, last)
}

/// A file with a limit on its length.
struct Bounded {
    file: File,
    left: u64,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.left {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let count = self.file.write(bytes)?;
        self.left -= count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn not_written(error: csv::Error) -> Fault {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => too_much(error),
        other => Fault::Io(io::Error::other(format!("{other:?}"))),
    }
}

fn too_much(error: io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::FileTooLarge => Fault::Refused(
            "its text is more than ten times as long as the workbook: save the sheet as CSV (UTF-8)".to_owned(),
        ),
        _ => Fault::Io(error),
    }
}
