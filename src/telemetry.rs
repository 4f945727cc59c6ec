//! Logging: format, destination and level; and escaping of control characters for terminals.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Libraries that log personal data below the level of warnings: parameters of SQL statements, phone numbers, bodies
/// and headers of messages. Only their warnings and errors are logged.
const SILENT: [&str; 6] = [
    "tokio_postgres",
    "rlibphonenumber",
    "lapin",
    "amq_protocol",
    "hyper",
    "h2",
];

/// Starts logging to standard error: as text on a terminal, as JSON elsewhere or with `LOG_FORMAT=json`.
///
/// `RUST_LOG` overrides `level`. Standard output is for data only. Log lines have no colours, so that every escape
/// sequence in a line comes from outside and is escaped.
pub fn start(level: &str, log_format: Option<&str>) {
    let asked = std::env::var("RUST_LOG").ok();
    let filter = asked
        .and_then(|asked| EnvFilter::try_new(without_bodies(&asked)).ok())
        .unwrap_or_else(|| EnvFilter::new(without_bodies(&format!("{level},hyper=warn"))));
    // RUST_LOG does not change this: these libraries log customers' numbers, names and texts.
    let no_personal_data = filter_fn(|line| {
        let library = line.target().split("::").next().unwrap_or_default();
        let is_silent = SILENT.contains(&library);
        !is_silent || *line.level() <= Level::WARN
    });
    let is_json = match log_format {
        Some(format) => format == "json",
        None => !io::stderr().is_terminal(),
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // The library reports a line that it cannot write (such as on a full disk) on standard error, and panics when
        // that fails too.
        .log_internal_errors(false)
        .with_ansi(false)
        .with_writer(LogOutput { is_json });
    // A second start in one process (in tests) has no effect.
    let _started = if is_json {
        let logs = builder.json().flatten_event(true).finish();
        logs.with(no_personal_data).try_init()
    } else {
        let logs = builder.with_target(false).finish();
        logs.with(no_personal_data).try_init()
    };
}

/// The directives, with lapin off unless they name it: it logs returned messages with their bodies, which have phone
/// numbers.
fn without_bodies(directives: &str) -> String {
    if directives.contains("lapin") {
        directives.to_owned()
    } else {
        format!("{directives},lapin=off")
    }
}

/// Whether a terminal would act on the character instead of showing it: control characters (C0 and C1), marks that
/// reverse or hide the text around them, and line breaks other than newline.
fn is_unprintable(c: char) -> bool {
    let is_mark = matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    is_mark || (c.is_control() && !matches!(c, '\n' | '\t'))
}

/// The text with control characters escaped for a terminal: `\u{1b}` in place of an escape. Newlines and tabs stay.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unprintable) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_unprintable(c) {
            true => shown.extend(c.escape_unicode()),
            false => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// The JSON with control characters escaped for a terminal. In JSON such a character can only be in a string, where
/// `\u009b` stands for it.
#[must_use]
pub fn printable_json(json: &str) -> Cow<'_, str> {
    if !json.contains(is_unprintable) {
        return Cow::Borrowed(json);
    }
    let mut shown = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_unprintable(c) {
            // All of them are in the Basic Multilingual Plane.
            let _ = write!(shown, "\\u{:04x}", c as u32);
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// A writer that escapes control characters for a terminal. A character may arrive in several writes.
pub struct Printable<W> {
    inner: W,
    /// The first bytes of a character that is not complete.
    begun: Vec<u8>,
}

impl<W> Printable<W> {
    /// Creates a writer in front of `inner`.
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            begun: Vec::new(),
        }
    }
}

impl<W: Write> Write for Printable<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begun.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(&self.begun) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => self.begun.len(),
        };
        let rest = self.begun.split_off(whole);
        let text = std::mem::replace(&mut self.begun, rest);
        let text = String::from_utf8_lossy(&text);
        self.inner.write_all(printable(&text).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Something that is drawn at the bottom of the terminal, such as a progress bar. It steps aside while a line is
/// written, so that the line does not run into it.
pub trait Drawn: Send + Sync {
    /// Removes the drawing, calls `write`, and draws again.
    fn aside(&self, write: &mut dyn FnMut());
}

/// What is drawn now. Standard error is one for the whole process, and so is this.
static DRAWN: Mutex<Option<Arc<dyn Drawn>>> = Mutex::new(None);

/// Sets what is drawn at the bottom of the terminal from now on.
pub fn draw(drawn: Option<Arc<dyn Drawn>>) {
    *DRAWN.lock().unwrap_or_else(PoisonError::into_inner) = drawn;
}

/// Writes whole lines to standard error, above what is drawn there.
///
/// # Errors
///
/// An error when standard error cannot be written.
pub fn write_lines(lines: &str) -> io::Result<()> {
    let drawn = DRAWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut written = Ok(());
    let mut write = || written = io::stderr().lock().write_all(lines.as_bytes());
    match drawn {
        Some(drawn) => drawn.aside(&mut write),
        None => write(),
    }
    written
}

/// The destination of log lines.
struct LogOutput {
    is_json: bool,
}

/// The writer of one log line, which is written as a whole.
struct LogLine {
    is_json: bool,
}

impl<'a> MakeWriter<'a> for LogOutput {
    type Writer = LogLine;

    fn make_writer(&'a self) -> LogLine {
        LogLine {
            is_json: self.is_json,
        }
    }
}

impl Write for LogLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        // One event is one line: line breaks in values are escaped.
        let shown = match self.is_json {
            true => printable_json(line).into_owned(),
            false => printable(line).replace('\n', "\\n"),
        };
        let end = if line.len() < text.len() { "\n" } else { "" };
        write_lines(&format!("{shown}{end}"))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_terminal_acts_on_what_is_printed() {
        let hostile =
            "a\u{1b}[31mb\u{9b}2Jc\u{202e}d\u{2066}e\rf\u{7}g\u{7f}h\u{85}i\u{2028}j\tk\n";
        let shown = printable(hostile);
        let is_shown = |c: char| !is_unprintable(c);
        assert!(shown.chars().all(is_shown), "{shown:?}");
        assert!(
            shown.starts_with("a\\u{1b}[31mb\\u{9b}2Jc\\u{202e}d"),
            "{shown}"
        );
        assert!(shown.ends_with("j\tk\n"));
        assert_eq!(
            printable("Zo\u{eb} \u{1f468}\u{200d}\u{1f469}"),
            "Zo\u{eb} \u{1f468}\u{200d}\u{1f469}"
        );

        let json = serde_json::to_string(hostile).expect("JSON");
        let shown = printable_json(&json);
        assert!(shown.chars().all(is_shown), "{shown:?}");
        let read: String = serde_json::from_str(&shown).expect("the same JSON");
        assert_eq!(read, hostile);
    }

    #[test]
    fn a_character_may_come_in_pieces() {
        let mut out = Printable::new(Vec::new());
        let text = "\u{1b}\u{9b}\u{202e}\u{eb}\u{1f468}";
        for byte in text.as_bytes() {
            out.write_all(&[*byte]).expect("written");
        }
        let shown = String::from_utf8(out.inner).expect("UTF-8");
        assert_eq!(shown, "\\u{1b}\\u{9b}\\u{202e}\u{eb}\u{1f468}");
    }
}
