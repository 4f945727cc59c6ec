//! The second stage: a message that is leased to this consumer, with its records.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use crate::engine::{Job, Sending};
use crate::ledger::{Ending, Lease, LeasedMessage, MessageKey, Settlement};
use crate::message::{Api, Effects, Ended, Failure, Message, Saga, Strategy};
use crate::metrics::MessageEvent;
use crate::outcomes::{Circumstances, Conclusion, SettleError, Verdict, judge};
use crate::queue::Delivery;

use super::assignment::Assignment;
use super::holding::MessageInTurn;
use super::{CampaignSession, Left};
use crate::worker::Active;
use crate::worker::upkeep::LeaseWatch;

/// A message that is leased to this consumer.
pub(super) struct Leased<'a> {
    pub(super) session: CampaignSession<'a>,
    pub(super) delivery: Box<dyn Delivery>,
    /// The message's records when it was taken.
    pub(super) taken: Box<LeasedMessage>,
    /// The saga that its journal describes.
    pub(super) saga: Box<Saga>,
    /// The text that the message sends itself, if it sends one.
    pub(super) sending: Option<Sending>,
    /// Why it cannot go forward, if it cannot.
    pub(super) unfit: Option<Failure>,
    /// Who gets the task.
    pub(super) assignment: Assignment,
    /// Marks the lease as abandoned if the turn ends without a settlement.
    pub(super) watch: LeaseWatch<'a>,
    /// Keeps other deliveries of the message from beginning their turn.
    pub(super) _in_turn: MessageInTurn<'a>,
}

impl<'a> Leased<'a> {
    pub(super) fn message(&self) -> &Message {
        &self.taken.message
    }

    pub(super) fn key(&self) -> &MessageKey {
        &self.taken.lease.key
    }

    /// Whether no event of it is recorded.
    pub(super) fn is_new(&self) -> bool {
        self.taken.journal.is_empty()
    }

    /// Whether nothing of it can exist at Twilio: no call was ever made for it.
    pub(super) fn is_unbegun(&self) -> bool {
        self.is_new() && !self.taken.doubtful
    }

    /// The job that the engine executes.
    pub(super) fn job(&self) -> Job<'_> {
        Job {
            campaign: &self.session.active.campaign,
            message: &self.taken.message,
            agent: self.assignment.agent.as_deref(),
            assigned: self.assignment.record.clone(),
            unfit: self.unfit.clone(),
            lease: self.taken.lease.clone(),
            saga: &self.saga,
            sending: self.sending.clone(),
            taken_before: self.taken.lease.number > 1,
            overtaken: self.taken.overtaken,
            distrusted_from: self.taken.distrusted_from,
            switch: &self.session.active.switch,
        }
    }

    /// The facts about the message that decide its verdict.
    pub(super) fn circumstances(&self) -> Circumstances {
        let parts = &self.session.shared.parts;
        let now = parts.clock.now();
        let age = now.duration_since(self.taken.tried_since);
        Circumstances {
            failed_before: self.taken.attempts,
            age: Duration::try_from(age).unwrap_or_default(),
            now,
            spread: self.spread(),
            when_open: self.session.active.campaign.when_open,
            busy_wait: parts.busy_wait,
        }
    }

    /// A value between 0 and 1 that depends on the message and its attempt alone, so that runs are reproducible.
    pub(super) fn spread(&self) -> f64 {
        let mut hasher = DefaultHasher::new();
        self.key().hash(&mut hasher);
        self.taken.attempts.hash(&mut hasher);
        f64::from(u16::try_from(hasher.finish() % 1_000).unwrap_or_default()) / 1_000.0
    }

    /// Counts an event of this message.
    pub(super) fn count(&self, event: MessageEvent) {
        let (strategy, api) = kind(self.session.active, &self.taken.message);
        let shared = self.session.shared;
        shared.tally.count(event);
        shared.parts.metrics.message(event, strategy, api);
    }

    /// Settles a message that cannot be carried out and whose saga never began.
    pub(super) async fn fail(self, failure: Failure) -> Left {
        let policy = &self.session.shared.parts.policy;
        let verdict = judge(Ended::Failed(failure), policy, self.circumstances());
        self.conclude(&verdict).await
    }

    /// Ends a message whose saga never began.
    pub(super) async fn end(self, ending: Ending) -> Left {
        self.conclude(&Verdict::End(ending)).await
    }

    async fn conclude(self, verdict: &Verdict) -> Left {
        self.note(verdict).await;
        let conclusion = Conclusion {
            lease: &self.taken.lease,
            unwritten: &[],
            effects: Effects::default(),
            attempt: self.taken.attempts + 1,
            verdict,
        };
        let settler = &self.session.shared.settler;
        let settled = settler.settle(self.delivery, conclusion).await;
        self.session.over(settled, &self.taken.lease, self.watch)
    }

    /// Records that the message waits, and acknowledges its delivery.
    pub(super) async fn put_off(self, settlement: Settlement) -> Left {
        let settler = &self.session.shared.settler;
        let settled = settler
            .put_off(self.delivery, &self.taken.lease, settlement)
            .await;
        self.session.over(settled, &self.taken.lease, self.watch)
    }

    /// Returns the message unchanged, to the ledger and the queue.
    pub(super) async fn release(self) -> Left {
        let settler = &self.session.shared.settler;
        let settled = settler.release(self.delivery, &self.taken.lease).await;
        self.session.over(settled, &self.taken.lease, self.watch)
    }
}

impl CampaignSession<'_> {
    /// Ends a turn with the result of its settlement.
    pub(super) fn over(
        &self,
        settled: Result<(), SettleError>,
        lease: &Lease,
        watch: LeaseWatch<'_>,
    ) -> Left {
        match settled {
            Ok(()) => {
                watch.settled();
                self.shared.store_refusals.settled(&lease.key);
                Left::Settled
            }
            Err(error) => error.into(),
        }
    }
}

/// The labels of a message's metrics: its strategy and its API.
pub(super) fn kind(active: &Active, message: &Message) -> (Strategy, Api) {
    let strategy = message.strategy.unwrap_or(active.campaign.strategy);
    (strategy, active.campaign.api)
}
