//! What a 429 does to the lane that caused it, and a full queue to its sender.
//!
//! In: `Retry-After` if there was one, and how often in a row the lane was refused. Out: how long
//! nothing leaves. Always: within a floor and a ceiling; refusals of one wave count once.

use std::time::Duration;

use super::{Nanos, nanos};

/// How long a lane rests after a 429.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoolDown {
    /// The shortest rest, and the first of a row: what Twilio's own libraries begin with (100 ms,
    /// doubled each time). A single 429 among many replies says that we came close, not that the
    /// lane is shut; one that is shut earns the longer rests within a few calls.
    pub floor: Duration,
    /// The longest rest we let Twilio ask of a lane: what waits longer is better deferred.
    pub ceiling: Duration,
}

impl Default for CoolDown {
    fn default() -> Self {
        Self {
            floor: Duration::from_millis(100),
            ceiling: Duration::from_secs(60),
        }
    }
}

impl CoolDown {
    /// After Twilio's queue of a sender was full (error 21611). It holds what the sender sends in ten
    /// hours and goes on sending meanwhile: within a minute it makes room for some messages, and even the
    /// longest rest, a fortieth of it, leaves the sender busy. Asking sooner finds it as full.
    pub const OVERFLOW: Self = Self {
        floor: Duration::from_secs(60),
        ceiling: Duration::from_secs(15 * 60),
    };

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
pub(super) struct Rest {
    /// Nothing leaves before; 0: never refused.
    pub(super) until: Nanos,
    strikes: u32,
}

impl Rest {
    /// Takes note of a refusal that came in at `now`.
    pub(super) fn refused(&mut self, rules: CoolDown, retry_after: Option<Duration>, now: Nanos) {
        // Calls that were under way together are refused together: one wave, one strike.
        if self.until <= now {
            let forgotten = self.until.saturating_add(nanos(rules.ceiling)) <= now;
            self.strikes = if forgotten { 1 } else { self.strikes + 1 };
        }
        let rest = nanos(rules.rest(retry_after, self.strikes.max(1)));
        self.until = self.until.max(now.saturating_add(rest));
    }

    /// Takes note of a reply at `now` that was no 429. After the rest is over, it ends the row: a
    /// lane that is refused now and then is no lane that is shut.
    pub(super) fn answered(&mut self, now: Nanos) {
        if self.until <= now {
            self.strikes = 0;
        }
    }

    /// Whether nothing of it matters any more.
    pub(super) fn is_over(&self, rules: CoolDown, now: Nanos) -> bool {
        self.until == 0 || self.until.saturating_add(nanos(rules.ceiling)) <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn twilio_decides_within_the_bounds() {
        let rules = CoolDown::default();
        assert_eq!(rules.rest(Some(secs(7)), 1), secs(7));
        assert_eq!(rules.rest(Some(Duration::ZERO), 1), rules.floor);
        assert_eq!(rules.rest(Some(secs(86_400)), 1), secs(60));
    }

    #[test]
    fn without_a_word_from_twilio_the_rest_doubles_up_to_the_ceiling() {
        let rules = CoolDown::default();
        let rests: Vec<u128> = (1..=11).map(|n| rules.rest(None, n).as_millis()).collect();
        let doubled = [
            100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 51_200, 60_000,
        ];
        assert_eq!(rests, doubled);
        assert_eq!(rules.rest(None, u32::MAX), secs(60));
    }

    #[test]
    fn a_full_queue_is_left_alone_for_a_minute_and_then_for_longer() {
        let minutes = |n| CoolDown::OVERFLOW.rest(None, n).as_secs() / 60;
        assert_eq!([1, 2, 3, 4, 5, 6].map(minutes), [1, 2, 4, 8, 15, 15]);
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
        assert!(!rest.is_over(rules, 20 * second));
        assert!(rest.is_over(rules, 74 * second));
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
