//! Tables for people: a line for each row, and no wider than can be read.

use std::fmt::{self, Display, Formatter};

use comfy_table::presets::NOTHING;
use comfy_table::{ColumnConstraint, Row, Table, Width};

/// The widest that a column of a table gets, in characters; what is longer ends with dots.
const COLUMN_MAX: u16 = 250;

/// The same of the last column, which widens no other: it holds sentences, and their ends hold codes.
const LAST_COLUMN_MAX: u16 = 500;

/// A table without lines.
pub(super) struct Listing(Table);

/// A table without lines, its first row the header, if there is one.
pub(super) fn table(header: &[&str]) -> Listing {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    if !header.is_empty() {
        table.set_header(header.to_vec());
    }
    Listing(table)
}

impl Listing {
    /// Adds a row of one line.
    pub(super) fn add_row(&mut self, cells: impl Into<Row>) {
        let mut row: Row = cells.into();
        row.max_height(1);
        self.0.add_row(row);
    }
}

impl Display for Listing {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut table = self.0.clone();
        let last = table.column_count().saturating_sub(1);
        for (at, column) in table.column_iter_mut().enumerate() {
            let most = Width::Fixed(if at == last {
                LAST_COLUMN_MAX
            } else {
                COLUMN_MAX
            });
            column.set_constraint(ColumnConstraint::UpperBoundary(most));
        }
        // The last column needs no blanks behind it.
        let text = table.trim_fmt();
        f.write_str(&text)
    }
}

/// A name as a line has room for it.
pub(super) fn brief(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    if text.chars().count() <= CHARS_MAX {
        return text.to_owned();
    }
    let begins: String = text.chars().take(CHARS_MAX).collect();
    format!("{begins}...")
}
