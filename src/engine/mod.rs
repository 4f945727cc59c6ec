//! The engine: carries out one message by running its saga step by step.
//!
//! In: a leased message with its journal. Out: how the run ended, and the events that are still to be written. Always:
//! the engine never touches the queue; its caller settles the message.

mod saga;

mod agents;
mod call_right;
mod gate;
mod lanes;
mod pauses;
mod sending;
mod step;
mod steps;
mod strategies;

pub use agents::{
    Agent, AgentDirectory, AgentError, AgentRules, AgentSlot, Availability, Choice, WhenNot, choose,
};
pub use call_right::CallRight;
pub use gate::{CampaignSwitch, DEFAULT_LEASE, MessageGate, PacedGate, Position};
pub use pauses::{MessageParties, ScopedPauses};
pub use sending::{SENDER_WAIT_MAX, Sending};

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::campaign::{Campaign, InitiatedBy};
use crate::clock::Clock;
use crate::ledger::{Lease, Ledger, LedgerError};
use crate::message::{
    Api, Assignee, Ended, Event, Failure, IllegalEvent, Message, Name, Saga, Strategy,
};
use crate::metrics::Metrics;
use crate::pacing::Pacer;
use crate::twilio::{Closed, Product, Twilio};

use gate::Spans;
use lanes::Services;
use saga::Runner;
use saga::generations::PastGenerations;
use saga::journal::Journal;
use saga::recovery::LookupResult;
use step::{Found, Step, StepContext};

/// Why a run ended without an outcome. The next holder of the message looks up what was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum Interrupted {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The gate closed: the campaign was paused, or the consumer is stopping.
    #[error(transparent)]
    Closed(#[from] Closed),
    #[error("the journal is not valid: {0}")]
    Journal(#[from] IllegalEvent),
}

/// The products that the right to start changing calls needs: the marks are Users of a chat service.
const MARKS_NEED: [Product; 1] = [Product::Conversations];

/// The products of Twilio that a campaign's messages need: those of its steps, its agents and the marks.
#[must_use]
pub fn needs(campaign: &Campaign) -> Vec<Product> {
    let steps = strategies::steps(campaign.api, campaign.strategy).iter();
    let mut products: Vec<_> = steps
        .map(|step| step.operation().endpoint().product)
        .chain(MARKS_NEED)
        .chain([Product::Taskrouter])
        .collect();
    products.sort_unstable();
    products.dedup();
    products
}

/// The surroundings of a message's saga.
#[derive(Debug)]
pub struct Ground<'a> {
    twilio: &'a Twilio,
    gate: &'a MessageGate,
    campaign: &'a Campaign,
    message: &'a Message,
    agent: Option<&'a Agent>,
}

/// A message to be carried out, as the worker hands it over.
#[derive(Debug)]
pub struct Job<'a> {
    pub campaign: &'a Campaign,
    pub message: &'a Message,
    pub agent: Option<&'a Agent>,
    /// Who gets the task, if that was just decided. It is made durable before anything else.
    pub assigned: Option<Assignee>,
    /// Why it cannot go forward, if it cannot. If the reason is final, effects of earlier runs are undone.
    pub unfit: Option<Failure>,
    pub lease: Lease,
    /// The saga that its journal describes.
    pub saga: &'a Saga,
    /// The text that the message sends itself, if it sends one ([`Sending::of`]).
    pub sending: Option<Sending>,
    /// Whether it was leased before: an earlier holder may have died during its work.
    pub taken_before: bool,
    /// Whether an earlier holder's lease expired while that holder is alive: it may still send.
    pub overtaken: bool,
    /// Since when another ledger may have carried out messages of its campaign, if one may.
    pub distrusted_from: Option<Timestamp>,
    pub switch: &'a Arc<CampaignSwitch>,
}

impl Job<'_> {
    fn parties(&self) -> MessageParties {
        let decided = self.assigned.as_ref().or(self.saga.assigned.as_ref());
        let number = self.saga.effects.customer_proxy_identifier.as_deref();
        MessageParties::of(self.campaign, self.message, decided, self.agent).sending_from(number)
    }
}

/// A run that reached an outcome.
#[derive(Debug)]
pub struct Delivered {
    pub lease: Lease,
    pub saga: Saga,
    /// Journal events that must be written with the settlement.
    pub unwritten: Vec<Event>,
    pub ended: Ended,
}

/// Carries out messages.
pub struct Engine {
    twilio: Twilio,
    ledger: Arc<Ledger>,
    pacer: Pacer,
    clock: Clock,
    metrics: Metrics,
    settle_time: Duration,
    lease_for: Duration,
    right: Arc<CallRight>,
    pauses: Arc<ScopedPauses>,
    past: PastGenerations,
}

impl Engine {
    /// An engine whose calls go through `twilio`, limited by `pacer`.
    ///
    /// `settle_time`: how long an effect may take to show in Twilio's lists.
    #[must_use]
    pub fn new(
        twilio: Twilio,
        ledger: Arc<Ledger>,
        pacer: Pacer,
        clock: Clock,
        metrics: Metrics,
        settle_time: Duration,
    ) -> Self {
        Self {
            twilio,
            ledger,
            pacer,
            clock,
            metrics,
            settle_time,
            lease_for: DEFAULT_LEASE,
            right: Arc::default(),
            pauses: Arc::default(),
            past: PastGenerations::default(),
        }
    }

    /// The right that every changing call of a message needs. The worker renews it.
    #[must_use]
    pub fn right(&self) -> &Arc<CallRight> {
        &self.right
    }

    /// The pauses of senders and agents, which every changing call of a message respects. The worker replaces them.
    #[must_use]
    pub fn pauses(&self) -> &Arc<ScopedPauses> {
        &self.pauses
    }

    /// The same engine with leases of this length, which must exceed the maximum time of a call.
    #[must_use]
    pub fn with_leases_of(self, lease_for: Duration) -> Self {
        Self { lease_for, ..self }
    }

    /// How long a lease lasts after it is given or renewed.
    #[must_use]
    pub fn lease_for(&self) -> Duration {
        self.lease_for
    }

    /// Carries out one message. Undoes its effects if it failed `for_good` or the customer is busy.
    ///
    /// # Errors
    ///
    /// [`Interrupted`] when the ledger or the gate prevented the run from continuing.
    pub async fn deliver(
        &self,
        job: Job<'_>,
        for_good: &(dyn Fn(&Failure) -> bool + Send + Sync),
    ) -> Result<Delivered, Interrupted> {
        self.carry(job, for_good, None).await
    }

    /// Retries the undo of a stuck message; nothing of it goes forward. `why` is the failure for which it was undone.
    ///
    /// # Errors
    ///
    /// As [`Engine::deliver`].
    pub async fn undo(&self, job: Job<'_>, why: &Failure) -> Result<Delivered, Interrupted> {
        self.carry(job, &|_| true, Some(why)).await
    }

    /// Whether the first effect of a message may exist at Twilio, made by a holder that died before it recorded it. It
    /// takes one look-up. If the look-up fails, the effect may exist.
    ///
    /// # Errors
    ///
    /// As [`Engine::deliver`].
    pub async fn may_stand(&self, job: &Job<'_>) -> Result<bool, Interrupted> {
        let saga = job.saga;
        if saga.has_acted() {
            return Ok(true);
        }
        let (twilio, _) = self.gated(job);
        let key = &job.lease.key;
        let context = StepContext {
            twilio: &twilio,
            campaign: job.campaign,
            message: job.message,
            agent: job.agent,
            name: &Name::of(&key.campaign, &key.id, saga.generation),
            effects: &saga.effects,
            undoing: false,
            distrusted_from: job.distrusted_from,
            settle_time: self.settle_time,
        };
        let mut steps = steps(job.campaign, job.message).iter();
        let Some(first) = steps.find(|step| step.applies(&context)) else {
            return Ok(false);
        };
        match saga::recovery::once(*first, &context).await {
            LookupResult::Found(found) => Ok(matches!(found, Found::Ours(_))),
            LookupResult::Busy(_) | LookupResult::Met(_) => Ok(false),
            LookupResult::Failed(_) => Ok(true),
            LookupResult::Closed(closed) => Err(closed.into()),
        }
    }

    /// A client whose every call passes the message's gate.
    fn gated(&self, job: &Job<'_>) -> (Twilio, Arc<MessageGate>) {
        let gate = MessageGate::new(
            self.pacer.clone(),
            Arc::clone(&self.ledger),
            self.clock,
            job.lease.clone(),
            Arc::clone(job.switch),
            Spans {
                call: self.twilio.timeout(),
                lease: self.lease_for,
            },
            self.metrics.clone(),
        )
        .with_right(Arc::clone(&self.right))
        .pausable(Arc::clone(&self.pauses), job.parties())
        .with_outages(Arc::clone(self.twilio.outages()))
        .calling(Services::of(&job.campaign.flex), job.sending.clone());
        let gate = Arc::new(gate);
        let twilio = self.twilio.gated(Arc::<MessageGate>::clone(&gate));
        (twilio, gate)
    }

    async fn carry(
        &self,
        job: Job<'_>,
        for_good: &(dyn Fn(&Failure) -> bool + Send + Sync),
        undo_for: Option<&Failure>,
    ) -> Result<Delivered, Interrupted> {
        let (twilio, gate) = self.gated(&job);
        let ground = Ground {
            twilio: &twilio,
            gate: &gate,
            campaign: job.campaign,
            message: job.message,
            agent: job.agent,
        };
        let mut journal = Journal::open(
            self.ledger.clone(),
            self.clock,
            job.lease,
            job.saga.clone(),
            job.taken_before,
        )?;
        if job.distrusted_from.is_some() && !journal.saga().distrusted {
            journal.note(Event::Distrusted { met: false })?;
        }
        if let Some(to) = job.assigned {
            // The next holder must not decide again: another agent can mean another list of steps.
            journal.note(Event::Assigned { to })?;
            journal.write().await?;
        }
        let mut runner = Runner {
            ground: &ground,
            inherited: journal.saga().intended,
            overtaken: job.overtaken,
            journal: &mut journal,
            steps: steps(job.campaign, job.message),
            settle_time: self.settle_time,
            metrics: &self.metrics,
            for_good,
            past: &self.past,
            distrusted_from: job.distrusted_from,
            acted: false,
            doubted: false,
        };
        let ended = match undo_for {
            Some(why) => runner.unwind(why).await,
            None => runner.run(job.unfit).await,
        };
        let ended = match ended {
            // The ledger works: recording what is known now saves later look-ups.
            Err(Interrupted::Closed(closed)) => {
                journal.write().await?;
                return Err(closed.into());
            }
            ended => ended?,
        };
        let (lease, saga, unwritten) = journal.into_parts();
        Ok(Delivered {
            lease,
            saga,
            unwritten,
            ended,
        })
    }
}

/// The steps of this message's strategy, in order.
fn steps(campaign: &Campaign, message: &Message) -> &'static [&'static dyn Step] {
    let strategy = message.strategy.unwrap_or(campaign.strategy);
    strategies::steps(campaign.api, strategy)
}

/// Whether this message's task goes to its agent at once, so that the agent needs a free slot.
#[must_use]
pub fn tasks_agent_now(campaign: &Campaign, message: &Message) -> bool {
    let strategy = message.strategy.unwrap_or(campaign.strategy);
    let names_agent =
        campaign.api == Api::Proxy || campaign.conversations.initiated_by != InitiatedBy::Api;
    strategy == Strategy::TaskNow && names_agent
}
