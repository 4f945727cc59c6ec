//! Decides when a message is retried, and when retries end.
//!
//! In: the failure of an attempt, the number of failed attempts, the message's age, the time. Out: one decision.
//! Always: no clock, no randomness, no I/O, so that tests can show whole schedules.

use std::time::Duration;

use jiff::Timestamp;

use super::caps::{Lifts, lifts};
use crate::campaign::WhenOpen;
use crate::ledger::UNDO_AFTER;
use crate::message::{DeadReason, Failure, FailureClass, SkipReason};
use crate::twilio::codes::{Retry, retry};

/// The longest wait that a reply's `Retry-After` may demand.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// The time over which messages return that waited for the same midnight.
const LIFTED_SPREAD: Duration = Duration::from_secs(600);

/// The wait after Twilio repeatedly reported that it did not process a call. With its spread it stays below five
/// seconds and so uses the retry queue of five seconds, not that of fifteen.
const THROTTLED_WAIT: Duration = Duration::from_secs(4);

/// The longest wait between two retries of an undo. The undo is retried while effects are left, but not so often that a
/// permanent refusal becomes a burden.
const UNDO_WAIT_MAX: Duration = Duration::from_secs(6 * 3_600);

/// The wait before the next retry of an undo, after `tries` failed ones: the ledger's first wait, doubled after each.
#[must_use]
pub fn undo_wait(tries: u32, retry_after: Option<Duration>) -> Duration {
    let doubled = UNDO_AFTER.saturating_mul(1 << tries.min(16));
    let asked = retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
    doubled.min(UNDO_WAIT_MAX).max(asked)
}

/// What happens to a message after a failed attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is retried after this wait.
    Retry { wait: Duration, uses_attempt: bool },
    /// It becomes a dead letter.
    Dead(DeadReason),
    /// It is skipped.
    Skip(SkipReason),
    /// No message of this campaign can succeed until an operator acts or the cause ends.
    Halt,
}

/// The configured schedule of retries.
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    /// The waits before attempts 2, 3, 4 and so on. Its length is the number of retries.
    pub schedule: Vec<Duration>,
    /// The maximum age of a message for a retry.
    pub age_max: Duration,
}

/// The facts about a message that decide its verdict, beside how its run ended.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// The number of attempts that failed before this one.
    pub failed_before: u32,
    /// The age of the current series of attempts: since the first take, or since the first take after Twilio was away
    /// or the message waited for anything other than its next attempt.
    pub age: Duration,
    /// The time. Some of Twilio's limits end at an hour of the day.
    pub now: Timestamp,
    /// A value between 0 and 1 that extends waits, so that messages that failed together do not return together.
    pub spread: f64,
    pub when_open: WhenOpen,
    /// How long a message to a busy customer is held.
    pub busy_wait: Duration,
}

impl RetryPolicy {
    /// Whether a failure ends its message.
    #[must_use]
    pub fn is_for_good(&self, failure: &Failure, of: Circumstances) -> bool {
        let decision = self.decide(failure, of);
        matches!(decision, Decision::Dead(_) | Decision::Skip(_))
    }

    /// Decides what follows a failure.
    ///
    /// The spread extends the wait by up to a fifth, because messages that failed together must not return together.
    #[must_use]
    pub fn decide(&self, failure: &Failure, of: Circumstances) -> Decision {
        let Some(retry) = retry(failure.class, failure.code, of.failed_before) else {
            return not_again(failure.class);
        };
        // A failure that uses no attempt means that the call was not processed.
        let scheduled = if retry.uses_attempt {
            match self.schedule.get(of.failed_before as usize) {
                Some(&wait) => wait,
                None => return Decision::Dead(DeadReason::Exhausted),
            }
        } else {
            THROTTLED_WAIT
        };
        let asked = failure.retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
        match lifts(retry.again, of.now) {
            // The limit certainly ends then, so the message gets one more attempt whatever its age at that time.
            Some(Lifts::After(lifted)) if of.age <= self.age_max => Decision::Retry {
                wait: lifted + LIFTED_SPREAD.mul_f64(of.spread),
                uses_attempt: retry.uses_attempt,
            },
            Some(Lifts::AskedAgain(again)) => {
                self.retry(scheduled.max(asked).max(again), retry, of)
            }
            _ => self.retry(scheduled.max(asked), retry, of),
        }
    }

    /// A retry after this wait, unless the message is too old then.
    fn retry(&self, wait: Duration, retry: Retry, of: Circumstances) -> Decision {
        let wait = stretched(wait, of);
        if retry.ages && of.age + wait > self.age_max {
            return Decision::Dead(DeadReason::Exhausted);
        }
        Decision::Retry {
            wait,
            uses_attempt: retry.uses_attempt,
        }
    }
}

/// The decision for a failure that no retry can cure.
fn not_again(class: FailureClass) -> Decision {
    match class {
        FailureClass::Permanent(reason) => Decision::Dead(reason),
        FailureClass::Skip(reason) => Decision::Skip(reason),
        FailureClass::Halt
        | FailureClass::Transient
        | FailureClass::Throttled
        | FailureClass::Away => Decision::Halt,
    }
}

/// Extends a wait, and never shortens it: a retry before `Retry-After` would be refused with another 429.
fn stretched(wait: Duration, of: Circumstances) -> Duration {
    wait.mul_f64(1.0 + 0.2 * of.spread)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::WhenOpen;

    const SECOND: Duration = Duration::from_secs(1);

    fn policy() -> RetryPolicy {
        RetryPolicy {
            schedule: vec![SECOND, 10 * SECOND],
            age_max: 3_600 * SECOND,
        }
    }

    fn failure(class: FailureClass) -> Failure {
        Failure::new(class, "refused")
    }

    fn of(failed_before: u32, age: Duration, spread: f64) -> Circumstances {
        Circumstances {
            failed_before,
            age,
            now: "2026-11-28T20:00:00Z".parse().expect("a time"),
            spread,
            when_open: WhenOpen::Skip,
            busy_wait: Duration::ZERO,
        }
    }

    fn wait(decision: Decision) -> Duration {
        match decision {
            Decision::Retry { wait, .. } => wait,
            other => panic!("a retry was expected: {other:?}"),
        }
    }

    #[test]
    fn the_schedule_sets_the_wait_and_its_end_is_the_end() {
        let transient = failure(FailureClass::Transient);
        let decide = |before| policy().decide(&transient, of(before, SECOND, 0.0));
        assert_eq!(wait(decide(0)), SECOND);
        assert_eq!(wait(decide(1)), 10 * SECOND);
        assert_eq!(decide(2), Decision::Dead(DeadReason::Exhausted));
    }

    #[test]
    fn twilio_may_ask_for_more_patience_within_bounds() {
        let mut asked = failure(FailureClass::Transient);
        asked.retry_after = Some(30 * SECOND);
        assert_eq!(
            wait(policy().decide(&asked, of(0, SECOND, 0.0))),
            30 * SECOND
        );
        assert_eq!(
            wait(policy().decide(&asked, of(0, SECOND, 1.0))),
            36 * SECOND
        );
        asked.retry_after = Some(100_000 * SECOND);
        let decision = policy().decide(&asked, of(0, SECOND, 0.0));
        assert_eq!(decision, Decision::Dead(DeadReason::Exhausted));
    }

    #[test]
    fn a_cap_that_lifts_at_midnight_is_waited_for_once_whatever_the_age() {
        let mut capped = failure(FailureClass::Transient);
        capped.code = Some(30023);
        let hours = |age| wait(policy().decide(&capped, of(0, age, 0.0))).as_secs() / 3_600;
        assert_eq!(hours(SECOND), 12);
        assert_eq!(hours(3_600 * SECOND), 12);
        let older = policy().decide(&capped, of(0, 3_601 * SECOND, 0.0));
        assert_eq!(older, Decision::Dead(DeadReason::Exhausted));
        let tried = policy().decide(&capped, of(2, SECOND, 0.0));
        assert_eq!(tried, Decision::Dead(DeadReason::Exhausted));
    }

    #[test]
    fn a_senders_limit_is_a_rate_at_first_and_a_days_when_it_repeats() {
        let mut limited = failure(FailureClass::Transient);
        limited.code = Some(63018);
        let decide = |before| policy().decide(&limited, of(before, Duration::ZERO, 0.0));
        assert_eq!(wait(decide(0)), SECOND);
        assert_eq!(wait(decide(1)), 3_600 * SECOND);
    }

    #[test]
    fn what_was_never_processed_uses_no_attempt_and_ends_by_age() {
        let throttled = failure(FailureClass::Throttled);
        let decision = policy().decide(&throttled, of(99, SECOND, 0.0));
        assert!(matches!(
            decision,
            Decision::Retry {
                uses_attempt: false,
                ..
            }
        ));
        let old = policy().decide(&throttled, of(0, 3_600 * SECOND, 0.0));
        assert_eq!(old, Decision::Dead(DeadReason::Exhausted));
    }

    #[test]
    fn what_did_not_leave_uses_no_attempt_and_does_not_end_by_age() {
        let away = failure(FailureClass::Away);
        let decision = policy().decide(&away, of(99, 99 * 3_600 * SECOND, 0.0));
        let uses_attempt = false;
        let wait = THROTTLED_WAIT;
        assert_eq!(decision, Decision::Retry { wait, uses_attempt });
    }

    #[test]
    fn an_undo_is_tried_again_ever_more_rarely_and_never_given_up() {
        let minutes = |tries| undo_wait(tries, None).as_secs() / 60;
        assert_eq!([1, 2, 3, 4].map(minutes), [2, 4, 8, 16]);
        assert_eq!([9, 40, u32::MAX].map(minutes), [360, 360, 360]);
        let asked = Some(Duration::from_secs(1_800));
        assert_eq!(undo_wait(1, asked), Duration::from_secs(1_800));
    }

    #[test]
    fn what_will_not_pass_is_not_tried_again() {
        let dead = failure(FailureClass::Permanent(DeadReason::InvalidAddress));
        let decision = policy().decide(&dead, of(0, SECOND, 0.0));
        assert_eq!(decision, Decision::Dead(DeadReason::InvalidAddress));
        let halt = policy().decide(&failure(FailureClass::Halt), of(0, SECOND, 0.0));
        assert_eq!(halt, Decision::Halt);
    }
}
