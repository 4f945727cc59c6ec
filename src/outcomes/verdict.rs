//! Decides what happens to a message from how its run ended: the only such decision, pure.

use std::time::Duration;

use crate::campaign::WhenOpen;
use crate::ledger::Ending;
use crate::message::{DeadReason, Ended, Failure, FailureClass, SkipReason, StepName, WaitReason};

use super::{Circumstances, Decision, RetryPolicy};

/// What happens to a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is over.
    End(Ending),
    /// It returns after a wait.
    Again {
        reason: WaitReason,
        wait: Duration,
        failure: Option<Box<Failure>>,
        uses_attempt: bool,
    },
    /// It is returned, and the campaign is paused.
    Halt(Box<Failure>),
}

/// Evidence that names its step. That of a failure names it already.
fn at_step(step: StepName, evidence: String) -> String {
    let begin = format!("{step}: ");
    match evidence.starts_with(&begin) {
        true => evidence,
        false => begin + &evidence,
    }
}

/// Decides what happens to a message.
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
                evidence: at_step(step, evidence),
            });
        }
        Ended::Busy(detail) => return busy(detail, of),
        Ended::Failed(failure) => Box::new(failure),
    };
    match policy.decide(&failure, of) {
        Decision::Retry { wait, uses_attempt } => Verdict::Again {
            reason: WaitReason::Retry,
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

/// The ending of a stuck message once no effect is left: the one that it would have without the failed undo.
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
        // A failure that might have passed, and whose retries have ended.
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
            reason: WaitReason::CustomerBusy,
            wait: of.busy_wait.mul_f64(1.0 + 0.2 * of.spread),
            failure: None,
            uses_attempt: false,
        },
    }
}
