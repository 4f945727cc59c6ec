//! The sheet of an Excel workbook as rows of text.
//!
//! In: an `.xlsx` file. Out: its table as CSV in a temporary file without a name, which is read like any other.
//! Always: a value has the form that the sheet shows, but an address and an id keep every digit; memory and disk
//! use are limited in advance. Cells are streamed; the strings that cells share are in memory.

mod cells;
mod kind;
mod names;
mod package;
mod parts;
mod shown;
mod table;
mod xml;

use std::fs::File;
use std::io;
use std::sync::Arc;

use package::Package;
use parts::SheetPart;
use xml::Fault;

use super::kept::Bytes;

pub(in crate::intake) use kind::FileKind;

/// The limit of a sheet's text on disk: this number of bytes, or ten times the file's length if that is more.
const TEXT_BYTES_MIN: u64 = 64 * 1024 * 1024;
const TEXT_TIMES_FILE: u64 = 10;

/// A sheet as text.
#[derive(Debug)]
pub(in crate::intake) struct Sheet {
    pub(in crate::intake) name: String,
    /// The workbook's other sheets.
    pub(in crate::intake) others: Vec<String>,
    pub(in crate::intake) text: Arc<File>,
    /// Notes for the operator.
    pub(in crate::intake) notes: Vec<String>,
    /// Ranges of consecutive rows: the first record, counted from 0, and its row, counted from 1.
    rows: Vec<(u64, u64)>,
}

impl Sheet {
    /// The sheet's row of a record.
    pub(in crate::intake) fn row(&self, record: u64) -> u64 {
        let at = self.rows.partition_point(|(first, _)| *first <= record);
        match at.checked_sub(1).and_then(|at| self.rows.get(at)) {
            Some((first, row)) => row + (record - first),
            None => record + 1,
        }
    }
}

/// A sentence that says why a workbook gives no rows.
pub(in crate::intake) type NoSheet = String;

/// Writes a sheet as text: the one of this name; else the first visible sheet with a column of addresses; else the
/// first visible sheet. `exact` returns the columns of a header in which every digit counts, the address column
/// first; `None` when no column has addresses.
pub(in crate::intake) fn write_out(
    file: Bytes,
    name: Option<&str>,
    exact: &dyn Fn(&[String]) -> Option<Vec<usize>>,
) -> io::Result<Result<Sheet, NoSheet>> {
    match written(file, name, exact) {
        Ok(sheet) => Ok(Ok(sheet)),
        Err(Fault::Refused(why)) => Ok(Err(why)),
        Err(Fault::Io(error)) => Err(error),
    }
}

fn written(
    file: Bytes,
    name: Option<&str>,
    exact: &dyn Fn(&[String]) -> Option<Vec<usize>>,
) -> Result<Sheet, Fault> {
    let bytes_max = TEXT_BYTES_MIN.max(file.len()?.saturating_mul(TEXT_TIMES_FILE));
    let mut package = Package::open(file)?;
    let workbook = parts::workbook(&mut package)?;
    let names: Vec<String> = workbook.shown().map(|sheet| sheet.name.clone()).collect();
    let texts = parts::texts(&mut package, &workbook)?;
    let formats = parts::formats(&mut package, &workbook)?;
    let chosen = match name {
        Some(name) => workbook.shown().find(|sheet| sheet.name == name),
        None => {
            let mut has_addresses = |sheet: &&SheetPart| match package.part(&sheet.path) {
                Ok(Some(part)) => {
                    let mut cells = cells::SheetCells::of(part);
                    table::has_addresses(&mut cells, &texts, &formats, exact)
                }
                _ => false,
            };
            let several = (names.len() > 1).then(|| workbook.shown().find(&mut has_addresses));
            several.flatten().or(workbook.shown().next())
        }
    };
    let Some(chosen) = chosen else {
        let all = names.join("\", \"");
        let why = format!("it has no such sheet; it has: \"{all}\"");
        return Err(Fault::Refused(why));
    };
    let Some(sheet) = package.part(&chosen.path)? else {
        let why = format!("sheet \"{}\" is not in it", chosen.name);
        return Err(Fault::Refused(why));
    };
    let table = table::SheetTable::new(tempfile::tempfile()?, bytes_max, exact);
    let table = table.read(cells::SheetCells::of(sheet), &texts, &formats);
    let table = table.map_err(|fault| match fault {
        Fault::Refused(why) => Fault::Refused(format!("sheet \"{}\": {why}", chosen.name)),
        other => other,
    })?;
    Ok(Sheet {
        others: names
            .iter()
            .filter(|name| **name != chosen.name)
            .cloned()
            .collect(),
        name: chosen.name.clone(),
        text: Arc::new(table.text),
        notes: table.notes,
        rows: table.rows,
    })
}
