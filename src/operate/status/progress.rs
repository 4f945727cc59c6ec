//! The progress of a run: what is done, how fast, and when it ends.
//!
//! In: the books of a campaign, read again and again. Out: the rate of this run, and the time that the open messages take
//! at that rate. Always: only what ended since the meter's first reading counts, so that a resumed campaign is measured by
//! what this run does; the rate is that of the last minute, or of as many minutes as ten messages take.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::ledger::OpenMessages;
use crate::message::{CampaignId, WaitReason};
use crate::operate::{OperateError, ReadModels};

/// The time over which a rate is measured: at least this long, and until [`ENDED_MIN`] messages have ended in it.
const WINDOW: Duration = Duration::from_secs(60);
const ENDED_MIN: u64 = 10;

/// The time before which there is no rate: the first messages of a run end at once or not at all.
const FIRST_RATE_AFTER: Duration = Duration::from_secs(2);

/// The progress of a campaign, according to its books.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CampaignProgress {
    pub accepted: u64,
    pub done: u64,
    pub skipped: u64,
    pub dead: u64,
    pub unknown: u64,
    pub open: OpenMessages,
    /// How long it is until the last message may start that has a `not_before`.
    pub last_starts_in: Option<Duration>,
}

impl CampaignProgress {
    /// Messages that are over, with any outcome.
    #[must_use]
    pub fn over(&self) -> u64 {
        self.done + self.skipped + self.dead + self.unknown
    }
}

/// The speed of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunSpeed {
    /// Messages that ended in a minute.
    pub per_minute: f64,
    /// The time that the open messages take at this speed, and at least until the last may start. `None`: nothing has
    /// ended lately.
    pub ends_in: Option<Duration>,
}

/// Measures the speed of one run.
#[derive(Debug, Default)]
pub struct ProgressMeter {
    /// Readings of the window, oldest first: the time, and how many messages were over.
    readings: VecDeque<Reading>,
}

#[derive(Clone, Copy, Debug)]
struct Reading {
    at: Instant,
    over: u64,
}

impl ProgressMeter {
    /// Takes a reading, and returns the speed at this moment. `None` at the start of a run.
    pub fn read(&mut self, progress: &CampaignProgress, now: Instant) -> Option<RunSpeed> {
        let over = progress.over();
        // The first reading of each number: a rate that began with its last reading would leave out a wait.
        if self.readings.back().is_none_or(|last| last.over != over) {
            self.readings.push_back(Reading { at: now, over });
        }
        while self.readings.get(1).is_some_and(|second| {
            now.saturating_duration_since(second.at) >= WINDOW
                && over.saturating_sub(second.over) >= ENDED_MIN
        }) {
            self.readings.pop_front();
        }
        let first = self.readings.front()?;
        let took = now.saturating_duration_since(first.at);
        if took < FIRST_RATE_AFTER {
            return None;
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "numbers of messages are far below 2^52"
        )]
        let (ended, open) = (
            over.saturating_sub(first.over) as f64,
            progress.open.total() as f64,
        );
        let per_second = ended / took.as_secs_f64();
        let left = (per_second > 0.0).then(|| open / per_second);
        let left = left.and_then(|left| Duration::try_from_secs_f64(left).ok());
        Some(RunSpeed {
            per_minute: per_second * 60.0,
            // Whatever the speed, no message starts before its time.
            ends_in: left.max(progress.last_starts_in),
        })
    }
}

impl ReadModels {
    /// The progress of a campaign.
    ///
    /// # Errors
    ///
    /// An error when the ledger cannot be read.
    pub async fn progress(&self, id: &CampaignId) -> Result<CampaignProgress, OperateError> {
        let books = self.ledger.books(Some(id)).await?;
        let last = match books.scheduled.contains_key(&WaitReason::NotBefore) {
            true => self
                .ledger
                .due_times(id)
                .await?
                .remove(&WaitReason::NotBefore),
            false => None,
        };
        Ok(CampaignProgress {
            last_starts_in: last.map(|due| self.clock.until(due.last)),
            accepted: books.accepted,
            done: books.done,
            skipped: books.skipped_total(),
            dead: books.dead_total(),
            unknown: books.unknown,
            open: OpenMessages::from(&books),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The progress of a campaign of so many messages, of which so many are done.
    fn progress(accepted: u64, done: u64) -> CampaignProgress {
        let open = OpenMessages {
            queued: accepted - done,
            ..OpenMessages::default()
        };
        CampaignProgress {
            accepted,
            done,
            open,
            ..CampaignProgress::default()
        }
    }

    /// The speed after readings once a second, of which each gives the number of messages that are done.
    fn after(accepted: u64, done: impl Iterator<Item = u64>) -> Option<RunSpeed> {
        let (mut meter, start) = (ProgressMeter::default(), Instant::now());
        let mut speed = None;
        for (second, done) in done.enumerate() {
            let now = start + Duration::from_secs(second as u64);
            speed = meter.read(&progress(accepted, done), now);
        }
        speed
    }

    #[tokio::test(start_paused = true)]
    async fn a_resumed_run_is_measured_by_what_it_does() {
        // 9,000 of 10,000 were done before; then one a second.
        let speed = after(10_000, 9_000..=9_030).expect("a speed");
        assert!((speed.per_minute - 60.0).abs() < 1e-6, "{speed:?}");
        assert_eq!(speed.ends_in, Some(Duration::from_secs(970)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_minute_counts_and_not_a_fast_start() {
        // A burst of 500 in ten seconds, then one a second for five minutes.
        let burst = (0..=10).map(|second| second * 50);
        let done = burst.chain((1..=300).map(|second| 500 + second));
        let speed = after(2_000, done).expect("a speed");
        assert!((speed.per_minute - 60.0).abs() < 1.5, "{speed:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_run_is_measured_over_ten_messages() {
        // One message a minute, for half an hour.
        let done = (0..=1_800).map(|second| second / 60);
        let speed = after(100, done).expect("a speed");
        assert!((speed.per_minute - 1.0).abs() < 0.1, "{speed:?}");
        let minutes = speed.ends_in.expect("it ends").as_secs_f64() / 60.0;
        assert!((minutes - 70.0).abs() < 7.0, "{minutes}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_does_not_end_before_its_last_message_may_start() {
        let (mut meter, start) = (ProgressMeter::default(), Instant::now());
        let day = Duration::from_secs(86_400);
        let mut speed = None;
        for second in 0..30 {
            let progress = CampaignProgress {
                last_starts_in: Some(day),
                ..progress(100, second)
            };
            speed = meter.read(&progress, start + Duration::from_secs(second));
        }
        assert_eq!(speed.and_then(|speed| speed.ends_in), Some(day));
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_no_end_before_anything_ended() {
        assert_eq!(after(10, [0, 0].into_iter()), None);
        let speed = after(10, std::iter::repeat_n(0, 90)).expect("a speed");
        assert_eq!((speed.per_minute, speed.ends_in), (0.0, None));
    }
}
