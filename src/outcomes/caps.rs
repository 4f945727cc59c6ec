//! How long to wait after Twilio refused a text for a limit that stands for hours: until midnight, an hour at a time, or
//! shorter at first.
//!
//! In: Twilio's code, how many attempts had failed before, the time. Out: a wait, where the code says that one helps.
//! Always: pure.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// Daily caps that lift at midnight Pacific time: the registered brand's with a US carrier (Twilio's page of 30023), and
/// the carrier's (30027).
const UNTIL_MIDNIGHT: [u32; 2] = [30023, 30027];

/// Limits that lift within a day, and no source says when: the account's of 24 hours (63038), and the hours in which
/// local rules let nobody be written to, 9 p.m. to 8 a.m. where the customer is (30610).
const HOURLY: [u32; 2] = [63038, 30610];

/// Two texts of Twilio's disagree on 63018: the sender's rate of a moment, or its limit of a day. The first refusal is
/// taken as the rate.
const HOURLY_WHEN_REPEATED: u32 = 63018;

/// The wait where nobody says when a limit lifts.
const HOUR: Duration = Duration::from_secs(3_600);

/// Pacific time, by the rule of the United States since 2007: no database of time zones is needed.
const PACIFIC: &str = "PST8PDT,M3.2.0,M11.1.0";

/// How long a limit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifts {
    /// After this wait it is certainly gone.
    After(Duration),
    /// It is worth to ask again after this wait.
    AskedAgain(Duration),
}

/// How long the limit stands that Twilio named with this code.
pub(super) fn lifts(code: u32, failed_before: u32, now: Timestamp) -> Option<Lifts> {
    if UNTIL_MIDNIGHT.contains(&code) {
        return Some(until_midnight(now).map_or(Lifts::AskedAgain(HOUR), Lifts::After));
    }
    let is_hourly = HOURLY.contains(&code) || (code == HOURLY_WHEN_REPEATED && failed_before > 0);
    is_hourly.then_some(Lifts::AskedAgain(HOUR))
}

/// From now to the next midnight in Pacific time.
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
            match lifts(30023, 0, now).expect("a cap") {
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
        assert_eq!((lifts(63038, 0, now), lifts(30610, 3, now)), (hour, hour));
        assert_eq!((lifts(63018, 0, now), lifts(63018, 1, now)), (None, hour));
        assert_eq!(lifts(21610, 5, now), None);
    }
}
