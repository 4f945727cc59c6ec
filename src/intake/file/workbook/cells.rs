//! Reads the cells of a sheet, one after the other.
//!
//! In: a sheet's XML. Out: each non-empty cell with its position. Always: positions are within Excel's limits; a
//! formula without a value differs from an empty cell.

use quick_xml::events::{BytesStart, Event};

use super::xml::{Fault, Xml, add_text, add_unescaped, attribute, is_set};

/// The limits of rows and columns in Excel.
const ROWS_MAX: u32 = 1_048_576;
pub(super) const COLUMNS_MAX: u32 = 16_384;

pub(super) struct SheetCells<'a> {
    xml: Xml<'a>,
    /// The position of the next cell if it does not give its own, counted from 0.
    row: u32,
    column: u32,
    /// The number of the next `row` if it does not give its own.
    next_row: u32,
    is_hidden: bool,
    is_in_sheet: bool,
    text: String,
    unescaped: String,
}

/// A cell that is not empty.
#[derive(Debug)]
pub(super) struct Cell<'c> {
    /// Counted from 0.
    pub(super) row: u32,
    pub(super) column: u32,
    /// Whether its row is hidden, by hand or by a filter.
    pub(super) is_hidden: bool,
    pub(super) style: usize,
    pub(super) value: CellValue<'c>,
}

#[derive(Debug, PartialEq)]
pub(super) enum CellValue<'c> {
    /// The index of a shared string.
    Shared(usize),
    Text(&'c str),
    Number(f64),
    Boolean(bool),
    /// A date in ISO 8601.
    Date(&'c str),
    Error(&'c str),
    /// A formula without a calculated value.
    NotCalculated,
}

/// The type of a cell's value (ECMA-376 18.18.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CellType {
    Number,
    Shared,
    Formula,
    Inline,
    Boolean,
    Error,
    Date,
}

#[derive(Clone, Copy, Debug)]
struct OpenCell {
    row: u32,
    column: u32,
    style: usize,
    kind: CellType,
}

impl<'a> SheetCells<'a> {
    pub(super) fn of(xml: Xml<'a>) -> Self {
        Self {
            xml,
            row: 0,
            column: 0,
            next_row: 0,
            is_hidden: false,
            is_in_sheet: false,
            text: String::new(),
            unescaped: String::new(),
        }
    }

    pub(super) fn next(&mut self) -> Result<Option<Cell<'_>>, Fault> {
        loop {
            let begun = match self.xml.next()? {
                Event::Start(element) => match element.local_name().as_ref() {
                    "sheetData" => {
                        self.is_in_sheet = true;
                        continue;
                    }
                    "row" if self.is_in_sheet => {
                        let row = attribute(&element, "r");
                        let row = row.and_then(|row| row.parse::<u32>().ok()?.checked_sub(1));
                        let row = within(row.unwrap_or(self.next_row), ROWS_MAX, "rows")?;
                        let is_hidden = is_set(&element, "hidden");
                        (self.row, self.next_row, self.column) = (row, row + 1, 0);
                        self.is_hidden = is_hidden;
                        continue;
                    }
                    "c" if self.is_in_sheet => begun(&element, self.row, self.column)?,
                    _ => continue,
                },
                Event::End(element) if element.local_name().as_ref() == "sheetData" => {
                    return Ok(None);
                }
                Event::Eof => return Ok(None),
                _ => continue,
            };
            self.column = begun.column + 1;
            let has_formula = self.read_value(begun.kind)?;
            let is_text = matches!(begun.kind, CellType::Formula | CellType::Inline);
            if self.text.is_empty() && (is_text || !has_formula) {
                continue;
            }
            let is_hidden = self.is_hidden;
            let value = self.value(begun.kind)?;
            return Ok(Some(Cell {
                row: begun.row,
                column: begun.column,
                is_hidden,
                style: begun.style,
                value,
            }));
        }
    }

    /// Reads to the cell's end; returns whether it has a formula.
    fn read_value(&mut self, kind: CellType) -> Result<bool, Fault> {
        self.text.clear();
        let wanted = if kind == CellType::Inline { "t" } else { "v" };
        let (mut has_formula, mut is_in_value, mut is_reading) = (false, false, false);
        loop {
            let event = self.xml.next()?;
            match &event {
                Event::Start(element) => match element.local_name().as_ref() {
                    "f" => has_formula = true,
                    "rPh" => is_reading = true,
                    name => is_in_value = name == wanted && !is_reading,
                },
                Event::End(element) => match element.local_name().as_ref() {
                    "c" => return Ok(has_formula),
                    "rPh" => is_reading = false,
                    _ => is_in_value = false,
                },
                Event::Eof => return Err(Fault::Refused("it ends within a cell".to_owned())),
                _ if is_in_value => add_text(&mut self.text, &event)?,
                _ => {}
            }
        }
    }

    fn value(&mut self, kind: CellType) -> Result<CellValue<'_>, Fault> {
        let text = self.text.as_str();
        let plain = text.trim();
        if plain.is_empty() && !matches!(kind, CellType::Formula | CellType::Inline) {
            return Ok(CellValue::NotCalculated);
        }
        let wrong = || {
            Fault::Refused(format!(
                "it is damaged: {plain:?} is not a value of its type"
            ))
        };
        Ok(match kind {
            CellType::Number => match plain
                .parse::<f64>()
                .ok()
                .filter(|number| number.is_finite())
            {
                Some(number) => CellValue::Number(number),
                None => CellValue::Text(plain),
            },
            CellType::Shared => CellValue::Shared(plain.parse().map_err(|_| wrong())?),
            CellType::Boolean => CellValue::Boolean(match plain.to_ascii_lowercase().as_str() {
                "1" | "true" => true,
                "0" | "false" => false,
                _ => return Err(wrong()),
            }),
            CellType::Error => CellValue::Error(plain),
            CellType::Date => CellValue::Date(plain),
            CellType::Formula | CellType::Inline => {
                self.unescaped.clear();
                add_unescaped(&mut self.unescaped, text);
                CellValue::Text(&self.unescaped)
            }
        })
    }
}

fn begun(element: &BytesStart<'_>, row: u32, column: u32) -> Result<OpenCell, Fault> {
    let place = attribute(element, "r").and_then(|name| place(&name));
    let (row, column) = place.unwrap_or((row, column));
    let style = attribute(element, "s").and_then(|style| style.parse().ok());
    let kind = attribute(element, "t").unwrap_or_default();
    let kind = match &*kind {
        "" | "n" => CellType::Number,
        "s" => CellType::Shared,
        "str" => CellType::Formula,
        "inlineStr" => CellType::Inline,
        "b" => CellType::Boolean,
        "e" => CellType::Error,
        "d" => CellType::Date,
        other => {
            let other: String = other.chars().take(40).collect();
            return Err(Fault::Refused(format!(
                "it has a cell of the unknown type {other:?}"
            )));
        }
    };
    Ok(OpenCell {
        row: within(row, ROWS_MAX, "rows")?,
        column: within(column, COLUMNS_MAX, "columns")?,
        style: style.unwrap_or_default(),
        kind,
    })
}

fn within(place: u32, max: u32, what: &str) -> Result<u32, Fault> {
    if place < max {
        return Ok(place);
    }
    Err(Fault::Refused(format!(
        "it has more than {max} {what}, which no spreadsheet program takes"
    )))
}

/// The row and column, counted from 0, of a cell name such as `B7`.
fn place(name: &str) -> Option<(u32, u32)> {
    let digits = name.find(|c: char| c.is_ascii_digit())?;
    let (letters, digits) = name.split_at(digits);
    if letters.is_empty() || letters.len() > 6 {
        return None;
    }
    let column = letters.bytes().try_fold(0_u32, |column, letter| {
        let letter = letter.to_ascii_uppercase();
        letter
            .is_ascii_uppercase()
            .then(|| column * 26 + u32::from(letter - b'A') + 1)
    })?;
    let row = digits.parse::<u32>().unwrap_or(u32::MAX);
    Some((row.checked_sub(1)?, column - 1))
}

/// The name of a cell, such as `B7`, from its position counted from 0.
pub(super) fn name(row: u32, column: u32) -> String {
    let mut letters = Vec::new();
    let mut rest = column + 1;
    while rest > 0 {
        letters.push(char::from(
            b'A' + u8::try_from((rest - 1) % 26).unwrap_or_default(),
        ));
        rest = (rest - 1) / 26;
    }
    let letters: String = letters.iter().rev().collect();
    format!("{letters}{}", row + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cells_name_is_its_place() {
        for (text, at) in [
            ("A1", (0, 0)),
            ("Z9", (8, 25)),
            ("AA10", (9, 26)),
            ("XFD1048576", (1_048_575, 16_383)),
        ] {
            assert_eq!(place(text), Some(at));
            assert_eq!(name(at.0, at.1), text);
        }
        for text in ["", "A", "7", "A0", "ä1", "ABCDEFGH1"] {
            assert_eq!(place(text), None, "{text}");
        }
    }
}
