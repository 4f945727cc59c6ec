//! The waits after Twilio refused a text for a limit that lasts hours: until midnight, or an hour at a time.
//!
//! In: the retry rule of Twilio's error, the time. Out: a wait, if the rule has one. Always: pure.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::twilio::codes::TryAgain;

/// The wait if it is unknown when a limit ends.
const HOUR: Duration = Duration::from_secs(3_600);

/// Pacific time, by the rule of the United States since 2007, so that no time zone database is needed.
const PACIFIC: &str = "PST8PDT,M3.2.0,M11.1.0";

/// When a limit ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifts {
    /// It certainly ends after this wait.
    After(Duration),
    /// It may have ended after this wait: a retry is worthwhile.
    AskedAgain(Duration),
}

/// When the limit ends whose error has this retry rule.
pub(super) fn lifts(again: TryAgain, now: Timestamp) -> Option<Lifts> {
    match again {
        TryAgain::ByClass => None,
        TryAgain::Hourly | TryAgain::HourlyWhenRepeated => Some(Lifts::AskedAgain(HOUR)),
        TryAgain::MidnightPacific => {
            Some(until_midnight(now).map_or(Lifts::AskedAgain(HOUR), Lifts::After))
        }
    }
}

/// The time from now to the next midnight in Pacific time.
fn until_midnight(now: Timestamp) -> Option<Duration> {
    let pacific = now.to_zoned(TimeZone::posix(PACIFIC).ok()?);
    let midnight = pacific.checked_add(1.day()).ok()?.start_of_day().ok()?;
    midnight.timestamp().duration_since(now).try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brands_daily_cap_lifts_at_midnight_pacific_time() {
        let hours = |now: &str| {
            let now = now.parse().expect("a time");
            match lifts(TryAgain::MidnightPacific, now).expect("a cap") {
                Lifts::After(wait) => wait.as_secs_f64() / 3_600.0,
                other => panic!("{other:?}"),
            }
        };
        let table = [
            // Standard time is eight hours behind UTC, daylight saving time seven.
            ("2026-11-28T20:00:00Z", 12.0),
            ("2026-07-01T20:00:00Z", 11.0),
            ("2026-11-28T07:59:00Z", 1.0 / 60.0),
            ("2026-11-28T08:00:00Z", 24.0),
            // The days on which the clocks change have 23 and 25 hours.
            ("2026-03-08T08:00:00Z", 23.0),
            ("2026-11-01T07:00:00Z", 25.0),
        ];
        for (now, expected) in table {
            assert!(
                (hours(now) - expected).abs() < 1e-9,
                "{now}: {}",
                hours(now)
            );
        }
    }

    #[test]
    fn where_nobody_says_when_a_limit_lifts_it_is_asked_again_each_hour() {
        let now = Timestamp::UNIX_EPOCH;
        let hour = Some(Lifts::AskedAgain(HOUR));
        assert_eq!(lifts(TryAgain::Hourly, now), hour);
        assert_eq!(lifts(TryAgain::ByClass, now), None);
    }
}
