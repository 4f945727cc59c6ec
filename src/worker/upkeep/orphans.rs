//! Handles orphans: messages that were published under a key that is no campaign's.
//!
//! In: orphans. Out: each goes to its campaign if that exists by now (it was applied after the publication, or its
//! queue was deleted), and is refused otherwise, like any invalid message. Always: none is dropped, and none circulates
//! for ever.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

use crate::campaign::Refused;
use crate::message::{CampaignId, DeadReason};
use crate::outcomes::SettleError;
use crate::queue::{Backoff, Consumer, Delivery};
use crate::shutdown::Stopper;
use crate::twilio::hide_numbers;

use crate::worker::WorkerState;
use crate::worker::turn::{defective, expiring, refuse};

/// How many orphans the broker delivers ahead: they are handled one at a time.
const PREFETCH: u16 = 20;

/// The first and the longest pause after the ledger or the queue failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
const AFTER_FAILURE_MAX: Duration = Duration::from_secs(60);

/// The delay after which an orphan arrives at its campaign.
const SOON: Duration = Duration::from_secs(1);

/// Handles orphans until it is ended.
pub(in crate::worker) struct Orphans {
    stop: Stopper,
    task: AbortOnDropHandle<()>,
}

impl Orphans {
    pub(in crate::worker) fn begin(shared: &Arc<WorkerState>) -> Self {
        let stop = Stopper::new();
        let looking = look_after(Arc::clone(shared), stop.clone());
        Self {
            stop,
            task: AbortOnDropHandle::new(tokio::spawn(looking)),
        }
    }

    /// Stops after the current orphan is settled.
    pub(in crate::worker) async fn end(self) {
        self.stop.stop();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the consumer of orphans ended with an error");
        }
    }
}

async fn look_after(shared: Arc<WorkerState>, stop: Stopper) {
    let parts = &shared.parts;
    let mut backoff = Backoff::new(AFTER_FAILURE, AFTER_FAILURE_MAX);
    while !stop.is_stopped() {
        let beginning = async {
            parts.ledger.back().await;
            parts.queue.consume_orphans(PREFETCH).await
        };
        match stop.run_until_stopped(beginning).await {
            Some(Ok(Some(consumer))) => consume(&shared, &stop, consumer, &mut backoff).await,
            // The queue has no other publishers, or the stop was requested.
            Some(Ok(None)) | None => return,
            Some(Err(error)) => tracing::warn!(%error, "orphans are not consumed yet"),
        }
        stop.run_until_stopped(parts.clock.sleep(backoff.pause()))
            .await;
    }
}

/// Consumes until stopped, or until the ledger fails. An orphan that cannot be settled does not block those behind it:
/// it is redelivered, after ever longer pauses.
async fn consume(
    shared: &WorkerState,
    stop: &Stopper,
    mut consumer: Box<dyn Consumer>,
    backoff: &mut Backoff,
) {
    while let Some(Some(orphan)) = stop.run_until_stopped(consumer.next()).await {
        match settle(shared, orphan).await {
            Ok(()) => backoff.reset(),
            Err(SettleError::Queue(error)) => {
                tracing::warn!(%error, "an orphan was not settled; it will be redelivered");
            }
            Err(error) => {
                tracing::warn!(%error, "an orphan was not settled; it will be redelivered");
                break;
            }
        }
    }
    consumer.stop().await;
}

async fn settle(shared: &WorkerState, orphan: Box<dyn Delivery>) -> Result<(), SettleError> {
    let parts = &shared.parts;
    let key = hide_numbers(orphan.key());
    if let Some(refused) = defective(&*orphan).or_else(|| expiring(orphan.defect())) {
        let filed_under = near(orphan.key());
        return refuse(shared, &filed_under, orphan, refused).await;
    }
    if let Ok(id) = CampaignId::parse(orphan.key())
        && parts.ledger.campaign(&id).await?.is_some()
    {
        tracing::info!(campaign.id = %id, "an orphan goes to its campaign");
        parts.queue.open(&id).await?;
        orphan.retry_later(SOON).await?;
        return Ok(());
    }
    let refused = Refused {
        reason: DeadReason::NoCampaign,
        detail: format!(
            "no campaign has the id {key:?}, which is the routing key: apply the campaign, then \
             publish again"
        ),
    };
    let filed_under = near(orphan.key());
    refuse(shared, &filed_under, orphan, refused).await
}

/// The campaign id that is most similar to this key. The ledger files the stray under it.
fn near(key: &str) -> CampaignId {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    let spelled: String = hide_numbers(&key.to_lowercase())
        .chars()
        .map(|c| if plain(c) { c } else { '_' })
        .take(100)
        .collect();
    let spelled = spelled.trim_start_matches(['.', '-']);
    let nameless = || CampaignId::parse("_").expect("one allowed character is an id");
    CampaignId::parse(spelled).unwrap_or_else(|_| nameless())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_key_can_be_filed() {
        let table = [
            ("winter", "winter"),
            ("Spring Renewals", "spring_renewals"),
            ("", "_"),
            ("..", "_"),
            ("+12025550173", "_1______0173"),
        ];
        for (key, filed) in table {
            assert_eq!(near(key).as_str(), filed, "{key}");
        }
        assert!(near(&"x".repeat(255)).as_str().len() <= 120);
    }
}
