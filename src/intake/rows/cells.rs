//! Cells that a spreadsheet program would execute when it opens a file of ours.
//!
//! In: a cell. Out: the cell with an apostrophe in front, which makes it a text, and back again. Always: what was
//! escaped reads as it was.

use std::borrow::Cow;

/// What a formula begins with (OWASP, "CSV Injection"), also in the wide letters of East Asia.
const FORMULA_STARTS: [char; 10] = [
    '=', '+', '-', '@', '\t', '\r', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
];

/// A value as a cell that is only read, never executed.
#[must_use]
pub fn escaped(value: &str) -> Cow<'_, str> {
    if is_formula(value.trim_start_matches('\'')) && !is_number(value) {
        Cow::Owned(format!("'{value}"))
    } else {
        Cow::Borrowed(value)
    }
}

/// A cell of a file as it stands there; only one that would be executed is escaped.
pub(in crate::intake) fn made_safe(cell: &str) -> Cow<'_, str> {
    if cell.starts_with('\'') {
        Cow::Borrowed(cell)
    } else {
        escaped(cell)
    }
}

/// The value of a cell.
pub(in crate::intake) fn unescaped(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if is_formula(rest.trim_start_matches('\'')) => rest,
        _ => cell,
    }
}

fn is_formula(text: &str) -> bool {
    text.starts_with(FORMULA_STARTS)
}

/// A sign and digits: a number, and no formula.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_digit = |c: char| c.is_ascii_digit();
    digits.starts_with(is_digit) && digits.chars().all(|c| is_digit(c) || c == '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_escaped_reads_as_it_was_and_begins_with_no_formula() {
        let table = [
            ("=1+1", "'=1+1"),
            ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
            ("-2+3", "'-2+3"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "'\r=1"),
            ("\u{ff1d}1", "'\u{ff1d}1"),
            ("'=1", "''=1"),
            ("''@x", "'''@x"),
            ("+12025550173", "+12025550173"),
            ("-5.50", "-5.50"),
            ("'quoted'", "'quoted'"),
            ("", ""),
            ("O'Hara = x", "O'Hara = x"),
        ];
        for (value, cell) in table {
            assert_eq!(escaped(value), cell, "{value:?}");
            assert_eq!(unescaped(cell), value, "{cell:?}");
        }
        for cell in ["'=1", "''=1", "=1", "'x"] {
            assert_eq!(unescaped(&made_safe(cell)), unescaped(cell), "{cell}");
        }
    }
}
