//! Whether an uncertain step happened: the look-ups, and when absence counts.
//!
//! In: a step whose call's outcome is not known. Out: what was found. Always: for a call whose
//! repeat does not collide, absence counts only after two look-ups spread over the settle time, since a
//! list at Twilio may lag behind what it lists.

use std::time::Duration;

use crate::message::Failure;
use crate::twilio::{CallError, Closed, failure, is_missing};

use super::step::{Found, Repeat, Step, StepError, Turn};

/// What looking came to.
pub(super) enum Looked {
    Found(Found),
    /// The gate let no look-up through.
    Closed(Closed),
    /// The look-up itself failed: as uncertain as before.
    Failed(Failure),
}

/// Looks once, or twice when the step's repeat would not collide.
pub(super) async fn look(step: &dyn Step, turn: &Turn<'_>, settle_time: Duration) -> Looked {
    let first = once(step, turn).await;
    let absent = matches!(first, Looked::Found(Found::Absent));
    if !absent || step.repeat() == Repeat::Collides {
        return first;
    }
    tokio::time::sleep(settle_time).await;
    once(step, turn).await
}

async fn once(step: &dyn Step, turn: &Turn<'_>) -> Looked {
    match step.find(turn).await {
        Ok(found) => Looked::Found(found),
        Err(StepError::Call(CallError::Closed(closed))) => Looked::Closed(closed),
        // The container of what is looked for is gone, and with it whatever it would tell.
        Err(StepError::Call(call)) if is_missing(&call) => {
            Looked::Found(Found::Invisible(call.to_string()))
        }
        Err(StepError::Call(call)) => Looked::Failed(failure(&call, step.operation())),
        Err(StepError::Busy(detail)) => Looked::Found(Found::Theirs(detail)),
        Err(StepError::Failed(failure)) => Looked::Failed(*failure),
    }
}
