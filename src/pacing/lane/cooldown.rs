//! How a lane rests whose limit refused a call.
//!
//! In: the rules of the limit, `Retry-After` if there was one, and how often in a row the lane was refused. Out: how
//! long nothing leaves. Always: within a floor and a ceiling; refusals of one wave count once.

use std::time::Duration;

use crate::pacing::{Nanos, nanos};

/// For how long a lane rests after a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoolDown {
    /// The shortest rest, and the first of a row.
    pub floor: Duration,
    /// The longest rest, also where more is asked for.
    pub ceiling: Duration,
}

impl CoolDown {
    /// How long a lane rests that was refused `strikes` times in a row, counted from 1.
    ///
    /// Twilio's word holds within the bounds; without one the rest doubles from the floor.
    #[must_use]
    pub fn rest(&self, retry_after: Option<Duration>, strikes: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(strikes.saturating_sub(1));
        retry_after
            .unwrap_or_else(|| self.floor.saturating_mul(doubled))
            .max(self.floor)
            .min(self.ceiling)
    }
}

/// How a lane rests.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::pacing) struct Rest {
    /// Nothing leaves before; 0: never refused.
    pub(in crate::pacing) until: Nanos,
    strikes: u32,
    /// The longest rest of the limit that refused last: after as much time without a refusal all is forgotten.
    ceiling: Nanos,
}

impl Rest {
    /// Takes note of a refusal that came in at `now`.
    pub(in crate::pacing) fn refused(
        &mut self,
        rules: CoolDown,
        retry_after: Option<Duration>,
        now: Nanos,
    ) {
        self.ceiling = nanos(rules.ceiling);
        // Calls that were under way together are refused together: one wave, one strike.
        if self.until <= now {
            let forgotten = self.until.saturating_add(self.ceiling) <= now;
            self.strikes = if forgotten { 1 } else { self.strikes + 1 };
        }
        let rest = nanos(rules.rest(retry_after, self.strikes.max(1)));
        self.until = self.until.max(now.saturating_add(rest));
    }

    /// Takes note of a reply at `now` that was no refusal. After the rest is over, it ends the row: a
    /// lane that is refused now and then is no lane that is shut.
    pub(in crate::pacing) fn answered(&mut self, now: Nanos) {
        if self.until <= now {
            self.strikes = 0;
        }
    }

    /// Whether nothing of it matters any more.
    pub(in crate::pacing) fn is_over(&self, now: Nanos) -> bool {
        self.until == 0 || self.until.saturating_add(self.ceiling) <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    /// As after a 429.
    const RATE: CoolDown = CoolDown {
        floor: Duration::from_millis(100),
        ceiling: secs(60),
    };

    #[test]
    fn twilio_decides_within_the_bounds() {
        let rules = RATE;
        assert_eq!(rules.rest(Some(secs(7)), 1), secs(7));
        assert_eq!(rules.rest(Some(Duration::ZERO), 1), rules.floor);
        assert_eq!(rules.rest(Some(secs(86_400)), 1), secs(60));
    }

    #[test]
    fn without_a_word_from_twilio_the_rest_doubles_up_to_the_ceiling() {
        let rules = RATE;
        let rests: Vec<u128> = (1..=11).map(|n| rules.rest(None, n).as_millis()).collect();
        let doubled = [
            100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 51_200, 60_000,
        ];
        assert_eq!(rests, doubled);
        assert_eq!(rules.rest(None, u32::MAX), secs(60));
    }

    /// Rules whose first rest is a second.
    const SECONDS: CoolDown = CoolDown {
        floor: secs(1),
        ceiling: secs(60),
    };

    #[test]
    fn a_wave_of_refusals_is_one_strike_and_quiet_is_forgiven() {
        let rules = SECONDS;
        let mut rest = Rest::default();
        let second = nanos(secs(1));
        for late in 0..40 {
            rest.refused(rules, None, 10 * second + late);
        }
        assert!(rest.until < 11 * second + 40);
        rest.refused(rules, None, 12 * second);
        assert_eq!(rest.until, 14 * second);
        assert!(!rest.is_over(20 * second));
        assert!(rest.is_over(74 * second));
        rest.refused(rules, None, 74 * second);
        assert_eq!(rest.until, 75 * second);
    }

    #[test]
    fn a_reply_after_the_rest_ends_the_row_and_one_of_the_same_wave_does_not() {
        let rules = SECONDS;
        let second = nanos(secs(1));
        let mut rest = Rest::default();
        for now in [10 * second, 12 * second] {
            rest.refused(rules, None, now);
            rest.answered(now + 1);
        }
        assert_eq!(
            rest.until,
            14 * second,
            "the second in a row rests twice as long"
        );
        rest.answered(15 * second);
        rest.refused(rules, None, 16 * second);
        assert_eq!(rest.until, 17 * second);
    }
}
