//! How the store's clock goes beside ours.
//!
//! In: what the store's clock showed, and the moments right before and after it was asked. Out: times
//! of one on the other. Always: by the reading that was answered fastest of late, which bounds the
//! error by half of what that took.

use std::collections::VecDeque;

use super::Nanos;

/// How long a reading counts: clocks of machines drift by less than a tenth of a millisecond in it
/// (100 ppm, the most that NTP corrects without a step: RFC 5905, 11.3).
const COUNTS_FOR: Nanos = 10_000_000_000;

/// One look at the store's clock. `sent` and `received` are on ours, `store` is nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    pub sent: Nanos,
    pub store: Nanos,
    pub received: Nanos,
}

impl Reading {
    fn took(&self) -> Nanos {
        self.received.saturating_sub(self.sent)
    }

    /// Our time when the store's clock showed what it did: in the middle.
    fn ours(&self) -> Nanos {
        self.sent + self.took() / 2
    }
}

/// What we know of the store's clock.
#[derive(Clone, Debug, Default)]
pub struct StoreClock {
    readings: VecDeque<Reading>,
}

impl StoreClock {
    /// Takes note of a reading.
    pub fn read(&mut self, reading: Reading) {
        let old = |it: &Reading| it.received.saturating_add(COUNTS_FOR) < reading.received;
        while self.readings.front().is_some_and(old) {
            self.readings.pop_front();
        }
        // Only what may still become the fastest one is of use.
        while self
            .readings
            .back()
            .is_some_and(|last| last.took() >= reading.took())
        {
            self.readings.pop_back();
        }
        self.readings.push_back(reading);
    }

    /// A time of ours on the store's clock; ours when it was never read.
    #[must_use]
    pub fn theirs(&self, ours: Nanos) -> Nanos {
        shift(ours, self.best().map(|it| (it.ours(), it.store)))
    }

    /// A time of the store's on our clock.
    #[must_use]
    pub fn ours(&self, theirs: Nanos) -> Nanos {
        shift(theirs, self.best().map(|it| (it.store, it.ours())))
    }

    fn best(&self) -> Option<&Reading> {
        self.readings.front()
    }
}

fn shift(time: Nanos, anchor: Option<(Nanos, Nanos)>) -> Nanos {
    let Some((from, to)) = anchor else {
        return time;
    };
    if time >= from {
        to.saturating_add(time - from)
    } else {
        to.saturating_sub(from - time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Nanos = 1_000_000;
    const SECOND: Nanos = 1_000 * MS;

    fn reading(sent: Nanos, took: Nanos, store: Nanos) -> Reading {
        Reading {
            sent,
            store,
            received: sent + took,
        }
    }

    #[test]
    fn times_go_there_and_back() {
        let mut clock = StoreClock::default();
        clock.read(reading(10 * MS, 2 * MS, 1_000 * SECOND));
        assert_eq!(clock.theirs(11 * MS), 1_000 * SECOND);
        assert_eq!(clock.ours(1_000 * SECOND + 5 * MS), 16 * MS);
        for at in [0, 5 * MS, 3 * SECOND] {
            assert_eq!(clock.ours(clock.theirs(at)), at);
        }
    }

    #[test]
    fn the_fastest_reading_of_late_decides() {
        let mut clock = StoreClock::default();
        clock.read(reading(0, 2 * MS, SECOND + MS));
        // A slow answer: the store's clock was read at its very end.
        clock.read(reading(100 * MS, 80 * MS, SECOND + 180 * MS));
        assert_eq!(clock.theirs(500 * MS), SECOND + 500 * MS);
        // The store's clock was set; the old reading does not count for ever.
        clock.read(reading(11 * SECOND, 4 * MS, 60 * SECOND + 2 * MS));
        assert_eq!(clock.theirs(11 * SECOND), 60 * SECOND);
    }
}
