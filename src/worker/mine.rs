//! A message that is ours to work on, and what the judge needs to know of it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::engine::{Agent, Place};
use crate::ledger::Lease;
use crate::message::{Api, Assignee, Event, Message, Strategy};
use crate::outcomes::Circumstances;

use super::{Active, Shared};

/// A message that is ours to work on.
pub(super) struct Mine {
    pub(super) lease: Lease,
    pub(super) message: Message,
    pub(super) journal: Vec<Event>,
    pub(super) attempts: u32,
    pub(super) accepted_at: Timestamp,
    /// Whether somebody whose lease ran out lives and has not let go.
    pub(super) overtaken: bool,
    /// Whether it was deferred with a promise of its lanes' pace that still holds.
    pub(super) promised: bool,
    /// Whether something of it may stand at Twilio that its journal does not know.
    pub(super) doubtful: bool,
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
    let age = shared.parts.clock.now().duration_since(mine.accepted_at);
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
