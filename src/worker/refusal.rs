//! A delivery that is no message is refused: recorded, dead-lettered, its publisher told.

use crate::campaign::{Arrivals, Campaign, Refused};
use crate::ledger::{Ledger, LedgerError, MessageKey, Stray, Watched};
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

/// Why a message cannot be accepted: the sender it names is none of the campaign's. One that was accepted
/// before keeps its sender, whatever the campaign says by now.
///
/// # Errors
///
/// Those of the ledger.
pub(super) async fn foreign(
    ledger: &Watched,
    campaign: &Campaign,
    message: &Message,
) -> Result<Option<Refused>, LedgerError> {
    let Some(refused) = Arrivals::of(campaign).foreign(message) else {
        return Ok(None);
    };
    match ledger.find(&MessageKey::of(message)).await {
        // It has met it, and says what is damaged when it is taken.
        Err(LedgerError::Damaged(_)) => Ok(None),
        found => Ok(found?.is_none().then_some(refused)),
    }
}
