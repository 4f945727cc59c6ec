//! Escapes cells that a spreadsheet program would execute when it opens a file of flexcast's.
//!
//! In: a cell. Out: the cell with an apostrophe before it, which makes it a text, and the reverse. Always: an
//! escaped value is read back unchanged.

use std::borrow::Cow;

/// The first characters of formulas (OWASP, "CSV Injection"), also in full width.
const FORMULA_STARTS: [char; 10] = [
    '=', '+', '-', '@', '\t', '\r', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
];

/// A value as a cell that is never executed.
#[must_use]
pub fn escaped(value: &str) -> Cow<'_, str> {
    if is_formula(value.trim_start_matches('\'')) && !is_number(value) {
        Cow::Owned(format!("'{value}"))
    } else {
        Cow::Borrowed(value)
    }
}

/// A file's cell, escaped only if it would be executed.
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

/// Whether the text is a signed number, which is not a formula.
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
