//! Tables for people: a line for each row, and no wider than can be read.

use std::fmt::{self, Display, Formatter};

use comfy_table::presets::NOTHING;
use comfy_table::{ColumnConstraint, Row, Table, Width};

/// The widest that a column of a table gets, in characters; what is longer ends with dots.
const COLUMN_MAX: u16 = 250;

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
    /// Adds a row, which takes one line whatever stands in it.
    pub(super) fn add_row(&mut self, cells: impl Into<Row>) {
        let mut row: Row = cells.into();
        row.max_height(1);
        self.0.add_row(row);
    }
}

impl Display for Listing {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut table = self.0.clone();
        for column in table.column_iter_mut() {
            let most = Width::Fixed(COLUMN_MAX);
            column.set_constraint(ColumnConstraint::UpperBoundary(most));
        }
        Display::fmt(&table, f)
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
