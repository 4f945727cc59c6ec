//! The turn of one delivery: it arrives, is leased, made ready, executed, and settled.
//!
//! Each stage is a type that owns the delivery and has one method that leads to the next stage. Every other exit
//! settles the delivery, or leaves it unsettled after the ledger or the queue failed. Then the queue delivers it again,
//! and the ledger's record decides what is done.

mod arrived;
mod leased;

mod assignment;
mod agent;
mod limits;
mod ready;

mod executed;
mod report;

mod holding;
mod refusal;
mod set_aside;

pub(super) use agent::{AgentDirectories, agent_of};
pub(super) use holding::{Holding, MessagesInTurn};
pub(super) use refusal::{RecordedRefusals, defective, expiring, refuse};
pub(super) use set_aside::StoreRefusals;

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::ledger::{LedgerError, MessageKey};
use crate::outcomes::SettleError;
use crate::queue::{Delivery, QueueError};
use crate::shutdown::Stopper;

use crate::worker::{Active, WorkerState};
use arrived::Arrived;

/// The delay of a delivery whose message is processed in another turn or by another consumer.
const HELD_AGAIN: Duration = Duration::from_secs(5);

/// The pause after a turn that ended because the ledger or the queue failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// What the turns of one session share. A session lasts while one consumer of a campaign's queue is open.
#[derive(Clone, Copy)]
pub(super) struct CampaignSession<'a> {
    pub(super) shared: &'a WorkerState,
    pub(super) active: &'a Active,
    /// Ends the session: no further message is begun.
    pub(super) stop: &'a Stopper,
}

/// Why a delivery did not reach the next stage.
enum Left {
    /// Its message's lease, if it had one, is over. The delivery is acknowledged, dead-lettered or returned.
    Settled,
    /// The delivery is returned or dead-lettered. The lease is still to be released.
    BrokenOff,
    /// The session ended before the message's turn began.
    NotBegun,
    /// The ledger or the queue failed. The queue delivers the message again.
    Failed(SettleError),
}

impl From<SettleError> for Left {
    fn from(error: SettleError) -> Self {
        Self::Failed(error)
    }
}

impl From<LedgerError> for Left {
    fn from(error: LedgerError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<QueueError> for Left {
    fn from(error: QueueError) -> Self {
        Self::Failed(error.into())
    }
}

/// The stages of one turn, in their order.
async fn live(session: CampaignSession<'_>, delivery: Box<dyn Delivery>) -> Result<(), Left> {
    // Exits: it is no message, or another delivery of it has its turn until the session ends.
    let arrived = Arrived::read(session, delivery).await?;
    let key = arrived.key.clone();
    // Each stage is boxed: nested in each other, their futures would overflow a thread's stack.
    let life = async {
        // Exits: the message is over, not due, leased to another consumer, refused, or set aside.
        let leased = Box::pin(arrived.take()).await?;
        // Exits: it is skipped, scheduled, held for its agent, put off by its limits, or returned.
        let ready = Box::pin(leased.prepare()).await?;
        // Exits: a call could not start, or the saga was interrupted.
        let executed = Box::pin(ready.execute()).await?;
        Box::pin(executed.settle()).await
    };
    life.await.map_err(|left| session.note_refusal(&key, left))
}

/// Runs one delivery's turn. Returns whether the delivery was settled.
pub(super) async fn turn(session: CampaignSession<'_>, delivery: Box<dyn Delivery>) -> bool {
    let CampaignSession {
        shared,
        active,
        stop,
    } = session;
    let clock = shared.parts.clock;
    // The delivery stays with this consumer meanwhile. Otherwise all messages of the queue would go through the delay
    // queues.
    if let Some(wait) = shared.parts.ledger.gives_no_lease_for() {
        stop.run_until_stopped(clock.sleep(wait)).await;
    }
    if stop.is_stopped() || shared.parts.ledger.is_lost() {
        if let Err(error) = delivery.release().await {
            shared.tell_unsettled(&error.into());
        }
        return false;
    }
    let lived = live(session, delivery).await;
    shared.turns.fetch_add(1, Ordering::Relaxed);
    // A halted campaign's consumer takes no more messages: those it returns would be redelivered at once.
    if !active.is_consumed() {
        stop.stop();
    }
    match lived {
        Ok(()) | Err(Left::Settled | Left::BrokenOff) => true,
        Err(Left::NotBegun) => false,
        Err(Left::Failed(error)) => {
            shared.tell_unsettled(&error);
            // The ledger or the queue is unavailable: returned deliveries must not circulate at full speed.
            stop.run_until_stopped(clock.sleep(AFTER_FAILURE)).await;
            false
        }
    }
}

impl CampaignSession<'_> {
    /// Records that the store refused this message: its delivery returns after ever longer pauses.
    fn note_refusal(&self, key: &MessageKey, left: Left) -> Left {
        if let Left::Failed(SettleError::Ledger(error)) = &left {
            let now = self.shared.parts.clock.instant();
            self.shared.store_refusals.note(key, error, now);
        }
        left
    }
}

impl WorkerState {
    fn tell_unsettled(&self, error: &SettleError) {
        match error {
            // The loss of the ledger is logged once, not for each message.
            SettleError::Ledger(error) if self.parts.ledger.is_lost() => {
                tracing::debug!(%error, "a delivery was not settled; it will be redelivered");
            }
            error => tracing::warn!(%error, "a delivery was not settled; it will be redelivered"),
        }
    }
}
