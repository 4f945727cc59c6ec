//! Detects rows that a missing quote has joined into one well-formed row.
//!
//! In: a row with line breaks in a cell. Out: whether the cell contains parts of several rows. Always: a cell of
//! several lines is accepted unless it has a customer's address at the header's address column.

use csv::StringRecord;

use crate::message::{Channel, is_like_a_number};

/// The form of a table.
#[derive(Clone, Copy, Debug)]
pub(in crate::intake) struct Joined {
    pub(in crate::intake) channel: Channel,
    /// The separator of cells.
    pub(in crate::intake) delimiter: char,
    /// The index of the address column.
    pub(in crate::intake) address: usize,
    /// The number of the header's columns.
    pub(in crate::intake) columns: usize,
}

impl Joined {
    /// Whether a cell of the row looks like the end of one row and the beginning of another.
    pub(in crate::intake) fn is_joined(self, record: &StringRecord) -> bool {
        let cells = record.iter().enumerate();
        let mut of_lines = cells.filter(|(_, cell)| cell.contains(['\n', '\r']));
        of_lines.any(|(at, cell)| self.is_of_rows(at, cell))
    }

    fn is_of_rows(self, at: usize, cell: &str) -> bool {
        let mut lines = cell.split(['\n', '\r']);
        let first = lines.next().unwrap_or_default();
        let mut below = lines.filter(|line| line.contains(self.delimiter));
        if below.any(|line| self.is_address_at(line, self.address)) {
            return true;
        }
        // The quote opens before the address column: the first row's address is in the cell's first line.
        self.address > at
            && first.split(self.delimiter).count() == self.columns - at.min(self.columns)
            && self.is_address_at(first, self.address - at)
    }

    fn is_address_at(self, line: &str, place: usize) -> bool {
        let piece = line.split(self.delimiter).nth(place).unwrap_or_default();
        let piece = piece.trim_matches(['"', ' ', '\'', '=']);
        match self.channel {
            Channel::Sms | Channel::Whatsapp => is_like_a_number(piece),
            Channel::Facebook | Channel::Custom => {
                !piece.is_empty()
                    && !piece.contains(char::is_whitespace)
                    && piece.contains(|c: char| c.is_ascii_digit() || ":@_".contains(c))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_of_two_rows_is_told_from_a_cell_of_two_lines() {
        let table: [(&str, &[&str], bool); 10] = [
            ("phone,name", &["1", "Clark\n+12025550174,Dana"], true),
            ("phone,name", &["1", "Clark\r+12025550174,Dana"], true),
            ("phone,name", &["1", "Clark\n\"+12025550174\",Dana"], true),
            ("name,phone", &["Clark,+12025550173\nDana", "1"], true),
            (
                "id,phone,name",
                &["7", "1", "Clark\n8,2025550174,Dana\n9,2025550175,Eve"],
                true,
            ),
            (
                "name,note,phone",
                &["Clark", "x,+12025550173\nDana,y", "1"],
                true,
            ),
            ("phone,name", &["1", "Clark\nKent"], false),
            (
                "phone,address",
                &["1", "12 Main St\nSpringfield, IL 62704-1234"],
                false,
            ),
            ("phone,note", &["1", "call\n+1 202 555 0174"], false),
            ("name,note,phone", &["Clark", "a, b\nc, d", "1"], false),
        ];
        for (header, cells, expected) in table {
            let header: Vec<_> = header.split(',').collect();
            let joined = Joined {
                channel: Channel::Sms,
                delimiter: ',',
                address: header
                    .iter()
                    .position(|name| *name == "phone")
                    .expect("a phone"),
                columns: header.len(),
            };
            let record = StringRecord::from(cells.to_vec());
            assert_eq!(joined.is_joined(&record), expected, "{cells:?}");
        }
    }
}
