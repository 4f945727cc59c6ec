//! A delivery that is no message is refused: recorded, dead-lettered, its publisher told.

use crate::campaign::Refused;
use crate::ledger::{Ledger, Stray};
use crate::message::{CampaignId, Message};
use crate::outcomes::SettleError;
use crate::queue::{DeadLetter, Delivery};

use super::Shared;

/// How much of a body that is no message the ledger keeps.
const STRAY_BYTES_MAX: usize = 1_024;

/// Refuses a delivery that came as one of `campaign`.
pub(super) async fn refuse(
    shared: &Shared,
    campaign: &CampaignId,
    delivery: Box<dyn Delivery>,
    refused: Refused,
) -> Result<(), SettleError> {
    let Refused { reason, detail } = refused;
    let body = delivery.body();
    let kept = &body[..body.len().min(STRAY_BYTES_MAX)];
    let id = Message::id_in(body);
    let stray = Stray {
        campaign: campaign.clone(),
        reason,
        detail: detail.clone(),
        body: String::from_utf8_lossy(kept).into_owned(),
    };
    let parts = &shared.parts;
    parts.ledger.record_stray(&stray, parts.clock.now()).await?;
    parts.metrics.dead_letter(reason);
    tracing::warn!(campaign.id = %campaign, %reason, detail, "dead-lettered: no message");
    let letter = DeadLetter {
        reason,
        step: None,
        code: None,
        attempt: 0,
        detail,
    };
    delivery.refuse(letter, id).await?;
    Ok(())
}
