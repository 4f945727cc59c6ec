//! Whether an uncertain step happened: the look-ups, and when absence counts.
//!
//! In: a step whose call's outcome is not known. Out: what was found. Always: for a call whose
//! repeat does not collide, absence counts only after two look-ups spread over the settle time, since a
//! list at Twilio may lag behind what it lists.

use std::time::Duration;

use crate::message::{Failure, FailureClass};
use crate::twilio::{CallError, Closed, failure, is_missing};

use super::step::{Found, Repeat, Step, StepError, Turn};

/// How often one look-up is tried, and the wait between two tries.
const ASKED_MAX: u32 = 3;
const ASKED_AGAIN: Duration = Duration::from_secs(1);

/// What looking came to.
pub(super) enum Looked {
    Found(Found),
    /// Somebody else's stands in its place.
    Busy(String),
    /// The gate let no look-up through.
    Closed(Closed),
    /// The look-up itself failed: as uncertain as before.
    Failed(Failure),
}

/// How long absence is doubted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// As the step's repeat asks for.
    Usual,
    /// Twilio says that it is there: looked for in every way, and over the settle time.
    Taken,
}

/// Looks once, or twice where absence has to last.
pub(super) async fn look(
    step: &dyn Step,
    turn: &Turn<'_>,
    settle_time: Duration,
    patience: Patience,
) -> Looked {
    let first = in_one_way(step, turn, patience).await;
    let absent = matches!(first, Looked::Found(Found::Absent));
    if !absent || (patience == Patience::Usual && step.repeat() == Repeat::Collides) {
        return first;
    }
    tokio::time::sleep(settle_time).await;
    in_one_way(step, turn, patience).await
}

/// Looks once.
pub(super) async fn once(step: &dyn Step, turn: &Turn<'_>) -> Looked {
    in_one_way(step, turn, Patience::Usual).await
}

/// Asks again where the look-up itself failed: it changes nothing.
async fn in_one_way(step: &dyn Step, turn: &Turn<'_>, patience: Patience) -> Looked {
    let mut looked = ask(step, turn, patience).await;
    for _ in 1..ASKED_MAX {
        match &looked {
            Looked::Failed(failure) if failure.class == FailureClass::Transient => {}
            _ => break,
        }
        tokio::time::sleep(ASKED_AGAIN).await;
        looked = ask(step, turn, patience).await;
    }
    looked
}

async fn ask(step: &dyn Step, turn: &Turn<'_>, patience: Patience) -> Looked {
    let found = match patience {
        Patience::Usual => step.find(turn).await,
        Patience::Taken => step.find_taken(turn).await,
    };
    match found {
        Ok(found) => Looked::Found(found),
        Err(StepError::Call(CallError::Closed(closed))) => Looked::Closed(closed),
        // The container of what is looked for is gone, and with it whatever it would tell.
        Err(StepError::Call(call)) if is_missing(&call) => {
            Looked::Found(Found::Invisible(call.to_string()))
        }
        Err(StepError::Call(call)) => Looked::Failed(failure(&call, step.operation())),
        Err(StepError::Busy(detail)) => Looked::Busy(detail),
        Err(StepError::Failed(failure)) => Looked::Failed(*failure),
    }
}
