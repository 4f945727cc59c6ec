//! Refuses a delivery that is not a valid message: records it, dead-letters it, and tells its publisher.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::campaign::Refused;
use crate::ledger::{Ledger, LedgerError, Stray};
use crate::message::{CampaignId, DeadReason, Message};
use crate::outcomes::SettleError;
use crate::queue::{DeadLetter, Defect, Delivery, Settled};

use crate::worker::WorkerState;

/// The most bytes of an invalid body that the ledger keeps.
const STRAY_BYTES_MAX: usize = 1_024;

/// The maximum number of refused deliveries remembered: far more than a broker delivers at once.
const RECORDED_MAX: usize = 10_000;

/// Refused deliveries that the ledger has recorded and the queue could not dead-letter. The queue delivers them again,
/// and they must be recorded only once.
#[derive(Debug, Default)]
pub(in crate::worker) struct RecordedRefusals(Mutex<HashSet<u64>>);

impl RecordedRefusals {
    /// The identity of a delivery: a hash of its campaign and its whole body. Its message id is not enough, since any
    /// publisher can use any id.
    fn name(campaign: &CampaignId, body: &[u8]) -> u64 {
        let mut hasher = DefaultHasher::new();
        (campaign.as_str(), body).hash(&mut hasher);
        hasher.finish()
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Refuses a delivery from the queue of `campaign`.
pub(in crate::worker) async fn refuse(
    shared: &WorkerState,
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
    let name = RecordedRefusals::name(campaign, body);
    if !shared.refused.lock().contains(&name) {
        record(&parts.ledger, stray, parts.clock.now()).await?;
        parts.metrics.dead_letter(reason);
        tracing::warn!(campaign.id = %campaign, %reason, detail, "dead-lettered: not a valid message");
    }
    let letter = DeadLetter {
        reason,
        step: None,
        code: None,
        attempt: 0,
        detail,
    };
    let moved = delivery.refuse(letter, id).await;
    let mut recorded = shared.refused.lock();
    match &moved {
        Ok(Settled::Yes) => drop(recorded.remove(&name)),
        Ok(Settled::Stale) | Err(_) => {
            // Deliveries that another consumer dead-letters in the end are never removed here, so the set is bounded.
            if recorded.len() >= RECORDED_MAX {
                recorded.clear();
            }
            recorded.insert(name);
        }
    }
    drop(recorded);
    moved.map(drop).map_err(Into::into)
}

/// Records a stray. If the store refuses its text although it works otherwise, records it without the text.
async fn record(ledger: &Ledger, stray: Stray, now: Timestamp) -> Result<(), LedgerError> {
    match ledger.record_stray(&stray, now).await {
        Err(LedgerError::Refused { code, .. }) => {
            let plain = Stray {
                detail: format!("the database refuses its text ({code})"),
                body: String::new(),
                ..stray
            };
            ledger.record_stray(&plain, now).await
        }
        recorded => recorded,
    }
}

/// Why a delivery is refused before its body is read, if it is.
pub(in crate::worker) fn defective(delivery: &dyn Delivery) -> Option<Refused> {
    match delivery.defect()? {
        Defect::Oversized { bytes, max } => Some(Refused {
            reason: DeadReason::Oversized,
            detail: format!(
                "{bytes} bytes are more than the {max} that a message may have; the first {} are kept",
                delivery.body().len()
            ),
        }),
        Defect::UnreadableKey => Some(Refused {
            reason: DeadReason::Malformed,
            detail: "its routing key is not UTF-8, and no campaign's id".to_owned(),
        }),
        // This matters only for messages that are not accepted yet: see `expiring`.
        Defect::Expires => None,
    }
}

/// Why a delivery is refused that has an expiration: the broker may drop the next such message before it is delivered.
pub(in crate::worker) fn expiring(defect: Option<Defect>) -> Option<Refused> {
    (defect == Some(Defect::Expires)).then(|| Refused {
        reason: DeadReason::Malformed,
        detail: "it has the AMQP property `expiration`, with which a broker drops messages before they are \
                 seen: leave it out, and say `expires_at` in the message"
            .to_owned(),
    })
}
