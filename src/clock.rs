//! The one clock: the only file that reads the wall clock.
//!
//! In: nothing. Out: the time of day, and waits. Always: both follow Tokio's clock, so that under
//! `tokio::time::pause` the whole engine, limits and leases included, runs on the paused clock.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use tokio::time::Instant;

/// The time of day, computed from an anchor and Tokio's monotonic clock. Cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    anchor_wall: Timestamp,
    anchor: Instant,
}

impl Clock {
    /// A clock that shows the machine's time of day.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the wall clock"
    )]
    pub fn system() -> Self {
        let wall = Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::UNIX_EPOCH);
        Self::starting_at(wall)
    }

    /// A clock that shows `wall` now and advances from there: tests and rehearsals choose their date.
    #[must_use]
    pub fn starting_at(wall: Timestamp) -> Self {
        Self {
            anchor_wall: wall,
            anchor: Instant::now(),
        }
    }

    /// The time of day in milliseconds, the ledger's precision.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let at = self
            .anchor_wall
            .checked_add(self.anchor.elapsed())
            .unwrap_or(Timestamp::MAX);
        Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
    }

    /// Tokio's instant, for durations and timers.
    #[must_use]
    pub fn instant(&self) -> Instant {
        Instant::now()
    }

    /// Waits for `wait`.
    pub async fn sleep(&self, wait: Duration) {
        tokio::time::sleep(wait).await;
    }

    /// Waits for `work`, for at most `limit`. None: the time is over, and `work` is dropped.
    pub async fn within<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.sleep(limit) => None,
        }
    }

    /// Waits until the time of day is `due`; returns at once when it has passed.
    pub async fn sleep_until(&self, due: Timestamp) {
        self.sleep(self.until(due)).await;
    }

    /// How long it is until `due`; zero when it has passed.
    #[must_use]
    pub fn until(&self, due: Timestamp) -> Duration {
        Duration::try_from(due.duration_since(self.now())).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_time_of_day_follows_a_paused_clock() {
        let start: Timestamp = "2026-11-22T12:00:00Z".parse().expect("a timestamp");
        let clock = Clock::starting_at(start);
        clock.sleep(Duration::from_secs(3_600)).await;
        assert_eq!(clock.now().to_string(), "2026-11-22T13:00:00Z");
        assert_eq!(clock.until(start), Duration::ZERO);
    }
}
