//! Retries the undos of stuck messages: those whose effects at Twilio could not be removed.
//!
//! In: stuck messages whose undo is due. Out: messages that are dead for their own reason, or stuck until a later
//! retry. Always: the books count the message as before; while Twilio refuses the account, its effects stay.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::engine::{Delivered, Interrupted, Job, Position, Sending};
use crate::ledger::{Lease, LedgerError, MessageKey, Stuck, UndoSettlement};
use crate::message::{DeadReason, Ended, Event, Failure, FailureClass, Saga};
use crate::outcomes::{undo_wait, undone};

use crate::worker::campaigns::Campaigns;
use crate::worker::turn::agent_of;
use crate::worker::{Active, WorkError, WorkerState};

/// How many undos run at once: they must not displace messages to customers.
const AT_ONCE: usize = 8;

/// How many due undos are read at once, of which another consumer may have some.
const LISTED: usize = 100;

/// The delay of an undo that was interrupted, by a pause or a stop.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// The undos that are running.
pub(in crate::worker) struct Undos {
    shared: Arc<WorkerState>,
    tasks: JoinSet<()>,
    running: UndosInFlight,
}

/// The messages whose undos are running, each with its campaign. None: the campaign cannot be read.
type UndosInFlight = Arc<Mutex<BTreeMap<MessageKey, Option<Arc<Active>>>>>;

impl Undos {
    pub(in crate::worker) fn new(shared: Arc<WorkerState>) -> Self {
        Self {
            shared,
            tasks: JoinSet::new(),
            running: Arc::default(),
        }
    }

    /// Starts the undos that are due, and stops those of campaigns that the program has paused.
    pub(in crate::worker) async fn look(&mut self, campaigns: &Campaigns) -> Result<(), WorkError> {
        while self.tasks.try_join_next().is_some() {}
        for (key, active) in &*lock(&self.running) {
            if let Some(active) = active
                .as_ref()
                .filter(|_| campaigns.is_refused(&key.campaign))
            {
                active.switch.stop(Position::Halted);
            }
        }
        let parts = &self.shared.parts;
        let due = parts.ledger.due_undos(parts.clock.now(), LISTED).await?;
        for key in due {
            if self.tasks.len() >= AT_ONCE {
                break;
            }
            if !campaigns.is_ours(&key.campaign) || lock(&self.running).contains_key(&key) {
                continue;
            }
            match campaigns.active(&key.campaign).await {
                Ok(active) => self.begin(key, active),
                Err(error @ WorkError::Campaign(..)) => {
                    tracing::warn!(message.id = %key.id.in_log(), %error, "an undo cannot be tried");
                    lock(&self.running).insert(key, None);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn begin(&mut self, key: MessageKey, active: Arc<Active>) {
        lock(&self.running).insert(key.clone(), Some(Arc::clone(&active)));
        let (shared, running) = (Arc::clone(&self.shared), Arc::clone(&self.running));
        self.tasks.spawn(async move {
            if let Err(error) = again(&shared, &active, &key).await {
                tracing::warn!(message.id = %key.id.in_log(), %error, "an undo was not recorded");
            }
            lock(&running).remove(&key);
        });
    }

    /// Waits until all running undos have ended.
    pub(in crate::worker) async fn drain(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

fn lock(running: &UndosInFlight) -> MutexGuard<'_, BTreeMap<MessageKey, Option<Arc<Active>>>> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Retries one undo.
async fn again(shared: &WorkerState, active: &Active, key: &MessageKey) -> Result<(), LedgerError> {
    // Customers come first: without a free slot, the undo is retried at a later pass.
    let Some(_slot) = shared.slots.try_take(&active.campaign.id) else {
        return Ok(());
    };
    let parts = &shared.parts;
    let lease_for = parts.engine.lease_for();
    let now = parts.clock.now();
    let taking = parts.ledger.take_undo(key, &parts.holder, now, lease_for);
    let Some(stuck) = taking.await? else {
        return Ok(());
    };
    let why = why(&stuck);
    let saga = match Saga::replay(&stuck.journal) {
        Ok(saga) => saga,
        Err(illegal) => {
            tracing::warn!(message.id = %key.id.in_log(), %illegal, "an undo was interrupted");
            return Ok(());
        }
    };
    // Only some look-ups need the agent: an agent who is gone does not prevent the undo.
    let resolving = agent_of(shared, active, &stuck.message, &saga);
    let agent = resolving.await.ok().flatten();
    let job = Job {
        campaign: &active.campaign,
        message: &stuck.message,
        agent: agent.as_deref(),
        assigned: None,
        unfit: None,
        lease: stuck.lease.clone(),
        saga: &saga,
        sending: Sending::of(
            &parts.pacer,
            &active.campaign,
            &stuck.message,
            &saga.effects,
        ),
        taken_before: true,
        // Only going forward depends on it.
        overtaken: false,
        distrusted_from: stuck.distrusted_from,
        switch: &active.switch,
    };
    match parts.engine.undo(job, &why).await {
        Ok(delivered) => settle(shared, &stuck, why, delivered).await,
        Err(Interrupted::Closed(closed)) => {
            tracing::info!(message.id = %key.id.in_log(), %closed, "an undo was broken off");
            let due = now.checked_add(AGAIN_AFTER).unwrap_or(now);
            let released = UndoSettlement::Released { due };
            record(shared, &stuck.lease, &[], &released).await
        }
        // As with a turn: the events may be stored although the ledger reported a failure, so this lease writes nothing
        // more.
        Err(interrupted) => {
            tracing::warn!(message.id = %key.id.in_log(), %interrupted, "an undo was interrupted");
            Ok(())
        }
    }
}

/// Why a stuck message was undone: the cause recorded when it got stuck, or the failure in its journal.
fn why(stuck: &Stuck) -> Failure {
    let recorded = stuck.failure.cause.as_deref().cloned();
    let failed = stuck.journal.iter().rev().find_map(|event| match event {
        Event::Failed { failure } => Some((**failure).clone()),
        _ => None,
    });
    recorded.or(failed).unwrap_or_else(|| stuck.failure.clone())
}

async fn settle(
    shared: &WorkerState,
    stuck: &Stuck,
    why: Failure,
    delivered: Delivered,
) -> Result<(), LedgerError> {
    let key = &stuck.lease.key;
    let now = shared.parts.clock.now();
    let effects = Box::new(delivered.saga.effects);
    let settlement = match delivered.ended {
        Ended::Failed(left) if left.class == FailureClass::Permanent(DeadReason::Stuck) => {
            let wait = undo_wait(stuck.tries + 1, left.retry_after);
            tracing::warn!(
                campaign.id = %key.campaign, message.id = %key.id.in_log(), failure = %left,
                tries = stuck.tries + 1, wait_s = wait.as_secs(), "still stuck"
            );
            UndoSettlement::Left {
                failure: Box::new(left),
                effects,
                due: now.checked_add(wait).unwrap_or(now),
            }
        }
        _ => {
            tracing::info!(
                campaign.id = %key.campaign, message.id = %key.id.in_log(),
                "nothing is left of it at Twilio: no longer stuck"
            );
            let ending = undone(why);
            UndoSettlement::Over { ending, effects }
        }
    };
    record(shared, &delivered.lease, &delivered.unwritten, &settlement).await
}

async fn record(
    shared: &WorkerState,
    lease: &Lease,
    events: &[Event],
    settlement: &UndoSettlement,
) -> Result<(), LedgerError> {
    let parts = &shared.parts;
    let now = parts.clock.now();
    parts
        .ledger
        .settle_undo(lease, events, settlement, now)
        .await
}
