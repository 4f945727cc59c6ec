//! Finds the lines of the rows of a CSV text, and faults in their quotes.
//!
//! In: the text's bytes, in chunks, before the CSV reader gets them. Out: for each row its lines and its first
//! fault. Always: rows are the same as the CSV reader's, which accepts any quotes and never fails; faults are those
//! that RFC 4180 (2.5 to 2.7) and Go's `encoding/csv` refuse. The exception is `="..."`, with which spreadsheet
//! programs keep a number as text.

use std::collections::VecDeque;

use super::line_count::LineCount;

/// The longest row, in bytes: a longer one has a quote that never closes, and would fill the memory up to the end
/// of the file.
pub(super) const ROW_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// The most cells in a row: the number of columns in a sheet of Excel or `LibreOffice`.
pub(super) const CELLS_MAX: usize = 16_384;

/// A fault in a row's quotes or line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::intake) enum RowFault {
    TextAfterQuote,
    QuoteInside,
    NeverClosed,
    LoneReturn,
}

/// The lines of a row, counted from 1 in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::intake) struct RowPlace {
    pub(in crate::intake) line: u64,
    /// The last line of the row.
    pub(in crate::intake) last_line: u64,
    pub(in crate::intake) wrong: Option<RowFault>,
}

/// A row that is too large: reading stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TooBig {
    /// The row that begins on this line has more than [`ROW_BYTES_MAX`] bytes.
    Long { line: u64 },
    /// The row that begins on this line has more than [`CELLS_MAX`] cells.
    Wide { line: u64 },
}

/// The position of the last byte in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before a row.
    Between,
    /// Before a cell.
    CellStart,
    /// In a cell without quotes.
    Bare,
    /// After an `=` at the beginning of a cell.
    Equals,
    /// In the quotes of `="..."`.
    Formula,
    FormulaEnd,
    Quoted,
    /// After a quote in a quoted cell: it is the cell's end, or the first of two quotes.
    QuoteSeen,
}

/// The line end of a file: `
/// ` (with or without `\r` before it), or a single `\r`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineEnd {
    Feed,
    Return,
}

/// Scans a text.
#[derive(Debug)]
pub(super) struct Quotes {
    delimiter: u8,
    state: State,
    /// The number of scanned bytes.
    offset: u64,
    lines: LineCount,
    /// The first line end outside of quotes.
    line_end: Option<LineEnd>,
    /// Whether the last byte was a `\r` outside of quotes: the next byte decides whether it is a line end of its
    /// own.
    has_return: bool,
    /// Whether the next row begins after a line end that differs from the file's first.
    is_cut: bool,
    row: RowPlace,
    row_offset: u64,
    cells: usize,
    too_big: Option<TooBig>,
    /// Complete rows that were not returned yet.
    rows: VecDeque<RowPlace>,
}

impl Quotes {
    pub(in crate::intake) fn of(delimiter: u8) -> Self {
        Self {
            delimiter,
            state: State::Between,
            offset: 0,
            lines: LineCount::default(),
            line_end: None,
            has_return: false,
            is_cut: false,
            row: RowPlace {
                line: 1,
                last_line: 1,
                wrong: None,
            },
            row_offset: 0,
            cells: 0,
            too_big: None,
            rows: VecDeque::new(),
        }
    }

    /// The next complete row, in the text's order.
    pub(in crate::intake) fn row(&mut self) -> Option<RowPlace> {
        self.rows.pop_front()
    }

    /// The row that exceeds a limit, if there is one.
    pub(super) fn too_big(&self) -> Option<TooBig> {
        let is_long = self.state != State::Between && self.offset - self.row_offset > ROW_BYTES_MAX;
        let line = self.row.line;
        self.too_big.or(is_long.then_some(TooBig::Long { line }))
    }

    pub(super) fn pass(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        // The CSV reader skips a byte order mark.
        if self.offset == 0 {
            rest = rest.strip_prefix(b"\xef\xbb\xbf").unwrap_or(rest);
        }
        while let Some((byte, after)) = rest.split_first() {
            self.step(*byte, self.offset + (bytes.len() - rest.len()) as u64);
            let delimiter = self.delimiter;
            let is_plain = |byte: &u8| !matches!(*byte, b'"' | b'\r' | b'\n');
            let plain = match self.state {
                State::Bare => after
                    .iter()
                    .position(|byte| !is_plain(byte) || *byte == delimiter),
                State::Quoted => after.iter().position(|byte| !is_plain(byte)),
                _ => Some(0),
            };
            let plain = plain.unwrap_or(after.len());
            self.lines.pass_all(&after[..plain.min(1)]);
            rest = &after[plain..];
        }
        self.offset += bytes.len() as u64;
    }

    /// Handles the end of the text.
    pub(in crate::intake) fn end(&mut self) {
        match self.state {
            State::Between => {}
            State::Quoted => {
                self.mark(RowFault::NeverClosed);
                self.end_row();
            }
            State::Formula => {
                self.mark(RowFault::QuoteInside);
                self.end_row();
            }
            _ => self.end_row(),
        }
    }

    fn step(&mut self, byte: u8, offset: u64) {
        let is_line_end = matches!(byte, b'\r' | b'\n');
        if self.has_return && !is_line_end {
            self.has_return = false;
            self.line_ended(LineEnd::Return);
        }
        if is_line_end {
            let is_feed = byte == b'\n' && self.state != State::Quoted;
            self.pass_line_end(byte);
            if is_feed {
                self.line_ended(LineEnd::Feed);
            }
        } else {
            self.pass_text(byte, offset);
        }
        self.lines.pass_all(&[byte]);
    }

    fn pass_line_end(&mut self, byte: u8) {
        match self.state {
            State::Quoted => return,
            State::Between => {}
            State::Formula => {
                self.mark(RowFault::QuoteInside);
                self.end_row();
            }
            _ => self.end_row(),
        }
        self.has_return = byte == b'\r';
    }

    fn pass_text(&mut self, byte: u8, offset: u64) {
        if self.state == State::Between {
            self.begin_row(offset);
        }
        let is_delimiter = byte == self.delimiter;
        self.state = match (self.state, byte) {
            (State::Quoted, b'"') => State::QuoteSeen,
            (State::QuoteSeen, b'"') | (State::Quoted, _) => State::Quoted,
            (State::Formula, _) if is_delimiter => {
                self.mark(RowFault::QuoteInside);
                self.end_cell()
            }
            (_, _) if is_delimiter => self.end_cell(),
            (State::CellStart, b'"') => State::Quoted,
            (State::CellStart, b'=') => State::Equals,
            (State::Equals, b'"') => State::Formula,
            (State::Formula, b'"') => State::FormulaEnd,
            (State::Formula, _) => State::Formula,
            (State::QuoteSeen, _) => {
                self.mark(RowFault::TextAfterQuote);
                State::Bare
            }
            (State::FormulaEnd, _) | (State::Bare, b'"') => {
                self.mark(RowFault::QuoteInside);
                State::Bare
            }
            (State::Between | State::CellStart | State::Bare | State::Equals, _) => State::Bare,
        };
    }

    fn end_cell(&mut self) -> State {
        self.cells += 1;
        if self.cells == CELLS_MAX {
            let line = self.row.line;
            self.too_big.get_or_insert(TooBig::Wide { line });
        }
        State::CellStart
    }

    fn begin_row(&mut self, offset: u64) {
        self.state = State::CellStart;
        self.row = RowPlace {
            line: self.lines.line,
            last_line: self.lines.line,
            wrong: self.is_cut.then_some(RowFault::LoneReturn),
        };
        self.row_offset = offset;
        self.cells = 0;
        self.is_cut = false;
    }

    fn end_row(&mut self) {
        self.row.last_line = self.lines.line;
        self.rows.push_back(self.row);
        self.state = State::Between;
    }

    fn mark(&mut self, wrong: RowFault) {
        self.row.wrong.get_or_insert(wrong);
    }

    /// Compares a line end with the file's first one: the rows on both sides of a different line end may be two
    /// halves of one row.
    fn line_ended(&mut self, by: LineEnd) {
        let first = *self.line_end.get_or_insert(by);
        if first != by {
            if let Some(before) = self.rows.back_mut() {
                before.wrong.get_or_insert(RowFault::LoneReturn);
            }
            self.is_cut = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row's line and its fault.
    type Row = (u64, Option<RowFault>);

    /// The rows of a text; they are the same for chunks of every size.
    fn rows(text: &str) -> Vec<Row> {
        let in_parts = |size: usize| {
            let mut quotes = Quotes::of(b',');
            for part in text.as_bytes().chunks(size) {
                quotes.pass(part);
            }
            quotes.end();
            let rows = std::iter::from_fn(move || quotes.row());
            rows.map(|row| (row.line, row.wrong)).collect::<Vec<_>>()
        };
        let whole = in_parts(text.len().max(1));
        for size in [4, 5, 7] {
            assert_eq!(in_parts(size), whole, "{text:?} in parts of {size}");
        }
        whole
    }

    /// The errors of Go's `encoding/csv`: `ErrQuote` is text after a quote or a quote that never closes,
    /// `ErrBareQuote` a quote inside.
    #[test]
    fn quotes_that_do_not_fit_are_found_in_their_rows() {
        use RowFault::{NeverClosed, QuoteInside, TextAfterQuote};
        let table: &[(&str, &[Row])] = &[
            ("a,b\n1,2\n", &[(1, None), (2, None)]),
            ("a,\"b\n1\",2\n\"\"\n", &[(1, None), (3, None)]),
            ("a,\"b\"\"c\"\"\"\n", &[(1, None)]),
            (
                "a,\"b\n1,\"c\",d\nx\n",
                &[(1, Some(TextAfterQuote)), (3, None)],
            ),
            ("a,\"b\n1,\"c\"", &[(1, Some(TextAfterQuote))]),
            ("x\na,\"b\n1,c\n", &[(1, None), (2, Some(NeverClosed))]),
            ("a,\"b\r1,c\rd,e\r", &[(1, Some(NeverClosed))]),
            (
                "a,\"he said \\\"hi\\\"\",g\nb\n",
                &[(1, Some(TextAfterQuote)), (2, None)],
            ),
            ("a,\"C:\\\",g\n", &[(1, None)]),
            ("a,The \"Rock\"\nb", &[(1, Some(QuoteInside)), (2, None)]),
            ("a, \"b\"\n", &[(1, Some(QuoteInside))]),
            ("a,\"b\" \n", &[(1, Some(TextAfterQuote))]),
            ("a,=\"+1202\"\n=\"1\",=2\n", &[(1, None), (2, None)]),
            (
                "=\"1\n2\"\n",
                &[(1, Some(QuoteInside)), (2, Some(QuoteInside))],
            ),
            (
                "=\"1\"2\n=\"1,2\n",
                &[(1, Some(QuoteInside)), (2, Some(QuoteInside))],
            ),
        ];
        for (text, expected) in table {
            assert_eq!(rows(text), *expected, "{text:?}");
        }
    }

    #[test]
    fn lines_are_an_editors_whatever_ends_them() {
        use RowFault::LoneReturn;
        let cut = Some(LoneReturn);
        let table: &[(&str, &[Row])] = &[
            ("a\rb\r\rc", &[(1, None), (2, None), (4, None)]),
            ("a\r\nb\r\n\r\nc", &[(1, None), (2, None), (4, None)]),
            (
                "\u{feff}\n\na\n\"x\n\r\ny\"\nb",
                &[(3, None), (4, None), (7, None)],
            ),
            // A single return in a file of line feeds, and vice versa.
            (
                "a,b\nx,Cl\rark\ny,z\n",
                &[(1, None), (2, cut), (3, cut), (4, None)],
            ),
            ("a\rx\ny\rz\r", &[(1, None), (2, cut), (3, cut), (4, None)]),
            ("a\r\r\nb\r\r\nc\n", &[(1, None), (3, None), (5, None)]),
            ("a\n\"x\ry\"\nb\n", &[(1, None), (2, None), (4, None)]),
        ];
        for (text, expected) in table {
            assert_eq!(rows(text), *expected, "{text:?}");
        }
    }

    #[test]
    fn a_row_is_bounded() {
        let mut quotes = Quotes::of(b',');
        quotes.pass(b"a\n");
        quotes.pass(&b",".repeat(CELLS_MAX - 1));
        assert_eq!(quotes.too_big(), None);
        quotes.pass(b",\nx\n");
        assert_eq!(quotes.too_big(), Some(TooBig::Wide { line: 2 }));
        let mut quotes = Quotes::of(b',');
        quotes.pass(b"a\n\"");
        quotes.pass(&b"\n".repeat(ROW_BYTES_MAX as usize + 1));
        assert_eq!(quotes.too_big(), Some(TooBig::Long { line: 2 }));
        quotes.pass(b"\"\n");
        assert_eq!(quotes.row().map(|row| row.line), Some(1));
        assert_eq!(quotes.rows.len(), 1, "of a row of eight million lines");
    }
}
