//! The question before messages are sent.
//!
//! In: a command line, an account, a preview. Out: the question on a terminal, and its answer. Always: without a
//! terminal nothing is sent without `--yes`, and the error shows the command with `--yes`.

use std::ffi::OsString;
use std::fmt;
use std::io::IsTerminal;

use jiff::tz::TimeZone;

use crate::clock::Clock;
use crate::config::Config;
use crate::operate::{ImportPreview, counted, ends_at, words};
use crate::service::client_settings;
use crate::telemetry::printable;
use crate::twilio::hide_numbers;

use super::preview::wrapped;
use super::{ExitCode, Problem, output};

/// The maximum number of senders that a question names.
const SENDERS_SHOWN: usize = 3;

/// Whether standard input and standard error are a terminal.
pub(super) fn can_ask() -> bool {
    no_terminal().is_none()
}

/// Whether the operator is to be asked before messages are sent. `--yes` answers the question.
///
/// # Errors
///
/// [`ExitCode::Usage`] without `--yes` and without a terminal. The text has the command that sends.
pub(super) fn asks_before_sending(is_yes: bool) -> Result<bool, Problem> {
    match no_terminal() {
        _ if is_yes => Ok(false),
        None => Ok(true),
        Some(stream) => Err(Problem::new(
            ExitCode::Usage,
            format!(
                "nothing was sent: flexcast asks before it sends, and {stream} is not a terminal; to send without \
                the question, add --yes:\n  {}",
                with_yes(std::env::args_os())
            ),
        )),
    }
}

/// The standard stream that is not a terminal.
fn no_terminal() -> Option<&'static str> {
    if !std::io::stdin().is_terminal() {
        Some("standard input")
    } else if !std::io::stderr().is_terminal() {
        Some("standard error")
    } else {
        None
    }
}

/// The command line as shell words, with `--yes` added. The number that `try` writes to is masked, because it may be
/// a customer's.
fn with_yes(arguments: impl Iterator<Item = OsString>) -> String {
    let mut words: Vec<_> = arguments
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    // Arguments after `--` are not flags.
    let end = words.iter().position(|word| word == "--");
    let is_try = words.iter().any(|word| word == "try");
    words.insert(end.unwrap_or(words.len()), "--yes".to_owned());
    if is_try {
        mask_numbers(&mut words);
    }
    shell_words::join(words)
}

fn mask_numbers(words: &mut [String]) {
    let mut is_to = false;
    for word in words {
        if is_to || word.starts_with("--to=") {
            *word = hide_numbers(word);
        }
        is_to = word == "--to";
    }
}

/// Asks a yes-or-no question on the terminal.
pub(super) fn ask(question: &str) -> Result<bool, Problem> {
    dialoguer::Confirm::new()
        .with_prompt(question)
        .default(false)
        .interact()
        .map_err(|error| Problem::new(ExitCode::Failed, error.to_string()))
}

/// Asks on the terminal for a column, by its header or by its number in the list that is shown. With `usual`, `-`
/// means no column.
pub(super) fn column(
    question: &str,
    headers: &[String],
    usual: Option<&str>,
) -> Result<String, Problem> {
    let filled = headers.iter().enumerate();
    for (at, header) in filled.filter(|(_, header)| !header.trim().is_empty()) {
        tell!("  {} {:?}", at + 1, output::brief(header));
    }
    let chosen = |text: &str| -> Option<String> {
        if text.trim() == "-" && usual.is_some() {
            return Some(String::new());
        }
        let is_named = |header: &&String| header.trim() == text.trim();
        let by_name = headers.iter().find(is_named);
        let number = text.trim().parse::<usize>().ok();
        let by_number = || headers.get(number?.checked_sub(1)?);
        by_name.or_else(by_number).cloned()
    };
    let shown = usual.map(|usual| printable(usual).into_owned());
    let mut input = dialoguer::Input::<String>::new()
        .with_prompt(question)
        .validate_with(|text: &String| match shown.as_deref() == Some(text) {
            false if chosen(text).is_none() => Err("type the header or the number of a column"),
            _ => Ok(()),
        });
    if let Some(usual) = &shown {
        input = input.default(usual.clone());
    }
    let text = input
        .interact_text()
        .map_err(|error| Problem::new(ExitCode::Failed, error.to_string()))?;
    let is_usual = shown.as_deref() == Some(text.as_str());
    let usual = usual
        .filter(|usual| is_usual && *usual != "-")
        .map(str::to_owned);
    Ok(usual.or_else(|| chosen(&text)).unwrap_or_default())
}

/// The account that sends, and the server that its calls go to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Destination {
    /// The account's SID, shortened.
    pub(super) account: String,
    /// Twilio, or the server in its place.
    pub(super) place: String,
}

impl Destination {
    /// Reads the destination from the environment.
    ///
    /// # Errors
    ///
    /// An error when the credentials or the address are missing or wrong.
    pub(super) fn of(config: &Config) -> Result<Self, Problem> {
        let settings = client_settings(config)?;
        let (base, access) = (&settings.base, &config.twilio);
        let place = match (&access.url, &access.region) {
            (Some(_), _) if base.is_loopback() => format!("the simulator at {base}"),
            (Some(_), _) => format!("{base} (FLEXCAST_TWILIO_URL)"),
            (None, Some(region)) => format!("Twilio (region {region})"),
            (None, None) => "Twilio".to_owned(),
        };
        Ok(Self {
            account: shortened(settings.credentials.account_sid()),
            place,
        })
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "account {} at {}", self.account, self.place)
    }
}

/// The two letters of a SID and its last four characters.
fn shortened(sid: &str) -> String {
    let end = sid.len().saturating_sub(4).max(2);
    match (sid.get(..2), sid.get(end..)) {
        (Some(kind), Some(end)) => format!("{kind}...{end}"),
        _ => sid.to_owned(),
    }
}

/// Prints on standard error how many customers are written to, from which senders, through which account, and how
/// long it takes.
pub(super) fn tell_what_is_sent(to: &Destination, shown: &ImportPreview) {
    let customers = counted(shown.to_send(), "customer");
    let from = from(&shown.senders_used);
    let done = shown.forecast.binding().map(|bound| {
        let end = ends_at(Clock::system().now(), bound.takes, TimeZone::system());
        let end = end.map(|end| format!(" ({end})")).unwrap_or_default();
        format!(", done in about {}{end}", words(bound.takes))
    });
    let done = done.unwrap_or_default();
    let sentence = format!("Send to {customers} from {from}, {to}{done}.");
    alert!("{}", wrapped(&sentence));
}

/// The names of the first senders, and the number of the others.
fn from(names: &[String]) -> String {
    let shown = names.len().min(SENDERS_SHOWN);
    let more = match names.len() - shown {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", names[..shown].join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_to_repeat_is_the_one_given_with_a_yes() {
        let table: [(&[&str], &str); 5] = [
            (
                &["flexcast", "send", "a.toml", "b.csv"],
                "flexcast send a.toml b.csv --yes",
            ),
            (
                &[
                    "./flexcast",
                    "send",
                    "a.toml",
                    "Bob's list.csv",
                    "--map",
                    "phone=Phone 1",
                ],
                r"./flexcast send a.toml 'Bob'\''s list.csv' --map 'phone=Phone 1' --yes",
            ),
            (
                &["flexcast", "send", "--json", "--", "-a.toml", "$b.csv"],
                "flexcast send --json --yes -- -a.toml '$b.csv'",
            ),
            (
                &["flexcast", "try", "a.toml", "--to", "+12025550173"],
                "flexcast try a.toml --to '+1******0173' --yes",
            ),
            (
                &[
                    "flexcast",
                    "try",
                    "2025550100.toml",
                    "--to=whatsapp:+12025550173",
                ],
                "flexcast try 2025550100.toml '--to=whatsapp:+1******0173' --yes",
            ),
        ];
        for (words, expected) in table {
            let found = with_yes(words.iter().map(OsString::from));
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_destination_is_named_as_the_environment_has_it() {
        let table = [
            (None, None, "Twilio"),
            (None, Some("us1"), "Twilio (region us1)"),
            (
                Some("http://127.0.0.1:8080"),
                None,
                "the simulator at http://127.0.0.1:8080",
            ),
            (
                Some("http://[::1]:8080/"),
                None,
                "the simulator at http://[::1]:8080",
            ),
            (
                Some("http://simulator:8080"),
                None,
                "http://simulator:8080 (FLEXCAST_TWILIO_URL)",
            ),
        ];
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("flexcast.toml");
        std::fs::write(&file, "").expect("written");
        for (url, region, place) in table {
            let environment = |name: &str| {
                let value = match name {
                    "TWILIO_ACCOUNT_SID" => Some("AC0123456789abcdef0123456789abcdef"),
                    "TWILIO_AUTH_TOKEN" => Some("hush"),
                    "TWILIO_REGION" => region,
                    "FLEXCAST_TWILIO_URL" => url,
                    _ => None,
                };
                value.map(str::to_owned)
            };
            let config = Config::load(Some(&file), None, &environment).expect("a configuration");
            let found = Destination::of(&config).expect("a destination");
            assert_eq!(found.to_string(), format!("account AC...cdef at {place}"));
        }
    }

    #[test]
    fn senders_are_named_briefly() {
        let table: [(&[&str], &str); 3] = [
            (&["+12025550100"], "+12025550100"),
            (&["a", "b", "c"], "a, b, c"),
            (&["a", "b", "c", "d", "e"], "a, b, c and 2 more"),
        ];
        for (names, expected) in table {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            assert_eq!(from(&names), expected);
        }
    }
}
