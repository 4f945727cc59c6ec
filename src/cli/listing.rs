//! Tables for people: one line for each row, with a limited width.

use std::fmt::{self, Display, Formatter};

use comfy_table::presets::NOTHING;
use comfy_table::{ColumnConstraint, Row, Table, Width};

/// The maximum width of a column, in characters. A longer text is cut and ends with dots.
const COLUMN_MAX: u16 = 250;

/// The maximum width of the last column. It is larger, because this column has sentences that end with codes.
const LAST_COLUMN_MAX: u16 = 500;

/// A table without lines.
pub(super) struct Listing(Table);

/// Creates a table without lines. If `header` is not empty, it is the first row.
pub(super) fn table(header: &[&str]) -> Listing {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    if !header.is_empty() {
        table.set_header(header.to_vec());
    }
    Listing(table)
}

impl Listing {
    /// Adds a row that is one line high.
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
        // Without trailing blanks.
        let text = table.trim_fmt();
        f.write_str(&text)
    }
}

/// A name, cut to 60 characters.
pub(super) fn brief(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    if text.chars().count() <= CHARS_MAX {
        return text.to_owned();
    }
    let begins: String = text.chars().take(CHARS_MAX).collect();
    format!("{begins}...")
}
