//! Sentences on a terminal.
//!
//! In: text for standard error. Out: on a terminal, lines of its width, 80 columns at most; elsewhere, the text as it is, so
//! that `grep` finds a whole sentence. Always: no word is cut, and no command is broken.

use std::io::{IsTerminal, stderr};

use dialoguer::console::{Term, measure_text_width};

/// The maximum width of a line.
const COLUMNS_MAX: usize = 80;

/// A terminal that reports a smaller width does not know its width.
const COLUMNS_MIN: usize = 20;

/// The indent of the lines that continue a sentence, beyond its own indent.
const INDENT: usize = 2;

/// The width of lines on standard error. `None`: it is not a terminal.
pub(super) fn width() -> Option<usize> {
    if !stderr().is_terminal() {
        return None;
    }
    let size = Term::stderr().size_checked();
    let columns = size.map_or(COLUMNS_MAX, |(_, columns)| usize::from(columns));
    Some(match columns < COLUMNS_MIN {
        true => COLUMNS_MAX,
        false => columns.min(COLUMNS_MAX),
    })
}

/// The text in lines of this width.
pub(super) fn fitted(text: &str, width: usize) -> String {
    let lines = text.split('\n').map(|line| fitted_line(line, width));
    lines.collect::<Vec<_>>().join("\n")
}

fn fitted_line(line: &str, width: usize) -> String {
    if measure_text_width(line) <= width || is_command(line) || is_quoted_source(line) {
        return line.to_owned();
    }
    let text = line.trim_start();
    let blanks = line.len() - text.len();
    let indent = blanks + INDENT;
    let mut fitted = " ".repeat(blanks);
    let mut used = blanks;
    for (at, part) in parts(text).into_iter().enumerate() {
        let wide = measure_text_width(&part);
        if at > 0 && used + 1 + wide > width {
            fitted.push('\n');
            fitted.push_str(&" ".repeat(indent));
            used = indent;
        } else if at > 0 {
            fitted.push(' ');
            used += 1;
        }
        fitted.push_str(&part);
        used += wide;
    }
    fitted
}

/// The words of a text. A command is one word, so that it can be copied.
fn parts(text: &str) -> Vec<String> {
    let words: Vec<&str> = text.split(' ').collect();
    let mut parts = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let end = command_end(&words, at).unwrap_or(at + 1);
        parts.push(words[at..end].join(" "));
        at = end;
    }
    parts
}

/// The end of the command that begins at this word, if one does: the command follows a colon, or is in parentheses.
fn command_end(words: &[&str], at: usize) -> Option<usize> {
    let follows_colon = at > 0 && words[at - 1].ends_with(':');
    let begins = match words[at] {
        "flexcast" => follows_colon,
        "(flexcast" => true,
        _ => false,
    };
    let is_last = |word: &&str| word.ends_with(['.', ',', ';', ')']);
    let last = words[at..].iter().position(is_last);
    begins.then(|| last.map_or(words.len(), |last| at + last + 1))
}

/// Whether the line is a command to be copied.
fn is_command(line: &str) -> bool {
    let program = line.split_whitespace().next().unwrap_or_default();
    line.starts_with("  ") && (program == "flexcast" || program.ends_with("/flexcast"))
}

/// Whether the line shows a line of a file beside its number, as errors of TOML do.
fn is_quoted_source(line: &str) -> bool {
    let text = line.trim_start();
    text.trim_start_matches(|c: char| c.is_ascii_digit())
        .trim_start()
        .starts_with('|')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_sentence_continues_under_an_indent() {
        let table = [
            ("short", "short"),
            (
                "error: the word that does not fit is on the next line",
                "error: the word that does not\n  fit is on the next line",
            ),
            (
                "  line 4: it has no country code, and no country is named",
                "  line 4: it has no country\n    code, and no country is\n    named",
            ),
            (
                "one line that is rather long\n\n  and a second, also long one",
                "one line that is rather long\n\n  and a second, also long one",
            ),
            (
                "a-word-that-is-longer-than-the-whole-line follows",
                "a-word-that-is-longer-than-the-whole-line\n  follows",
            ),
        ];
        for (text, expected) in table {
            assert_eq!(fitted(text, 30), expected);
        }
    }

    #[test]
    fn a_command_is_not_broken() {
        let table = [
            (
                "error: there is none. All: flexcast campaign list. Add one",
                "error: there is none. All:\n  flexcast campaign list. Add\n  one",
            ),
            (
                "To see it: flexcast unknown list renewals --state /a/long/path",
                "To see it:\n  flexcast unknown list renewals --state /a/long/path",
            ),
            (
                "it is open; a consumer (flexcast work) sends it",
                "it is open; a consumer\n  (flexcast work) sends it",
            ),
            (
                "To send:\n  ./flexcast send a.toml b.csv --yes --strict",
                "To send:\n  ./flexcast send a.toml b.csv --yes --strict",
            ),
            (
                "a.toml: an error\n12 | key = a value that is far too long",
                "a.toml: an error\n12 | key = a value that is far too long",
            ),
        ];
        for (text, expected) in table {
            assert_eq!(fitted(text, 30), expected);
        }
    }
}
