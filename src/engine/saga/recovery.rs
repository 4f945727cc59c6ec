//! Looks up whether an uncertain step happened, and decides when absence counts.
//!
//! In: a step whose call has an unknown result. Out: what was found. Always: if a repeated call would not collide,
//! absence counts only after two look-ups spread over the settle time, because a list at Twilio may lag behind.

use std::time::Duration;

use crate::message::Failure;
use crate::twilio::{CallError, Closed, failure, is_missing};

use crate::engine::step::{Found, Past, Repeat, Step, StepContext, StepError};

/// The waits between the tries of one look-up that fails, in seconds.
const WAITS_S: &[u64] = &[1, 1];

/// The same for a step whose trace Twilio deletes after a time: half a minute, the longest wait outside the ledger. If
/// every try fails, the message is retried behind all messages that wait, and the trace may be gone by then.
const WAITS_BEFORE_TRACE_GOES_S: &[u64] = &[1, 1, 2, 4, 8, 14];

/// The result of a look-up.
pub(in crate::engine) enum LookupResult {
    Found(Found),
    /// An object that is not ours is in its place.
    Busy(String),
    /// Another object of this message has its name.
    Met(String),
    /// The gate refused the look-up.
    Closed(Closed),
    /// The look-up itself failed: the effect is as uncertain as before.
    Failed(Failure),
}

/// How thoroughly absence is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum AbsenceCheck {
    /// As the step's [`Repeat`] requires.
    Usual,
    /// Twilio reported that the effect exists: looked up in every way, and twice over the settle time.
    Taken,
}

/// Looks a step's effect up: once, or twice if absence must last.
pub(in crate::engine) async fn look(
    step: &dyn Step,
    context: &StepContext<'_>,
    settle_time: Duration,
    check: AbsenceCheck,
) -> LookupResult {
    let first = in_one_way(step, context, check).await;
    let absent = matches!(first, LookupResult::Found(Found::Absent));
    if !absent || (check == AbsenceCheck::Usual && step.repeat() == Repeat::Collides) {
        return first;
    }
    tokio::time::sleep(settle_time).await;
    in_one_way(step, context, check).await
}

/// Looks for a possible but uncertain trace of a step.
pub(in crate::engine) async fn hint(step: &dyn Step, context: &StepContext<'_>) -> LookupResult {
    let mut waits = waits(step);
    loop {
        let looked = match step.hint(context).await {
            Ok(None) => LookupResult::Found(Found::Absent),
            Ok(Some(detail)) => LookupResult::Found(Found::Invisible(detail)),
            Err(error) => unanswered(step, error),
        };
        if !is_tried_again(&mut waits, &looked).await {
            return looked;
        }
    }
}

/// Reads the state at Twilio of the context's generation.
pub(in crate::engine) async fn past(
    step: &dyn Step,
    context: &StepContext<'_>,
) -> Result<Past, LookupResult> {
    let mut waits = waits(step);
    loop {
        let looked = match step.past(context).await {
            Ok(past) => return Ok(past),
            Err(error) => match unanswered(step, error) {
                // The object that would show it is gone.
                LookupResult::Found(Found::Invisible(detail)) => return Ok(Past::Unclear(detail)),
                looked => looked,
            },
        };
        if !is_tried_again(&mut waits, &looked).await {
            return Err(looked);
        }
    }
}

/// Looks a step's effect up once.
pub(in crate::engine) async fn once(step: &dyn Step, context: &StepContext<'_>) -> LookupResult {
    in_one_way(step, context, AbsenceCheck::Usual).await
}

/// Retries a look-up that failed: it changes nothing.
async fn in_one_way(
    step: &dyn Step,
    context: &StepContext<'_>,
    check: AbsenceCheck,
) -> LookupResult {
    let mut waits = waits(step);
    loop {
        let looked = ask(step, context, check).await;
        if !is_tried_again(&mut waits, &looked).await {
            return looked;
        }
    }
}

/// The waits between the tries of this step's look-up.
fn waits(step: &dyn Step) -> impl Iterator<Item = Duration> {
    let waits = match step.trace_lasts() {
        Some(_) => WAITS_BEFORE_TRACE_GOES_S,
        None => WAITS_S,
    };
    waits.iter().copied().map(Duration::from_secs)
}

async fn ask(step: &dyn Step, context: &StepContext<'_>, check: AbsenceCheck) -> LookupResult {
    let found = match check {
        AbsenceCheck::Usual => step.find(context).await,
        AbsenceCheck::Taken => step.find_taken(context).await,
    };
    match found {
        Ok(found) => LookupResult::Found(found),
        Err(error) => unanswered(step, error),
    }
}

/// The result of a look-up that ended with an error.
fn unanswered(step: &dyn Step, error: StepError) -> LookupResult {
    match error {
        StepError::Call(CallError::Closed(closed)) => LookupResult::Closed(closed),
        // The container of the effect is gone, and with it all traces of the effect.
        StepError::Call(call) if is_missing(&call) => {
            LookupResult::Found(Found::Invisible(call.to_string()))
        }
        StepError::Call(call) => LookupResult::Failed(failure(&call, step.operation())),
        StepError::Busy(detail) => LookupResult::Busy(detail),
        StepError::Met(detail) => LookupResult::Met(detail),
        StepError::Failed(failure) => LookupResult::Failed(*failure),
    }
}

/// Waits before the next try of a look-up. `false`: the look-up has its result, or no try is left.
async fn is_tried_again(waits: &mut impl Iterator<Item = Duration>, looked: &LookupResult) -> bool {
    let may_pass = matches!(looked, LookupResult::Failed(failure) if failure.class.may_pass());
    let wait = waits.next().filter(|_| may_pass);
    if let Some(wait) = wait {
        tokio::time::sleep(wait).await;
    }
    wait.is_some()
}
