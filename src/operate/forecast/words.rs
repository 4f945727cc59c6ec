//! Texts for forecasts: durations, times, rates, and the sentence about the end of a campaign.

use std::fmt;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::operate::wording::{counted, grouped};
use crate::pacing::{Quota, Unit};

use super::{Bound, Forecast, SendUnit, SpeedLimit};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// From this many hours on, a duration is in days.
const DAYS_FROM_HOURS: u64 = 48;

/// A duration as text: `40 s`, `21 min`, `27 h 47 min`, `3 days 4 h`.
#[must_use]
pub fn words(duration: Duration) -> String {
    let secs = duration.as_secs();
    let whole = |unit: u64| secs.saturating_add(unit / 2) / unit;
    match secs {
        ..MINUTE => format!("{secs} s"),
        // A duration that rounds to 60 minutes is shown as an hour.
        _ if whole(MINUTE) < 60 => format!("{} min", whole(MINUTE)),
        _ if whole(MINUTE) < DAYS_FROM_HOURS * 60 => {
            let minutes = whole(MINUTE);
            format!("{} h {} min", minutes / 60, minutes % 60)
        }
        _ => {
            let hours = whole(HOUR);
            format!("{} days {} h", grouped(hours / 24), hours % 24)
        }
    }
}

/// The time at which something that takes this long ends, as [`local_time`] writes it. `None` past the end of the
/// calendar.
#[must_use]
pub fn ends_at(now: Timestamp, takes: Duration, zone: TimeZone) -> Option<String> {
    let end = now.checked_add(takes).ok()?;
    Some(local_time(now, end, zone))
}

/// A time to come as text, in this time zone: `00:44`, `Sun 00:44` on another day, `2026-12-24 00:44` after a week or
/// more.
#[must_use]
pub fn local_time(now: Timestamp, at: Timestamp, zone: TimeZone) -> String {
    let end = at.to_zoned(zone.clone());
    let now = now.to_zoned(zone);
    let format = match days_between(&now, &end) {
        0 => "%H:%M",
        1..7 => "%a %H:%M",
        _ => "%Y-%m-%d %H:%M",
    };
    end.strftime(format).to_string()
}

/// The number of midnights between two times.
fn days_between(from: &Zoned, to: &Zoned) -> i32 {
    from.date()
        .until(to.date())
        .map_or(i32::MAX, |span| span.get_days())
}

/// A rate as text: `1 segment a second`, `600 messages an hour`.
fn rate(quota: Quota, what: &str) -> String {
    let count = u64::from(quota.count().get());
    let unit = match quota.unit() {
        Unit::Second => "a second",
        Unit::Minute => "a minute",
        Unit::Hour => "an hour",
        Unit::Day => "a day",
    };
    format!("{} {unit}", counted(count, what))
}

/// The limit as a clause: `+12025550100 sends 1 segment a second`.
impl fmt::Display for SpeedLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CampaignPace { quota } => {
                write!(f, "the campaign's pace is {}", rate(*quota, "message"))
            }
            Self::AgentPace { agent, quota } => write!(
                f,
                "the pace for each agent is {}, and {agent} has the most messages",
                rate(*quota, "message")
            ),
            Self::AgentCapacity {
                agent,
                tasks_at_once,
                handle_time,
            } => {
                let handle_time = words(*handle_time);
                let tasks = format!("{} at once", counted(*tasks_at_once, "task"));
                match agent {
                    Some(agent) => write!(f, "{agent} takes {tasks}, {handle_time} each"),
                    None => write!(f, "the agents together take {tasks}, {handle_time} each"),
                }
            }
            Self::Sender {
                sender,
                quota,
                unit,
                is_shared,
            } => {
                let what = match unit {
                    SendUnit::Segment => "segment",
                    SendUnit::Message => "message",
                };
                write!(f, "{sender} sends {}", rate(*quota, what))?;
                match is_shared {
                    true => f.write_str(", also for other campaigns"),
                    false => Ok(()),
                }
            }
            Self::NotBefore { .. } => f.write_str("the last message may not be sent earlier"),
        }
    }
}

impl Bound {
    /// The bound as text: the duration, the end in this time zone, and the limit.
    fn in_words(&self, now: Timestamp, zone: TimeZone) -> String {
        let takes = match self.takes {
            takes if takes < Duration::from_secs(1) => "Less than a second".to_owned(),
            takes => format!("About {}", words(takes)),
        };
        let end = ends_at(now, self.takes, zone);
        let end = end.map(|end| format!(", ends {end}")).unwrap_or_default();
        format!("{takes}{end}; {}.", self.limit)
    }
}

impl Forecast {
    /// The forecast as text: `About 27 h 47 min, ends Sun 04:40; +12025550100 sends 1 segment a second.` The end is in
    /// this time zone.
    #[must_use]
    pub fn in_words(&self, now: Timestamp, zone: TimeZone) -> String {
        match self.binding() {
            Some(bound) => bound.in_words(now, zone),
            None => {
                "The duration is not known: no rate of a sender and no pace limits this campaign."
                    .to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * HOUR;

    #[test]
    fn a_duration_is_said_in_the_units_that_matter() {
        let table = [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (1_238, "21 min"),
            (3_569, "59 min"),
            (3_570, "1 h 0 min"),
            (15_120, "4 h 12 min"),
            (86_399, "24 h 0 min"),
            (100_000, "27 h 47 min"),
            (172_769, "47 h 59 min"),
            (172_770, "2 days 0 h"),
            (1_000_000, "11 days 14 h"),
            (100_000_000, "1,157 days 10 h"),
        ];
        for (secs, expected) in table {
            assert_eq!(words(Duration::from_secs(secs)), expected, "{secs}");
        }
    }

    #[test]
    fn the_end_is_said_on_the_clock_of_the_place() {
        let now: Timestamp = "2026-11-28T23:23:00Z".parse().expect("a time");
        let table = [
            ("UTC", 60, "23:24"),
            ("UTC", 40 * 60, "Sun 00:03"),
            ("America/New_York", 40 * 60, "19:03"),
            ("UTC", 6 * DAY, "Fri 23:23"),
            ("UTC", 7 * DAY, "2026-12-05 23:23"),
        ];
        for (zone, secs, expected) in table {
            let zone = TimeZone::get(zone).expect("a time zone");
            let found = ends_at(now, Duration::from_secs(secs), zone);
            assert_eq!(found.as_deref(), Some(expected), "{secs}");
        }
        assert_eq!(ends_at(now, Duration::MAX, TimeZone::UTC), None);
    }

    /// The wording of the issue that asked for it.
    #[test]
    fn a_forecast_is_one_sentence() {
        let now: Timestamp = "2026-11-28T00:53:20Z".parse().expect("a time");
        let quota = |text: &str| text.parse().expect("a quota");
        let sender = |rate: &str, unit, is_shared| SpeedLimit::Sender {
            sender: "+12025550100".to_owned(),
            quota: quota(rate),
            unit,
            is_shared,
        };
        let capacity = |agent: Option<&str>, tasks_at_once| SpeedLimit::AgentCapacity {
            agent: agent.map(str::to_owned),
            tasks_at_once,
            handle_time: Duration::from_secs(360),
        };
        let table = [
            (
                100_000,
                sender("1/s", SendUnit::Segment, false),
                "About 27 h 47 min, ends Sun 04:40; +12025550100 sends 1 segment a second.",
            ),
            (
                0,
                sender("80/s", SendUnit::Message, true),
                "Less than a second, ends 00:53; +12025550100 sends 80 messages a second, also for other campaigns.",
            ),
            (
                60,
                SpeedLimit::CampaignPace {
                    quota: quota("1,000/hr"),
                },
                "About 1 min, ends 00:54; the campaign's pace is 1,000 messages an hour.",
            ),
            (
                60,
                SpeedLimit::AgentPace {
                    agent: "alice".to_owned(),
                    quota: quota("1/min"),
                },
                "About 1 min, ends 00:54; the pace for each agent is 1 message a minute, and alice has the most messages.",
            ),
            (
                60,
                capacity(Some("alice"), 1),
                "About 1 min, ends 00:54; alice takes 1 task at once, 6 min each.",
            ),
            (
                60,
                capacity(None, 40),
                "About 1 min, ends 00:54; the agents together take 40 tasks at once, 6 min each.",
            ),
            (
                60,
                SpeedLimit::NotBefore { at: now },
                "About 1 min, ends 00:54; the last message may not be sent earlier.",
            ),
        ];
        for (secs, limit, expected) in table {
            let takes = Duration::from_secs(secs);
            let forecast = Forecast {
                ends_at: None,
                limits: vec![Bound { limit, takes }],
            };
            assert_eq!(forecast.in_words(now, TimeZone::UTC), expected);
        }
        let none = Forecast::default().in_words(now, TimeZone::UTC);
        assert!(none.contains("not known"), "{none}");
    }
}
