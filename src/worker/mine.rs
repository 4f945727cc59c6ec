//! A message that is ours to work on, and what the judge needs to know of it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::engine::{Agent, Place};
use crate::ledger::{Lease, LedgerError, MessageKey, Taken};
use crate::message::{Api, Assignee, Event, Message, Strategy};
use crate::metrics::MessageEvent;
use crate::outcomes::{Circumstances, SettleError};
use crate::queue::Delivery;

use super::set_aside::damaged;
use super::turn::HELD_AGAIN;
use super::{Active, Shared};

/// A message that is ours to work on.
pub(super) struct Mine {
    pub(super) lease: Lease,
    pub(super) message: Message,
    pub(super) journal: Vec<Event>,
    pub(super) attempts: u32,
    pub(super) accepted_at: Timestamp,
    /// Since when it is tried.
    pub(super) tried_since: Timestamp,
    /// Whether somebody whose lease ran out lives and has not let go.
    pub(super) overtaken: bool,
    /// The backlog that it was called up from.
    pub(super) called_from: Option<String>,
    /// Whether something of it may stand at Twilio that its journal does not know.
    pub(super) doubtful: bool,
    /// Since when messages of the campaign may have been carried out that the ledger does not know of, if any may.
    pub(super) distrusted_from: Option<Timestamp>,
    /// Who is to have the task.
    pub(super) assigned: Assigned,
}

impl Mine {
    /// Whether nothing of it stands at Twilio, and nothing can: no call was ever made for it.
    pub(super) fn is_unbegun(&self) -> bool {
        self.journal.is_empty() && !self.doubtful
    }
}

/// Who is to have a message's task.
#[derive(Default)]
pub(super) struct Assigned {
    /// None: nobody by name, or not known yet.
    pub(super) agent: Option<Arc<Agent>>,
    /// What is to be recorded of it, where it is not simply whom the message names.
    pub(super) record: Option<Assignee>,
    /// Whether something of the message may stand at Twilio: it is gone on with.
    pub(super) may_stand: bool,
    /// The place that the message takes with the agent until it is over.
    pub(super) place: Option<Place>,
    /// Whether the consumers' store counts the message as begun for the agent.
    pub(super) is_counted: bool,
}

/// Takes the message in the ledger; `None` when its delivery is settled already.
pub(super) async fn take(
    shared: &Shared,
    active: &Active,
    delivery: Box<dyn Delivery>,
    message: &Message,
) -> Result<Option<(Mine, Box<dyn Delivery>)>, SettleError> {
    let parts = &shared.parts;
    let (now, lease_for) = (parts.clock.now(), parts.engine.lease_for());
    let taking = parts.ledger.take(message, &parts.holder, now, lease_for);
    let (taken, key) = (taking.await, MessageKey::of(message));
    let until = parts.clock.now() + lease_for;
    shared.letting_go.note_take(&key, &taken, until);
    let taken = match taken {
        // Its records are broken: it would come round for ever. `status` names it.
        Err(LedgerError::Damaged(detail)) => {
            damaged(shared, delivery, &key, detail).await?;
            return Ok(None);
        }
        Err(error @ LedgerError::Refused { .. }) => {
            let pause = shared.store_refusals.pause(&key);
            delivery.retry_later(pause).await?;
            return Err(error.into());
        }
        taken => taken?,
    };
    if let Taken::Leased {
        lease,
        message,
        journal,
        attempts,
        accepted_at,
        tried_since,
        overtaken,
        called_from,
        doubtful,
        distrusted_from,
        ..
    } = taken
    {
        let mine = Mine {
            lease,
            message: *message,
            journal,
            attempts,
            accepted_at,
            tried_since,
            overtaken,
            called_from,
            doubtful,
            distrusted_from,
            assigned: Assigned::default(),
        };
        return Ok(Some((mine, delivery)));
    }
    pass_by(shared, active, delivery, message, taken).await?;
    Ok(None)
}

/// Settles the delivery of a message that is not to be worked on now.
async fn pass_by(
    shared: &Shared,
    active: &Active,
    delivery: Box<dyn Delivery>,
    message: &Message,
    taken: Taken,
) -> Result<(), SettleError> {
    let (strategy, api) = kind(active, message);
    let note = |event| shared.parts.metrics.message(event, strategy, api);
    match taken {
        Taken::Leased { .. } => {}
        Taken::Over(_) => {
            shared.store_refusals.forget(&MessageKey::of(message));
            note(MessageEvent::Redelivered);
            delivery.ack().await?;
        }
        Taken::AddressTaken { by } => {
            note(MessageEvent::Duplicate);
            tracing::info!(
                message.id = %message.id().in_log(), duplicate_of = %by.in_log(),
                "not accepted: the campaign has another message to this address"
            );
            delivery.ack().await?;
        }
        // Its own time, or the queue's delayed copy, brings it back.
        Taken::Deferred { .. } => {
            note(MessageEvent::Redelivered);
            delivery.ack().await?;
        }
        Taken::Held { .. } => {
            note(MessageEvent::Redelivered);
            delivery.retry_later(HELD_AGAIN).await?;
        }
    }
    Ok(())
}

pub(super) fn circumstances(shared: &Shared, active: &Active, mine: &Mine) -> Circumstances {
    Circumstances {
        failed_before: mine.attempts,
        age: age(shared, mine),
        now: shared.parts.clock.now(),
        spread: spread(mine),
        when_open: active.campaign.when_open,
        busy_wait: shared.parts.busy_wait,
    }
}

fn age(shared: &Shared, mine: &Mine) -> Duration {
    let age = shared.parts.clock.now().duration_since(mine.tried_since);
    Duration::try_from(age).unwrap_or_default()
}

/// Between 0 and 1, from the message and its attempt: the same run spreads the same way.
pub(super) fn spread(mine: &Mine) -> f64 {
    let mut hasher = DefaultHasher::new();
    mine.lease.key.hash(&mut hasher);
    mine.attempts.hash(&mut hasher);
    f64::from(u16::try_from(hasher.finish() % 1_000).unwrap_or_default()) / 1_000.0
}

/// How a message is carried out: for metrics.
pub(super) fn kind(active: &Active, message: &Message) -> (Strategy, Api) {
    let strategy = message.strategy.unwrap_or(active.campaign.strategy);
    (strategy, active.campaign.api)
}
