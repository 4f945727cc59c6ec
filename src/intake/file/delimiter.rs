//! The separator of a file's columns.
//!
//! In: the beginning of a file. Out: `,`, `;`, TAB or `|`. Always: a first line `sep=;` decides; else the separator
//! with which a header names an address; else the one with the most consistent rows.

use std::cmp::Reverse;

use csv::{ReaderBuilder, StringRecord};

use super::header::{ABOVE_MAX, header_among};
use super::quotes::CELLS_MAX;

const CANDIDATES: [u8; 4] = *b",;\t|";

/// The separator of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::intake) struct Delimiter {
    pub(in crate::intake) byte: u8,
    pub(super) has_sep_line: bool,
}

impl Delimiter {
    /// Finds the separator in the first lines of a file; the last line of `start` may be incomplete. `told` is the
    /// operator's choice. `names_an_address` returns whether a header has a column of addresses.
    pub(in crate::intake) fn find(
        start: &str,
        told: Option<u8>,
        names_an_address: impl Fn(&[String]) -> bool,
    ) -> Self {
        let sep = sep_line(start);
        if let Some(byte) = told.or(sep) {
            return Self {
                byte,
                has_sep_line: sep.is_some(),
            };
        }
        let best = CANDIDATES.iter().enumerate().max_by_key(|(place, byte)| {
            let vote = Vote::of(start, **byte, &names_an_address);
            (vote.names, vote.agreeing, vote.columns, Reverse(*place))
        });
        Self {
            byte: best.map_or(b',', |(_, byte)| *byte),
            has_sep_line: false,
        }
    }

    /// The name of the separator for the operator.
    pub(in crate::intake) fn name(self) -> &'static str {
        match self.byte {
            b',' => "comma",
            b';' => "semicolon",
            b'\t' => "TAB",
            b'|' => "vertical bar",
            _ => "as told",
        }
    }
}

/// The evidence for one separator.
struct Vote {
    /// Whether the header names an address.
    names: bool,
    columns: usize,
    /// The rows, per thousand, with as many columns as the header; 0 for a single column.
    agreeing: usize,
}

impl Vote {
    fn of(start: &str, delimiter: u8, names_an_address: impl Fn(&[String]) -> bool) -> Self {
        let mut csv = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .from_reader(start.as_bytes());
        let records = csv.records().map_while(Result::ok);
        let is_filled = |record: &StringRecord| record.iter().any(|cell| !cell.trim().is_empty());
        let mut records: Vec<StringRecord> = records.filter(is_filled).collect();
        // The last row may be incomplete.
        if records.len() > 2 {
            records.pop();
        }
        let cells = |row: &StringRecord| row.iter().map(str::to_owned).collect::<Vec<_>>();
        let first: Vec<Vec<String>> = records.iter().take(ABOVE_MAX + 1).map(cells).collect();
        let names_an_address = |row: &[String]| row.len() <= CELLS_MAX && names_an_address(row);
        let at = header_among(first.iter().map(Vec::as_slice), names_an_address);
        let header = first.get(at).map(Vec::as_slice).unwrap_or_default();
        let columns = header.len();
        let rows = records.len().saturating_sub(at + 1);
        let agreeing = records.iter().skip(at + 1);
        let agreeing = agreeing.filter(|row| row.len() == columns).count();
        Self {
            names: names_an_address(header),
            columns,
            agreeing: if columns < 2 {
                0
            } else {
                agreeing * 1000 / rows.max(1)
            },
        }
    }
}

/// The separator in a first line `sep=;`, which Excel writes and reads.
fn sep_line(start: &str) -> Option<u8> {
    let line = start.lines().next()?.trim_end_matches('\r');
    let line = line.trim_matches('"');
    let (name, sep) = line.split_at_checked(4)?;
    match sep.as_bytes() {
        [byte] if name.eq_ignore_ascii_case("sep=") && byte.is_ascii() => Some(*byte),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_separator_is_the_one_the_rows_agree_with() {
        let table = [
            ("phone,name\n1,a\n2,b\n", b',', false),
            ("phone;name\n1;a\n2;b, c\n", b';', false),
            (
                "name;phone\n\"Grimes, Madden\r\nand Huff\";1\nb;2\n",
                b';',
                false,
            ),
            ("phone\tname\n1\ta;b\n2\tc;d\n", b'\t', false),
            ("phone|name\n1|a\n", b'|', false),
            ("phone\n+12025550173\n", b',', false),
            ("sep=;\r\nphone;name\r\n1;a,b\r\n", b';', true),
            ("\"sep=|\"\nphone|name\n", b'|', true),
            ("SEP=\t\nphone\tname\n", b'\t', true),
            // More commas than semicolons, but only semicolons give a phone column.
            ("phone;a, b, c\n1;x, y, z\n", b';', false),
            // A title above the table.
            ("Customers, all of May\nphone;name\n1;a\n2;b\n", b';', false),
            ("", b',', false),
        ];
        for (start, byte, has_sep_line) in table {
            let names = |header: &[String]| header.iter().any(|name| name == "phone");
            let found = Delimiter::find(start, None, names);
            assert_eq!(found, Delimiter { byte, has_sep_line }, "{start:?}");
        }
        let told = Delimiter::find("phone;name\n1;a\n", Some(b','), |_| true);
        assert_eq!(told.byte, b',');
    }
}
