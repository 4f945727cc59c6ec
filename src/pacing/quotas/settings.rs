//! Pacing's settings, which an operator may change.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use crate::pacing::{Limits, Senders};

/// How many calls may be under way at once for one account. Twilio's limit is unpublished (error 20429). With calls of
/// 200 ms, 40 carry 200 a second: more than all published limits of a saga together.
const CONCURRENCY_DEFAULT: NonZeroU32 = NonZeroU32::new(40).expect("40 is not zero");

/// Pacing's part of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PacingSettings {
    /// Limits per operation: the table `[limits]`.
    #[serde(skip)]
    pub limits: Limits,
    /// The rates of senders: the table `[senders]`.
    #[serde(skip)]
    pub senders: Senders,
    /// The part of every lane that stays unused, in percent.
    #[serde(rename = "margin_percent")]
    pub margin: Margin,
    /// How many calls of the account may be under way at once.
    pub concurrency: NonZeroU32,
    /// Lanes with a period up to this start empty: a previous process may have used them a moment ago. Slower lanes
    /// start with one permit; otherwise an agent's first message of a trial run would wait for minutes.
    #[serde(skip)]
    pub start_empty: Duration,
    /// Whether other consumers use the same lanes: a shared store then grants each of them time slices and starts
    /// ([`crate::pacing::Sharer`]).
    #[serde(skip)]
    pub shared: bool,
    /// A lane that is unused for this long is forgotten once nothing is owed on it. At least a minute, since `status`
    /// shows the last minute.
    #[serde(skip)]
    pub idle: Duration,
}

impl Default for PacingSettings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            senders: Senders::default(),
            margin: Margin::default(),
            concurrency: CONCURRENCY_DEFAULT,
            start_empty: Duration::from_secs(1),
            shared: false,
            idle: Duration::from_secs(120),
        }
    }
}

/// The part of a lane that stays unused, so that jitter on the way to Twilio does not exceed its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Margin {
    ppm: u32,
}

impl Margin {
    /// No margin.
    pub const NONE: Self = Self { ppm: 0 };

    /// A margin of `percent`, between 0 and 50.
    ///
    /// # Errors
    ///
    /// [`InvalidMargin`] for any other number.
    pub fn percent(percent: f64) -> Result<Self, InvalidMargin> {
        if !(0.0..=50.0).contains(&percent) {
            return Err(InvalidMargin(percent));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and 500,000 by the check above"
        )]
        let ppm = (percent * 10_000.0).round() as u32;
        Ok(Self { ppm })
    }

    /// In millionths.
    #[must_use]
    pub fn ppm(self) -> u32 {
        self.ppm
    }
}

impl Default for Margin {
    fn default() -> Self {
        Self { ppm: 20_000 }
    }
}

impl<'de> Deserialize<'de> for Margin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let percent = f64::deserialize(deserializer)?;
        Self::percent(percent).map_err(serde::de::Error::custom)
    }
}

/// The margin is not between 0 and 50 percent.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("a margin of {0} % is not between 0 and 50")]
pub struct InvalidMargin(f64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_margin_is_two_percent_unless_set_within_bounds() {
        let read = |text: &str| toml::from_str::<PacingSettings>(text);
        assert_eq!(read("").expect("defaults").margin.ppm(), 20_000);
        let set = read("margin_percent = 0.5\nconcurrency = 7").expect("set");
        assert_eq!((set.margin.ppm(), set.concurrency.get()), (5_000, 7));
        for bad in [
            "margin_percent = -1.0",
            "margin_percent = 51",
            "concurrency = 0",
            "speed = 1",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
