//! The life of one delivery: it arrives, is leased, made ready, executed, and settled.
//!
//! Each stage is a type that owns the delivery, and a step to the next stage. Every way out settles the delivery, or
//! leaves it to come again after the ledger or the queue failed: then what it finds in the ledger decides.

mod arrived;
mod leased;

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

/// When a delivery whose message another turn or another consumer works on is looked at again.
const HELD_AGAIN: Duration = Duration::from_secs(5);

/// The pause after a turn that the ledger or the queue broke off.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// What the turns of one session share: a session begins when a campaign's queue is consumed, and ends with that.
#[derive(Clone, Copy)]
pub(super) struct CampaignSession<'a> {
    pub(super) shared: &'a WorkerState,
    pub(super) active: &'a Active,
    /// Asks the session to end: nothing more is begun.
    pub(super) stop: &'a Stopper,
}

/// Why a delivery went through no further stage.
enum Left {
    /// Its message's lease, if it had one, is over; the delivery is acknowledged, dead-lettered or given back.
    Settled,
    /// The delivery is given back or dead-lettered; the lease is still to be ended.
    BrokenOff,
    /// The session ended before the message had its turn.
    NotBegun,
    /// The ledger or the queue failed: the delivery comes again.
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

/// The life of a message, as this consumer sees it.
async fn live(session: CampaignSession<'_>, delivery: Box<dyn Delivery>) -> Result<(), Left> {
    // Left here: it is no message, or another delivery of it has its turn until the session ends.
    let arrived = Arrived::read(session, delivery).await?;
    let key = arrived.key.clone();
    // Each stage in a box of its own: within each other their futures would not fit a thread's stack.
    let life = async {
        // Left here: the message is over, not due, another consumer's, refused, or set aside.
        let leased = Box::pin(arrived.take()).await?;
        // Left here: it is skipped, scheduled, held for its agent, put off for its limits, or given back.
        let ready = Box::pin(leased.prepare()).await?;
        // Left here: a call did not leave, or the saga was interrupted.
        let executed = Box::pin(ready.execute()).await?;
        Box::pin(executed.settle()).await
    };
    life.await.map_err(|left| session.note_refusal(&key, left))
}

/// Gives one delivery its turn; tells whether it was settled.
pub(super) async fn turn(session: CampaignSession<'_>, delivery: Box<dyn Delivery>) -> bool {
    let CampaignSession {
        shared,
        active,
        stop,
    } = session;
    let clock = shared.parts.clock;
    // The delivery stays with this consumer meanwhile. If it were put off, all messages of the queue would go through the
    // delays.
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
    // A halted campaign's consumer takes nothing more: what it gives back would come round at once.
    if !active.is_consumed() {
        stop.stop();
    }
    match lived {
        Ok(()) | Err(Left::Settled | Left::BrokenOff) => true,
        Err(Left::NotBegun) => false,
        Err(Left::Failed(error)) => {
            shared.tell_unsettled(&error);
            // The ledger or the queue is away: what was given back must not come round at full speed.
            stop.run_until_stopped(clock.sleep(AFTER_FAILURE)).await;
            false
        }
    }
}

impl CampaignSession<'_> {
    /// Takes note of a store that refuses this message: its delivery comes again, ever later.
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
            // Said once, not for each message.
            SettleError::Ledger(error) if self.parts.ledger.is_lost() => {
                tracing::debug!(%error, "a delivery was not settled; it comes again");
            }
            error => tracing::warn!(%error, "a delivery was not settled; it comes again"),
        }
    }
}
