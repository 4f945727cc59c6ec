//! Cells without a value: they hold an error of a spreadsheet program, or a program's word for no value.
//!
//! In: a row. Out: the row with these cells empty. Always: an error is never taken for a customer's data, in any
//! language of the program; a word that could be a name (`Null`, `Nan`) stays.

use csv::StringRecord;

/// The text for a formula that was never calculated because another program wrote the workbook.
pub(super) const NOT_CALCULATED: &str = "#NOT_CALCULATED!";

/// The errors of Excel, `LibreOffice` and Google Sheets, in the languages of these programs.
const ERRORS: &[&str] = &[
    NOT_CALCULATED,
    "#N/A",
    "#N/A!",
    "#NA",
    "#NA!",
    "#REF!",
    "#VALUE!",
    "#NAME?",
    "#DIV/0!",
    "#NUM!",
    "#NULL!",
    "#SPILL!",
    "#CALC!",
    "#FIELD!",
    "#BLOCKED!",
    "#CONNECT!",
    "#BUSY!",
    "#UNKNOWN!",
    "#EXTERNAL!",
    "#PYTHON!",
    "#TIMEOUT!",
    "#GETTING_DATA",
    "#DATA!",
    "#ERROR!",
    "#FMT",
    // German
    "#NV",
    "#BEZUG!",
    "#WERT!",
    "#ZAHL!",
    "#ÜBERLAUF!",
    "#KALK!",
    // French
    "#VALEUR!",
    "#NOM?",
    "#NOMBRE!",
    "#NUL!",
    "#PROPAGATION!",
    // Spanish
    "#¡REF!",
    "#¡VALOR!",
    "#¿NOMBRE?",
    "#¡NUM!",
    "#¡NULO!",
    "#¡DIV/0!",
    "#¡DESBORDAMIENTO!",
    "#N/D",
    // Italian
    "#RIF!",
    "#VALORE!",
    "#NOME?",
    "#NULLO!",
    // Portuguese
    "#VALOR!",
    "#NÚM!",
    "#NULO!",
    // Dutch
    "#VERW!",
    "#WAARDE!",
    "#NAAM?",
    "#GETAL!",
    "#LEEG!",
    "#DEEL/0!",
    "#N/B",
];

/// Words that programs write for a missing value and that are not names of people.
const NOTHING: &[&str] = &[
    "NULL",
    "null",
    "(null)",
    "(NULL)",
    "<null>",
    "<NULL>",
    "[NULL]",
    "\\N",
    "nan",
    "NaN",
    "-nan",
    "NaT",
    "<NA>",
    "undefined",
];

/// Words that mean no value in a name, agent or id column. (In another column they may be an answer.)
const NO_NAME: &[&str] = &["None", "N/A", "n/a"];

/// The row with the cells without a value emptied, if there are any. `is_field` returns whether a column is one of
/// flexcast's fields.
pub(in crate::intake) fn without(
    record: &StringRecord,
    is_field: impl Fn(usize) -> bool,
) -> Option<StringRecord> {
    let is_nothing = |at: usize, cell: &str| {
        let cell = cell.trim();
        may_be_nothing(cell)
            && (is_error(cell)
                || NOTHING.contains(&cell)
                || (is_field(at) && NO_NAME.contains(&cell)))
    };
    if !record
        .iter()
        .enumerate()
        .any(|(at, cell)| is_nothing(at, cell))
    {
        return None;
    }
    let cells = record.iter().enumerate();
    let mut cleaned: StringRecord = cells
        .map(|(at, cell)| if is_nothing(at, cell) { "" } else { cell })
        .collect();
    cleaned.set_position(record.position().cloned());
    Some(cleaned)
}

/// A quick check of the first byte, which excludes most cells.
fn may_be_nothing(cell: &str) -> bool {
    matches!(
        cell.as_bytes().first(),
        Some(b'#' | b'N' | b'n' | b'u' | b'(' | b'<' | b'[' | b'\\' | b'-' | b'E')
    )
}

fn is_error(cell: &str) -> bool {
    let is_too_narrow = cell.len() >= 3 && cell.bytes().all(|byte| byte == b'#');
    let is_numbered = cell.strip_prefix("Err:").is_some_and(|number| {
        number.len() == 3 && number.bytes().all(|byte| byte.is_ascii_digit())
    });
    is_too_narrow || is_numbered || (cell.starts_with('#') && ERRORS.contains(&cell))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_and_words_for_nothing_are_empty_and_names_are_not() {
        let table = [
            ("#N/A", ""),
            (" #REF! ", ""),
            ("#WERT!", ""),
            ("#¿NOMBRE?", ""),
            ("Err:502", ""),
            ("########", ""),
            ("NULL", ""),
            ("nan", ""),
            ("None", ""),
            ("N/A", ""),
            ("Null", "Null"),
            ("Nan", "Nan"),
            ("NAN", "NAN"),
            ("Erik", "Erik"),
            ("#1 Smith Road", "#1 Smith Road"),
            ("#", "#"),
            ("", ""),
        ];
        for (cell, expected) in table {
            let row = StringRecord::from(vec![cell, "None", "gold"]);
            let found = without(&row, |at| at == 0).unwrap_or(row);
            let found: Vec<_> = found.iter().collect();
            assert_eq!(found, [expected, "None", "gold"]);
        }
    }
}
