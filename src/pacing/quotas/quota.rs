//! A quota: how often something may be done.
//!
//! In: `10/s`, `600/min`, `1,000/hr`, `80/s, burst 20`. Out: a period, a burst. Always: a printed quota is parsed as
//! the same quota; the error for an invalid text says what is allowed.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The greatest count of a quota. Above it, a period would be shorter than 10 µs, which no timer keeps.
const COUNT_MAX: u32 = 100_000;

/// The largest burst. It keeps the limiter's arithmetic far from overflow even at one a day.
const BURST_MAX: u32 = 10_000;

/// The burst of a quota that names none: one at a time, as Twilio's published limits mean it.
const BURST_DEFAULT: NonZeroU32 = NonZeroU32::MIN;

/// The unit of time that a quota counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unit {
    Second,
    Minute,
    Hour,
    Day,
}

impl Unit {
    /// How long one unit lasts.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_secs(match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        })
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::Minute => "min",
            Self::Hour => "hr",
            Self::Day => "day",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            "s" | "sec" | "second" => Self::Second,
            "m" | "min" | "minute" => Self::Minute,
            "h" | "hr" | "hour" => Self::Hour,
            "d" | "day" => Self::Day,
            _ => return None,
        })
    }
}

/// A count per unit of time, of which at most `burst` may go at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quota {
    count: NonZeroU32,
    unit: Unit,
    burst: NonZeroU32,
}

impl Quota {
    /// `count` per `unit`, with burst 1.
    ///
    /// # Errors
    ///
    /// [`InvalidQuota`] when the count is 0 or above 100,000.
    pub fn new(count: u32, unit: Unit) -> Result<Self, InvalidQuota> {
        let text = format!("{count}/{}", unit.as_str());
        let count = within(count, COUNT_MAX).ok_or_else(|| {
            InvalidQuota::new(&text, "the count must be between 1 and 100,000".to_owned())
        })?;
        Ok(Self {
            count,
            unit,
            burst: BURST_DEFAULT,
        })
    }

    /// The same quota with this burst.
    ///
    /// # Errors
    ///
    /// [`InvalidQuota`] when the burst is 0 or above 10,000.
    pub fn with_burst(self, burst: u32) -> Result<Self, InvalidQuota> {
        let text = format!("{self}, burst {burst}");
        let burst = within(burst, BURST_MAX).ok_or_else(|| {
            InvalidQuota::new(&text, "the burst must be between 1 and 10,000".to_owned())
        })?;
        Ok(Self { burst, ..self })
    }

    /// How many in one unit.
    #[must_use]
    pub fn count(&self) -> NonZeroU32 {
        self.count
    }

    /// The unit of time that the quota counts in.
    #[must_use]
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// How many may go at once.
    #[must_use]
    pub fn burst(&self) -> NonZeroU32 {
        self.burst
    }

    /// The time from one slot to the next, without a margin, rounded up to a nanosecond.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.period_with_margin(0)
    }

    /// The period, longer by `margin_ppm` millionths, rounded up: never faster than the quota.
    #[must_use]
    pub fn period_with_margin(&self, margin_ppm: u32) -> Duration {
        let unit = self.unit.duration().as_nanos() * u128::from(1_000_000 + margin_ppm);
        let nanos = unit.div_ceil(u128::from(self.count.get()) * 1_000_000);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// How many in an hour: for comparing quotas and estimating when a campaign ends.
    #[must_use]
    pub fn per_hour(&self) -> f64 {
        f64::from(self.count.get()) * 3_600.0 / self.unit.duration().as_secs_f64()
    }
}

fn within(number: u32, max: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(number).filter(|n| n.get() <= max)
}

/// The text is not a quota.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' is not a quota: {why}; write for example '10/s', '600/min', '1,000/hr' or '80/s, burst 20'"
)]
pub struct InvalidQuota {
    text: String,
    why: String,
}

impl InvalidQuota {
    fn new(text: &str, why: String) -> Self {
        Self {
            text: text.to_owned(),
            why,
        }
    }
}

impl FromStr for Quota {
    type Err = InvalidQuota;

    fn from_str(text: &str) -> Result<Self, InvalidQuota> {
        let refuse = |why: &str| InvalidQuota::new(text, why.to_owned());
        let (count, rest) = text
            .split_once('/')
            .ok_or_else(|| refuse("there is no '/'"))?;
        let (unit, burst) = match rest.split_once(',') {
            Some((unit, burst)) => (unit, Some(burst.trim())),
            None => (rest, None),
        };
        let unit =
            Unit::parse(unit.trim()).ok_or_else(|| refuse("the unit must be s, min, hr or day"))?;
        let count = number(count).ok_or_else(|| {
            refuse("the count must be a whole number (for '0.5/s' write '30/min')")
        })?;
        let quota = Self::new(count, unit).map_err(|e| InvalidQuota::new(text, e.why))?;
        let Some(burst) = burst else {
            return Ok(quota);
        };
        let burst = burst
            .strip_prefix("burst")
            .and_then(number)
            .ok_or_else(|| refuse("after the comma comes 'burst' and a whole number"))?;
        quota
            .with_burst(burst)
            .map_err(|e| InvalidQuota::new(text, e.why))
    }
}

/// A whole number, with or without commas between thousands: `1000` and `1,000`, but not `1,00`.
fn number(text: &str) -> Option<u32> {
    let text = text.trim();
    let mut groups = text.split(',');
    let first = groups.next().filter(|g| digits(g))?;
    let grouped = text.contains(',');
    if grouped && first.len() > 3 {
        return None;
    }
    let mut plain = first.to_owned();
    for group in groups {
        if group.len() != 3 || !digits(group) {
            return None;
        }
        plain.push_str(group);
    }
    // A number too large for the type is above the caller's bound too, whose error names the bound.
    Some(plain.parse().unwrap_or(u32::MAX))
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.count.get();
        if count >= 1_000 {
            write!(f, "{},{:03}", count / 1_000, count % 1_000)?;
        } else {
            write!(f, "{count}")?;
        }
        write!(f, "/{}", self.unit.as_str())?;
        if self.burst != BURST_DEFAULT {
            write!(f, ", burst {}", self.burst)?;
        }
        Ok(())
    }
}

impl Serialize for Quota {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Quota {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(text: &str) -> Quota {
        text.parse().expect("a quota")
    }

    #[test]
    fn a_quota_is_parsed_in_every_notation() {
        for (text, period, burst) in [
            ("10/s", Duration::from_millis(100), 1),
            ("600/min", Duration::from_millis(100), 1),
            ("1,000/hr", Duration::from_millis(3_600), 1),
            ("1000 / hour", Duration::from_millis(3_600), 1),
            ("80/s, burst 20", Duration::from_micros(12_500), 20),
            ("80/s,burst 20", Duration::from_micros(12_500), 20),
            ("1/day", Duration::from_secs(86_400), 1),
            ("3/s", Duration::from_nanos(333_333_334), 1),
        ] {
            assert_eq!(quota(text).period(), period, "{text}");
            assert_eq!(quota(text).burst().get(), burst, "{text}");
        }
    }

    #[test]
    fn a_printed_quota_is_parsed_as_the_same_quota() {
        for text in [
            "10/s",
            "600/min",
            "1,000/hr",
            "100,000/day",
            "80/s, burst 20",
            "1,005/s",
        ] {
            assert_eq!(quota(text).to_string(), text);
            let json = serde_json::to_string(&quota(text)).expect("json");
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(
                serde_json::from_str::<Quota>(&json).expect("back"),
                quota(text)
            );
        }
    }

    #[test]
    fn the_error_for_an_invalid_text_says_what_is_allowed() {
        for (text, why) in [
            ("10", "there is no '/'"),
            ("10/fortnight", "the unit must be s, min, hr or day"),
            ("0.5/s", "for '0.5/s' write '30/min'"),
            ("0/s", "between 1 and 100,000"),
            ("99999999999/s", "between 1 and 100,000"),
            ("1,00/s", "whole number"),
            ("-1/s", "whole number"),
            ("/s", "whole number"),
            ("10/s, 20", "after the comma comes 'burst'"),
            ("10/s, burst 0", "the burst must be between 1 and 10,000"),
            ("", "there is no '/'"),
        ] {
            let refused = text.parse::<Quota>().expect_err(text).to_string();
            assert!(refused.contains(why), "{text}: {refused}");
            assert!(refused.contains("80/s, burst 20"), "{refused}");
        }
    }

    #[test]
    fn a_margin_makes_the_period_longer_and_never_shorter() {
        assert_eq!(
            quota("10/s").period_with_margin(20_000),
            Duration::from_millis(102)
        );
        assert!(quota("7/s").period_with_margin(0) * 7 >= Duration::from_secs(1));
    }
}
