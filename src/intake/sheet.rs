//! An Excel workbook's sheet, as rows of text.
//!
//! In: an `.xlsx` file. Out: a temporary CSV file that is read like any other. Always: row `n` of the
//! sheet is record `n` of that file, empty rows included; a number keeps every digit. Cells are
//! streamed; what Excel stores once and shares between cells (its texts) is in memory.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use calamine::{DataRef, Reader, SheetVisible, Xlsx, XlsxError};
use csv::Writer;
use tempfile::NamedTempFile;

/// What every ZIP file begins with, and so every workbook.
const ZIP: &[u8] = b"PK\x03\x04";

/// What `.xls` files begin with (OLE2 compound documents).
const OLE2: &[u8] = b"\xd0\xcf\x11\xe0";

/// The largest integer whose neighbours a double still tells apart: 2^53.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// What a file is, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Workbook,
    /// Excel's format before 2007.
    OldWorkbook,
}

impl Kind {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let mut start = Vec::new();
        File::open(path)?.take(4).read_to_end(&mut start)?;
        Ok(match start.as_slice() {
            ZIP => Self::Workbook,
            OLE2 => Self::OldWorkbook,
            _ => Self::Text,
        })
    }
}

/// A sheet that was written out as text.
pub(super) struct Sheet {
    pub(super) name: String,
    /// The workbook's other sheets.
    pub(super) others: Vec<String>,
    pub(super) text: NamedTempFile,
}

/// Why a workbook gives no rows: a sentence.
pub(super) type NoSheet = String;

/// Writes a sheet out: the one of this name, or the first that is not hidden.
pub(super) fn write_out(path: &Path, name: Option<&str>) -> io::Result<Result<Sheet, NoSheet>> {
    let file = BufReader::new(File::open(path)?);
    let mut workbook = match Xlsx::new(file) {
        Ok(workbook) => workbook,
        Err(error) => return Ok(Err(format!("it is no .xlsx workbook: {error}"))),
    };
    let sheets = workbook.sheets_metadata().iter();
    let shown = sheets.filter(|sheet| sheet.visible == SheetVisible::Visible);
    let names: Vec<String> = shown.map(|sheet| sheet.name.clone()).collect();
    let all = names.join("\", \"");
    let chosen = match name {
        Some(name) => names.iter().find(|sheet| *sheet == name),
        None => names.first(),
    };
    let Some(chosen) = chosen.cloned() else {
        return Ok(Err(format!("it has no such sheet; it has: \"{all}\"")));
    };
    let mut text = NamedTempFile::new()?;
    let written = write_rows(&mut workbook, &chosen, BufWriter::new(&mut text));
    Ok(match written {
        Ok(()) => Ok(Sheet {
            others: names.into_iter().filter(|name| *name != chosen).collect(),
            name: chosen,
            text,
        }),
        Err(XlsxError::Io(error)) => return Err(error),
        Err(error) => Err(format!("sheet \"{chosen}\" cannot be read: {error}")),
    })
}

fn write_rows(
    workbook: &mut Xlsx<BufReader<File>>,
    sheet: &str,
    text: impl Write,
) -> Result<(), XlsxError> {
    let mut rows = Rows {
        csv: Writer::from_writer(text),
        row: Vec::new(),
        number: 0,
        width: 1,
    };
    let mut cells = workbook.worksheet_cells_reader(sheet)?;
    while let Some(cell) = cells.next_cell()? {
        let (row, column) = cell.get_position();
        while rows.number < row {
            rows.end_row()?;
        }
        let at = column as usize;
        if rows.row.len() <= at {
            rows.row.resize(at + 1, String::new());
        }
        rows.row[at] = shown(cell.get_value());
    }
    rows.end_row()?;
    Ok(rows.csv.flush()?)
}

/// Rows on their way into the text.
struct Rows<W: Write> {
    csv: Writer<W>,
    row: Vec<String>,
    /// The row being filled, counted from 0.
    number: u32,
    /// The header's: a sheet's rows are all as wide as it.
    width: usize,
}

impl<W: Write> Rows<W> {
    fn end_row(&mut self) -> io::Result<()> {
        if self.width == 1 {
            self.width = self.row.len().max(1);
        }
        self.row
            .resize(self.row.len().max(self.width), String::new());
        // A row of one empty cell is written as "": the reader counts it.
        self.csv.write_record(&self.row)?;
        self.row.clear();
        self.number += 1;
        Ok(())
    }
}

fn shown(cell: &DataRef<'_>) -> String {
    match cell {
        DataRef::Empty => String::new(),
        DataRef::Int(number) => number.to_string(),
        DataRef::Float(number) => in_digits(*number),
        DataRef::String(text) => text.clone(),
        DataRef::SharedString(text) => (*text).to_owned(),
        DataRef::Bool(is) => is.to_string(),
        DataRef::DateTime(time) => {
            let (year, month, day, hour, minute, second, _) = time.to_ymd_hms_milli();
            format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
        }
        DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => text.clone(),
        DataRef::Error(error) => error.to_string(),
    }
}

/// Every digit of a number, without an exponent and without `.0`. Beyond 2^53 a double has lost some:
/// it is written as Excel shows it, so that nobody takes the zeros at its end for digits.
fn in_digits(number: f64) -> String {
    if number.abs() > EXACT_MAX {
        format!("{number:E}")
    } else {
        number.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_keeps_its_digits_and_gets_no_others() {
        let table = [
            (12_025_550_173.0, "12025550173"),
            (0.5, "0.5"),
            (-3.0, "-3"),
            (123_456_789_012_345.0, "123456789012345"),
            (1e20, "1E20"),
        ];
        for (number, expected) in table {
            assert_eq!(in_digits(number), expected);
        }
    }
}
