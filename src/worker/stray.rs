//! Deliveries that no saga can be run for: dead letters at once.
//!
//! In: a delivery, and what is wrong with it. Out: a dead letter, counted and logged.

use crate::ledger::Stray;
use crate::message::DeadReason;
use crate::outcomes::SettleError;
use crate::queue::{DeadLetter, Delivery};

use super::{Active, Shared};

/// How much of a body that is no message the ledger keeps.
const STRAY_BYTES_MAX: usize = 1_024;

/// A delivery that is no message of this campaign.
pub(super) async fn malformed(
    shared: &Shared,
    active: &Active,
    delivery: Box<dyn Delivery>,
    detail: String,
) -> Result<(), SettleError> {
    let body = delivery.body();
    let kept = &body[..body.len().min(STRAY_BYTES_MAX)];
    let stray = Stray {
        campaign: active.campaign.id.clone(),
        detail: detail.clone(),
        body: String::from_utf8_lossy(kept).into_owned(),
    };
    let parts = &shared.parts;
    parts.ledger.record_stray(&stray, parts.clock.now()).await?;
    parts.metrics.dead_letter(DeadReason::Malformed);
    tracing::warn!(campaign.id = %active.campaign.id, detail, "dead-lettered: no message");
    let letter = DeadLetter {
        reason: DeadReason::Malformed,
        step: None,
        code: None,
        attempt: 0,
        detail,
    };
    delivery.dead_letter(letter).await?;
    Ok(())
}

/// A message whose records contradict each other: only an operator can say what it is.
pub(super) async fn broken(
    shared: &Shared,
    delivery: Box<dyn Delivery>,
    detail: String,
) -> Result<(), SettleError> {
    tracing::error!(
        detail,
        "dead-lettered: the ledger's records of it are damaged"
    );
    shared.parts.metrics.dead_letter(DeadReason::Stuck);
    let letter = DeadLetter {
        reason: DeadReason::Stuck,
        step: None,
        code: None,
        attempt: 0,
        detail,
    };
    delivery.dead_letter(letter).await?;
    Ok(())
}
