//! Pauses between retries of an operation that fails repeatedly.

use std::fmt;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// Pauses that double with each failure up to a maximum. After a lasting success they start again at the first
/// pause: a settled delivery is one, a new connection is not.
pub struct Backoff {
    builder: ExponentialBuilder,
    pauses: ExponentialBackoff,
    max: Duration,
}

impl Backoff {
    /// Pauses from `min` up to `max`, without jitter.
    #[must_use]
    pub fn new(min: Duration, max: Duration) -> Self {
        Self::of(exponential(min, max), max)
    }

    /// As [`Backoff::new`], but with jitter: each pause is a random time between half and all of it. Clients that
    /// failed together do not return together.
    #[must_use]
    pub fn spread(min: Duration, max: Duration) -> Self {
        // The library adds jitter of up to one whole pause, also to the longest one.
        Self::of(exponential(min / 2, max / 2).with_jitter(), max)
    }

    fn of(builder: ExponentialBuilder, max: Duration) -> Self {
        Self {
            pauses: builder.build(),
            builder,
            max,
        }
    }

    /// The pause after another failure.
    pub fn pause(&mut self) -> Duration {
        self.pauses.next().unwrap_or(self.max)
    }

    /// Call after a success: the next pause is the first one again.
    pub fn reset(&mut self) {
        self.pauses = self.builder.build();
    }
}

impl fmt::Debug for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backoff").finish_non_exhaustive()
    }
}

fn exponential(min: Duration, max: Duration) -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(min)
        .with_max_delay(max)
        .with_factor(2.0)
        .without_max_times()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_bound_and_begin_again_after_a_success() {
        let seconds = Duration::from_secs;
        let mut backoff = Backoff::new(seconds(1), seconds(30));
        for expected in [1, 2, 4, 8, 16, 30, 30, 30] {
            assert_eq!(backoff.pause(), seconds(expected));
        }
        backoff.reset();
        assert_eq!(backoff.pause(), seconds(1));
    }

    #[test]
    fn pauses_that_are_spread_keep_to_their_bound() {
        let (min, max) = (Duration::from_millis(200), Duration::from_secs(10));
        let mut backoff = Backoff::spread(min, max);
        for number in 0..500 {
            let pause = backoff.pause();
            assert!(pause <= max && pause >= min / 2, "{number}: {pause:?}");
            assert!(number < 10 || pause >= max / 2, "{number}: {pause:?}");
        }
    }
}
