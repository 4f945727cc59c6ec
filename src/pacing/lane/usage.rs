//! What a lane granted in the last minute, in slots, counted in a fixed space.

use crate::pacing::Nanos;

const BUCKETS: usize = 12;
const BUCKET: Nanos = 5_000_000_000;

/// Twelve buckets of five seconds, the current one included: 55 to 60 seconds are counted.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::pacing) struct Usage {
    counts: [u32; BUCKETS],
    /// The number of the bucket that was written last.
    latest: u64,
}

impl Usage {
    /// Counts `amount` at `now`.
    pub(in crate::pacing) fn add(&mut self, now: Nanos, amount: u32) {
        let bucket = now / BUCKET;
        for passed in (self.latest + 1..=bucket).take(BUCKETS) {
            self.counts[index(passed)] = 0;
        }
        // A gap longer than all buckets has cleared each of them above.
        self.latest = self.latest.max(bucket);
        let count = &mut self.counts[index(self.latest)];
        *count = count.saturating_add(amount);
    }

    /// Subtracts what was counted for a permit that is given back.
    pub(in crate::pacing) fn take_back(&mut self, amount: u32) {
        let count = &mut self.counts[index(self.latest)];
        *count = count.saturating_sub(amount);
    }

    /// The slots that were counted in the last minute.
    pub(in crate::pacing) fn last_minute(&self, now: Nanos) -> u32 {
        let mut shown = *self;
        shown.add(now, 0);
        shown.counts.iter().fold(0, |sum, n| sum.saturating_add(*n))
    }
}

fn index(bucket: u64) -> usize {
    usize::try_from(bucket % BUCKETS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_counted_and_then_forgotten() {
        let second = 1_000_000_000;
        let mut usage = Usage::default();
        for at in 0..120 {
            usage.add(at * second, 2);
        }
        assert_eq!(usage.last_minute(119 * second), 120);
        assert_eq!(usage.last_minute(149 * second), 60);
        assert_eq!(usage.last_minute(10_000 * second), 0);
        usage.add(10_000 * second, 3);
        assert_eq!(usage.last_minute(10_000 * second), 3);
    }
}
