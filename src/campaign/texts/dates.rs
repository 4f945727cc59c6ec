//! Dates in a text, in the campaign's format.
//!
//! In: a date from a file, and a format. Out: the text. Always: an ambiguous date is refused, never guessed; no
//! error contains a customer's value.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::tz::TimeZone;

/// The default format: `1 December 2026`.
pub(super) const USUAL: &str = "%-d %B %Y";

/// Date formats of which no two read the same text as different days.
const PLAIN: [&str; 12] = [
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%d.%m.%Y",
    "%d.%m.%y",
    "%d %B %Y",
    "%d %b %Y",
    "%B %d, %Y",
    "%b %d, %Y",
    "%A, %B %d, %Y",
    "%d-%b-%Y",
    "%d-%b-%y",
];

/// Day and month in either order: accepted only if one of the two readings is a date.
const EITHER: [[&str; 2]; 4] = [
    ["%m/%d/%Y", "%d/%m/%Y"],
    ["%m/%d/%y", "%d/%m/%y"],
    ["%m-%d-%Y", "%d-%m-%Y"],
    ["%m-%d-%y", "%d-%m-%y"],
];

const TIMES: [&str; 4] = ["%H:%M:%S", "%H:%M", "%I:%M:%S %p", "%I:%M %p"];

/// Why a date cannot be reformatted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum DateError {
    #[error(
        "the value is not a date; write it as 2026-12-01, or give its format: date(from=\"%d.%m.%Y\")"
    )]
    NoDate,
    #[error(
        "the value is one date with the month first and another with the day first; give its format: date(from=\"%m/%d/%Y\")"
    )]
    Ambiguous,
    #[error("it cannot be written as {0:?}: {1}")]
    Format(String, String),
}

/// Writes a date in `format` (strftime). `from` is the format of the value, for ambiguous values.
pub(super) fn rewritten(
    value: &str,
    format: &str,
    from: Option<&str>,
) -> Result<String, DateError> {
    let at = match from {
        Some(from) => by(from, value.trim()).ok_or(DateError::NoDate)?,
        None => read(value.trim())?,
    };
    strtime::format(format, at)
        .map_err(|error| DateError::Format(format.to_owned(), error.to_string()))
}

fn read(text: &str) -> Result<DateTime, DateError> {
    if let Ok(at) = text.parse::<DateTime>() {
        return Ok(at);
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at.to_zoned(TimeZone::UTC).datetime());
    }
    let whole = date(text);
    if let Ok(date) = whole {
        return Ok(date.at(0, 0, 0, 0));
    }
    // A time of day after the date: the shortest date part whose rest is a time.
    for (at, _) in text.match_indices([' ', 'T']) {
        let time = TIMES.iter().find_map(|format| {
            let text = text[at + 1..].trim().to_uppercase();
            Time::strptime(format, text).ok()
        });
        if let Some(time) = time {
            return date(text[..at].trim_end_matches(',')).map(|date| date.to_datetime(time));
        }
    }
    whole.map(|date| date.at(0, 0, 0, 0))
}

fn date(text: &str) -> Result<Date, DateError> {
    // "1.12.26" is not a date of the year 26 or of the year 1.
    let is_of_four_digits = |date: &Date| date.year() >= 1_000;
    let by = |format: &&str| Date::strptime(format, text).ok().filter(is_of_four_digits);
    if let Some(date) = PLAIN.iter().find_map(by) {
        return Ok(date);
    }
    for [one, other] in EITHER {
        return match (by(&one), by(&other)) {
            (Some(one), Some(other)) if one != other => Err(DateError::Ambiguous),
            (Some(date), _) | (None, Some(date)) => Ok(date),
            (None, None) => continue,
        };
    }
    Err(DateError::NoDate)
}

/// Parses a value in a given format, with or without a time of day.
fn by(format: &str, text: &str) -> Option<DateTime> {
    let parsed = BrokenDownTime::parse(format, text).ok()?;
    let date = parsed.to_date().ok()?;
    Some(date.to_datetime(parsed.to_time().unwrap_or(Time::midnight())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_files_have_them() {
        let table = [
            ("2026-12-01", "2026-12-01 00:00"),
            ("2026-12-01T09:30:00", "2026-12-01 09:30"),
            ("2026-12-01T09:30:00Z", "2026-12-01 09:30"),
            ("2026-12-01T09:30:00+01:00", "2026-12-01 09:30"),
            ("2026-12-01 09:30", "2026-12-01 09:30"),
            ("2026/12/01", "2026-12-01 00:00"),
            ("01.12.2026", "2026-12-01 00:00"),
            ("1.12.26", "2026-12-01 00:00"),
            ("1 December 2026", "2026-12-01 00:00"),
            ("1 Dec 2026", "2026-12-01 00:00"),
            ("December 1, 2026", "2026-12-01 00:00"),
            ("1-Dec-26", "2026-12-01 00:00"),
            ("12/31/2026", "2026-12-31 00:00"),
            ("31/12/2026", "2026-12-31 00:00"),
            ("12/12/2026", "2026-12-12 00:00"),
            ("12/31/26 9:30 PM", "2026-12-31 21:30"),
            ("31.12.2026 09:30", "2026-12-31 09:30"),
        ];
        for (text, expected) in table {
            let found = rewritten(text, "%Y-%m-%d %H:%M", None);
            assert_eq!(found.as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_could_be_two_dates_is_refused_until_the_template_says_which() {
        assert_eq!(
            rewritten("01/02/2026", USUAL, None),
            Err(DateError::Ambiguous)
        );
        let said = [
            ("%m/%d/%Y", "2 January 2026"),
            ("%d/%m/%Y", "1 February 2026"),
        ];
        for (from, expected) in said {
            let found = rewritten("01/02/2026", USUAL, Some(from));
            assert_eq!(found.as_deref(), Ok(expected), "{from}");
        }
        for text in ["", "soon", "31.02.2026", "2026-13-01", "46357"] {
            assert_eq!(
                rewritten(text, USUAL, None),
                Err(DateError::NoDate),
                "{text}"
            );
        }
        let wrong = rewritten("2026-12-01", "%Q", None);
        assert!(matches!(wrong, Err(DateError::Format(..))), "{wrong:?}");
    }
}
