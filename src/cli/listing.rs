//! Lists for people.
//!
//! In: cells, sentences. Out: lines of at most 80 columns, on a terminal and in a pipe alike. Always: no name and no
//! number is cut. A name that is too long for its column has a line of its own, and a sentence continues on the next
//! line.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};

use clap::Args;
use comfy_table::presets::NOTHING;
use comfy_table::{Cell, ColumnConstraint, Table, Width};

use crate::telemetry::printable;

/// The maximum width of a line.
const COLUMNS: u16 = 80;

/// The blanks between two columns of a table.
const GAP: u16 = 2;

/// The last column of a table is not made narrower than this for the sake of the first one.
const TEXT_MIN: u16 = 30;

/// The maximum length of a sentence, in characters.
const TEXT_CHARS_MAX: usize = 500;

/// How many rows a list shows on a screen.
const ROWS_SHOWN: usize = 20;

/// How many rows a list has.
#[derive(Debug, Args)]
pub(super) struct LimitArgs {
    /// The maximum number of rows [default: 20; with --json, all]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

impl LimitArgs {
    /// The maximum number of rows. `None`: all.
    pub(super) fn rows(&self, json: bool) -> Option<usize> {
        self.limit.or((!json).then_some(ROWS_SHOWN))
    }
}

/// A table without lines.
pub(super) struct Listing {
    rows: Vec<Vec<Cell>>,
    has_header: bool,
}

/// Creates a table without lines. If `header` is not empty, it is the first row, and a column that is empty below its
/// header is left out.
pub(super) fn table(header: &[&str]) -> Listing {
    let mut table = Listing {
        rows: Vec::new(),
        has_header: !header.is_empty(),
    };
    if table.has_header {
        table.add_row(header.to_vec());
    }
    table
}

impl Listing {
    /// Adds a row. Its first cell is a name, and its last cell may be a sentence.
    pub(super) fn add_row(&mut self, cells: impl IntoIterator<Item: Into<Cell>>) {
        let cells = cells.into_iter().map(Into::into).map(|cell: Cell| {
            let text = cell.content();
            match one_line(&text) {
                Cow::Borrowed(_) => cell,
                Cow::Owned(text) => Cell::new(text),
            }
        });
        self.rows.push(cells.collect());
    }

    /// The rows as they are shown.
    fn shown(&self) -> Vec<Vec<Cell>> {
        let (Some(header), true) = (self.rows.first(), self.has_header && self.rows.len() > 1)
        else {
            return self.rows.clone();
        };
        let is_filled = |at: usize| {
            let mut cells = self.rows.iter().skip(1).filter_map(|row| row.get(at));
            cells.any(|cell| !cell.content().is_empty())
        };
        let filled: Vec<bool> = (0..header.len()).map(is_filled).collect();
        let rows = self.rows.iter().map(|row| {
            let cells = row.iter().zip(&filled);
            let cells = cells.filter(|(_, is_filled)| **is_filled);
            cells.map(|(cell, _)| cell.clone()).collect()
        });
        rows.collect()
    }

    /// The width of each column.
    fn widths(rows: &[Vec<Cell>]) -> Vec<u16> {
        let mut widths = content_widths(rows.iter().cloned());
        let [first, middle @ .., last] = widths.as_mut_slice() else {
            return widths;
        };
        let gaps = GAP.saturating_mul(middle.len() as u16 + 1);
        let others = middle
            .iter()
            .fold(gaps, |sum, width| sum.saturating_add(*width));
        let room = COLUMNS.saturating_sub(others);
        if first.saturating_add(*last) > room {
            *last = (*last).min(room.saturating_sub(*first).max(TEXT_MIN));
            *first = (*first).min(room.saturating_sub(*last));
        }
        widths
    }
}

impl Display for Listing {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let rows = self.shown();
        let widths = Self::widths(&rows);
        let mut lines = Vec::new();
        for mut row in rows {
            if let Some(name) = row.first_mut()
                && content_widths([vec![name.clone()]]).first() > widths.first()
            {
                lines.push(paragraph("", &name.content()));
                *name = Cell::new("");
            }
            lines.push(laid_out(row, &widths));
        }
        f.write_str(&lines.join("\n"))
    }
}

/// The width of the widest cell of each column.
fn content_widths(rows: impl IntoIterator<Item = Vec<Cell>>) -> Vec<u16> {
    let mut table = Table::new();
    table.add_rows(rows);
    table.column_max_content_widths()
}

/// A row with columns of these widths, without blanks at the end of a line.
fn laid_out(row: Vec<Cell>, widths: &[u16]) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING).add_row(row);
    for (column, width) in table.column_iter_mut().zip(widths) {
        column.set_padding((0, GAP));
        let width = Width::Fixed(width.saturating_add(GAP));
        column.set_constraint(ColumnConstraint::Absolute(width));
    }
    table.trim_fmt()
}

/// A sentence on as many lines as it needs. `before` stands in front of the first line, and as many blanks in front of
/// the others.
pub(super) fn paragraph(before: &str, sentence: &str) -> String {
    let (before, sentence) = (one_line(before), one_line(sentence));
    let indent = before.chars().count();
    let width = usize::from(COLUMNS).saturating_sub(indent);
    let cell = Cell::new(cut(&sentence, TEXT_CHARS_MAX));
    let lines = laid_out(vec![cell], &[u16::try_from(width).unwrap_or(COLUMNS)]);
    let lines = lines.lines().enumerate().map(|(at, line)| match at {
        0 => format!("{before}{line}"),
        _ => format!("{:indent$}{line}", ""),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A sentence that ends with a command: the command has a line of its own.
pub(super) fn with_command(sentence: &str) -> String {
    match sentence.split_once(": flexcast ") {
        Some((sentence, command)) => format!(
            "{}\n{}",
            paragraph("", &format!("{sentence}:")),
            // One line, however long: it is to be copied.
            one_line(&format!("  flexcast {command}"))
        ),
        None => paragraph("", sentence),
    }
}

/// The text without line breaks, tabs and control characters.
fn one_line(text: &str) -> Cow<'_, str> {
    match printable(text) {
        Cow::Borrowed(text) if !text.contains(['\n', '\t']) => Cow::Borrowed(text),
        text => text.replace(['\n', '\t'], " ").into(),
    }
}

/// A name, cut to 60 characters.
pub(super) fn brief(text: &str) -> String {
    cut(text, 60)
}

/// The beginning of a text. Three dots stand for the rest.
fn cut(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    let begins: String = text.chars().take(chars_max).collect();
    format!("{begins}...")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn fits(text: &str) {
        for line in text.lines() {
            assert!(line.chars().count() <= usize::from(COLUMNS), "{line}");
        }
    }

    #[test]
    fn what_fits_is_a_plain_table() {
        let mut table = table(&["campaign", "state", "open"]);
        table.add_row(["spring", "running", "12"]);
        table.add_row(["autumn-2026", "paused", "1"]);
        let expected = "campaign     state    open\n\
                        spring       running  12\n\
                        autumn-2026  paused   1";
        assert_eq!(table.to_string(), expected);
    }

    #[test]
    fn a_column_without_a_value_is_left_out() {
        let mut table = table(&["limit", "rate", "resting", "wait"]);
        table.add_row(["account", "none", "", "0"]);
        table.add_row(["sender", "1/s", "", "5"]);
        let expected = "limit    rate  wait\naccount  none  0\nsender   1/s   5";
        assert_eq!(table.to_string(), expected);
    }

    #[test]
    fn a_long_name_has_a_line_of_its_own() {
        let long = "conversations-task-now-for-gold-customers-of-the-north-east";
        let columns = ["accepted", "waiting", "unknown", "skipped"];
        let mut table = table(&["campaign", columns[0], columns[1], columns[2], columns[3]]);
        table.add_row([long, "1000000", "2", "3", "4"]);
        table.add_row(["spring", "1", "2", "3", "4"]);
        let text = table.to_string();
        fits(&text);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[1], long);
        assert!(lines[2].trim_start().starts_with("1000000"), "{text}");
        assert!(lines[3].starts_with("spring "), "{text}");
        assert_eq!(lines[2].find("1000000"), lines[0].find("accepted"));
    }

    #[test]
    fn a_long_last_cell_continues_on_the_next_line() {
        let mut table = table(&[]);
        table.add_row(["  dead", "12", &"invalid_address 3, ".repeat(9)]);
        let text = table.to_string();
        fits(&text);
        assert_eq!(text.matches("invalid_address 3,").count(), 9, "{text}");
        assert!(
            text.lines()
                .skip(1)
                .all(|line| line.starts_with("          "))
        );
    }

    #[test]
    fn a_paragraph_keeps_every_word_and_its_indent() {
        let text = paragraph("  12  ", &"Twilio refused the message. ".repeat(8));
        fits(&text);
        assert!(text.starts_with("  12  Twilio"), "{text}");
        assert!(
            text.lines()
                .skip(1)
                .all(|line| line.starts_with("      T") || line.starts_with("      "))
        );
        assert_eq!(text.split_whitespace().count(), 1 + 4 * 8);
        // A word that is longer than a line.
        let text = paragraph("", &"x".repeat(200));
        fits(&text);
        assert_eq!(text.matches('x').count(), 200);
    }

    #[test]
    fn a_cut_shows() {
        let text = paragraph("", &"word ".repeat(500));
        assert!(text.ends_with("..."), "{text}");
        fits(&text);
        fits(&paragraph("", "a\u{1b}[31m\tb\nc"));
    }

    #[test]
    fn a_command_has_a_line_of_its_own() {
        let text = with_command(
            "Campaign spring was paused. Resume it with: flexcast campaign resume spring",
        );
        let expected =
            "Campaign spring was paused. Resume it with:\n  flexcast campaign resume spring";
        assert_eq!(text, expected);
    }
}
