//! The difference between the store's clock and this consumer's.
//!
//! In: readings of the store's clock, each with the moments right before and after it on this consumer's clock. Out:
//! times of one clock on the other. Always: each reading gives a lower and an upper bound of the difference. The
//! estimate is the middle of what all readings of the last ten seconds allow together. The fastest way there and the
//! fastest way back are the closest bounds, also if they come from different readings; the error is at most half the
//! difference between these two ways.

use std::collections::VecDeque;

use crate::pacing::Nanos;

/// How long a reading counts: clocks of machines drift by less than a tenth of a millisecond in it
/// (100 ppm, the most that NTP corrects without a step: RFC 5905, 11.3).
const COUNTS_FOR: Nanos = 10_000_000_000;

/// One reading of the store's clock, in nanoseconds: `sent` and `received` since the pacer began, `store` since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pacing) struct ClockReading {
    pub(in crate::pacing) sent: Nanos,
    pub(in crate::pacing) store: Nanos,
    pub(in crate::pacing) received: Nanos,
}

impl ClockReading {
    /// How far the store's clock is ahead of this consumer's, at least and at most.
    fn ahead(&self) -> (i128, i128) {
        let since = |at: Nanos| i128::from(self.store) - i128::from(at);
        (since(self.received), since(self.sent))
    }
}

/// The estimate of the store's clock.
#[derive(Clone, Debug, Default)]
pub(in crate::pacing) struct StoreClock {
    readings: VecDeque<ClockReading>,
    /// How far it is ahead of this consumer's clock.
    ahead: i128,
}

impl StoreClock {
    /// Adds a reading.
    pub(in crate::pacing) fn read(&mut self, reading: ClockReading) {
        let old = |it: &ClockReading| it.received.saturating_add(COUNTS_FOR) < reading.received;
        self.readings.retain(|it| !old(it));
        self.readings.push_back(reading);
        let (mut least, mut most) = reading.ahead();
        for it in &self.readings {
            let (at_least, at_most) = it.ahead();
            (least, most) = (least.max(at_least), most.min(at_most));
        }
        if least > most {
            // One of the clocks was set: earlier readings are no longer valid.
            self.readings.drain(..self.readings.len() - 1);
            (least, most) = reading.ahead();
        }
        self.ahead = least.midpoint(most);
    }

    /// A time of this consumer's clock on the store's clock; unchanged while there is no reading.
    pub(in crate::pacing) fn to_store(&self, at: Nanos) -> Nanos {
        shift(at, self.ahead)
    }

    /// A time of the store's clock on this consumer's clock.
    pub(in crate::pacing) fn to_consumer(&self, at: Nanos) -> Nanos {
        shift(at, -self.ahead)
    }
}

fn shift(time: Nanos, by: i128) -> Nanos {
    let shifted = i128::from(time) + by;
    Nanos::try_from(shifted.max(0)).unwrap_or(Nanos::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Nanos = 1_000_000;
    const SECOND: Nanos = 1_000 * MS;

    fn reading(sent: Nanos, took: Nanos, store: Nanos) -> ClockReading {
        ClockReading {
            sent,
            store,
            received: sent + took,
        }
    }

    #[test]
    fn times_convert_there_and_back() {
        let mut clock = StoreClock::default();
        clock.read(reading(10 * MS, 2 * MS, 1_000 * SECOND));
        assert_eq!(clock.to_store(11 * MS), 1_000 * SECOND);
        assert_eq!(clock.to_consumer(1_000 * SECOND + 5 * MS), 16 * MS);
        for at in [0, 5 * MS, 3 * SECOND] {
            assert_eq!(clock.to_consumer(clock.to_store(at)), at);
        }
    }

    #[test]
    fn what_all_readings_allow_together_decides() {
        let mut clock = StoreClock::default();
        // Fast there and slow back, then slow there and fast back: each alone is 19 ms off.
        clock.read(reading(0, 42 * MS, SECOND + 2 * MS));
        clock.read(reading(100 * MS, 42 * MS, SECOND + 140 * MS));
        assert_eq!(clock.to_store(500 * MS), SECOND + 500 * MS);
        // A slow answer does not narrow the bounds.
        clock.read(reading(200 * MS, 80 * MS, SECOND + 230 * MS));
        assert_eq!(clock.to_store(500 * MS), SECOND + 500 * MS);
    }

    #[test]
    fn after_a_clock_was_set_earlier_readings_do_not_count() {
        let mut clock = StoreClock::default();
        clock.read(reading(0, 2 * MS, SECOND + MS));
        clock.read(reading(SECOND, 4 * MS, 60 * SECOND + 2 * MS));
        assert_eq!(clock.to_store(SECOND), 60 * SECOND);
        // Slowly enough that no two readings contradict each other.
        for n in 2..30 {
            let store = (60 + n) * SECOND + 2 * MS + n * MS / 10;
            clock.read(reading(n * SECOND, 4 * MS, store));
        }
        let off = clock
            .to_store(29 * SECOND)
            .abs_diff(89 * SECOND + 29 * MS / 10);
        assert!(off <= MS, "{off}");
    }
}
