//! From how a run ended to what becomes of the message: the single match, pure.

use std::time::Duration;

use jiff::Timestamp;

use crate::campaign::WhenOpen;
use crate::ledger::Ending;
use crate::message::{DeadReason, DeferReason, Ended, Failure, FailureClass, SkipReason};

use super::{Decision, RetryPolicy};

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its turn is over.
    End(Ending),
    /// Again after a while.
    Again {
        reason: DeferReason,
        wait: Duration,
        failure: Option<Box<Failure>>,
        uses_attempt: bool,
    },
    /// Given back; the campaign stops.
    Halt(Box<Failure>),
}

/// What the judge knows of a message beside how its run ended.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// Attempts that failed before this one.
    pub failed_before: u32,
    /// For how long it is tried: since it was taken first, or first after Twilio was away or it waited for anything but
    /// its next try.
    pub age: Duration,
    /// The time: some limits of Twilio's lift at an hour of the day.
    pub now: Timestamp,
    /// Between 0 and 1: stretches waits, so that what failed together does not return together.
    pub spread: f64,
    pub when_open: WhenOpen,
    /// How long a busy customer is left alone.
    pub busy_wait: Duration,
}

/// Decides what becomes of a message.
#[must_use]
pub fn judge(ended: Ended, policy: &RetryPolicy, of: Circumstances) -> Verdict {
    let failure = match ended {
        Ended::Done { already_sent } => return Verdict::End(Ending::Done { already_sent }),
        Ended::Unknown {
            step,
            reason,
            evidence,
        } => {
            return Verdict::End(Ending::Unknown {
                reason,
                evidence: format!("{step}: {evidence}"),
            });
        }
        Ended::Busy(detail) => return busy(detail, of),
        Ended::Failed(failure) => Box::new(failure),
    };
    match policy.decide(&failure, of) {
        Decision::Retry { wait, uses_attempt } => Verdict::Again {
            reason: DeferReason::Retry,
            wait,
            failure: Some(failure),
            uses_attempt,
        },
        Decision::Dead(reason) => Verdict::End(Ending::Dead { reason, failure }),
        Decision::Skip(reason) => Verdict::End(Ending::Skipped {
            reason,
            detail: Some(failure.to_string()),
        }),
        Decision::Halt => Verdict::Halt(failure),
    }
}

/// How a stuck message ends once nothing is left of it: as it would have, had the undo not failed.
#[must_use]
pub fn undone(why: Failure) -> Ending {
    let reason = match why.class {
        FailureClass::Permanent(reason) => reason,
        FailureClass::Skip(reason) => {
            return Ending::Skipped {
                reason,
                detail: Some(why.to_string()),
            };
        }
        // It might have passed, and was tried to its end.
        FailureClass::Transient
        | FailureClass::Throttled
        | FailureClass::Away
        | FailureClass::Halt => DeadReason::Exhausted,
    };
    Ending::Dead {
        reason,
        failure: Box::new(why),
    }
}

fn busy(detail: String, of: Circumstances) -> Verdict {
    match of.when_open {
        WhenOpen::Skip => Verdict::End(Ending::Skipped {
            reason: SkipReason::CustomerBusy,
            detail: Some(detail),
        }),
        WhenOpen::Defer => Verdict::Again {
            reason: DeferReason::CustomerBusy,
            wait: of.busy_wait.mul_f64(1.0 + 0.2 * of.spread),
            failure: None,
            uses_attempt: false,
        },
    }
}
