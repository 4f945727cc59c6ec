//! Cool-down: how long a lane rests after Twilio refused a call because of its limit: with a 429, or with the error
//! code of a full sender queue.
//!
//! In: the limit's rules, the reply's `Retry-After` if there is one, and how many refusals in a row there were. Out:
//! until when the lane grants nothing. Always: a rest is within the rules' bounds; refusals of calls that were under
//! way together count once.

use std::time::Duration;

use crate::pacing::{Nanos, nanos};

/// The bounds of a lane's rest after a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoolDown {
    /// The shortest rest, and the first one of a row.
    pub shortest: Duration,
    /// The longest rest, also where `Retry-After` asks for more.
    pub longest: Duration,
}

impl CoolDown {
    /// How long a lane rests after the refusal that is number `strikes` in a row, counted from 1.
    ///
    /// `retry_after` holds within the bounds. Without it, the rest begins with the shortest and doubles with each
    /// refusal in a row.
    #[must_use]
    pub fn rest(&self, retry_after: Option<Duration>, strikes: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(strikes.saturating_sub(1));
        retry_after
            .unwrap_or_else(|| self.shortest.saturating_mul(doubled))
            .max(self.shortest)
            .min(self.longest)
    }
}

/// A lane's rest.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::pacing) struct Rest {
    /// The lane grants nothing before this moment; 0: it was never refused.
    pub(in crate::pacing) until: Nanos,
    /// Refusals in a row.
    strikes: u32,
    /// The longest rest of the limit that refused last. After as much time without a refusal, the row is forgotten.
    longest: Nanos,
}

impl Rest {
    /// Takes note of a refusal that arrived at `now`.
    pub(in crate::pacing) fn refused(
        &mut self,
        rules: CoolDown,
        retry_after: Option<Duration>,
        now: Nanos,
    ) {
        self.longest = nanos(rules.longest);
        // Calls that were under way together are refused together: they count once.
        if self.until <= now {
            let forgotten = self.until.saturating_add(self.longest) <= now;
            self.strikes = if forgotten { 1 } else { self.strikes + 1 };
        }
        let rest = nanos(rules.rest(retry_after, self.strikes.max(1)));
        self.until = self.until.max(now.saturating_add(rest));
    }

    /// Takes note of a reply at `now` that was no refusal. After the rest is over, it ends the row: single refusals
    /// now and then do not add up.
    pub(in crate::pacing) fn answered(&mut self, now: Nanos) {
        if self.until <= now {
            self.strikes = 0;
        }
    }

    /// Whether the rest is over and its row is forgotten.
    pub(in crate::pacing) fn is_over(&self, now: Nanos) -> bool {
        self.until == 0 || self.until.saturating_add(self.longest) <= now
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
        shortest: Duration::from_millis(100),
        longest: secs(60),
    };

    #[test]
    fn retry_after_holds_within_the_bounds() {
        let rules = RATE;
        assert_eq!(rules.rest(Some(secs(7)), 1), secs(7));
        assert_eq!(rules.rest(Some(Duration::ZERO), 1), rules.shortest);
        assert_eq!(rules.rest(Some(secs(86_400)), 1), secs(60));
    }

    #[test]
    fn without_retry_after_the_rest_doubles_up_to_the_longest() {
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
        shortest: secs(1),
        longest: secs(60),
    };

    #[test]
    fn refusals_of_one_wave_count_once_and_a_row_is_forgotten_after_quiet() {
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
