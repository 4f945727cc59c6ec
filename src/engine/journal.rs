//! A saga's journal while it runs: events in order, buffered until something must be durable.
//!
//! Durability is paid per message, not per call: an intent is written before its call together with
//! everything before it; the rest goes with the settlement.

use crate::clock::Clock;
use crate::ledger::{Lease, Ledger, MessageKey};
use crate::message::{CampaignId, Event, MessageId, Name, Saga, StepName};

use super::Interrupted;

/// The journal of one leased message.
pub(super) struct Journal {
    ledger: std::sync::Arc<Ledger>,
    clock: Clock,
    lease: Lease,
    saga: Saga,
    name: Name,
    unwritten: Vec<Event>,
    resumed: bool,
}

impl Journal {
    /// Opens a leased message's journal: begins a new saga, or goes on with a recorded one.
    ///
    /// # Errors
    ///
    /// [`Interrupted::Journal`] when it cannot begin.
    pub(super) fn open(
        ledger: std::sync::Arc<Ledger>,
        clock: Clock,
        lease: Lease,
        saga: Saga,
        taken_before: bool,
    ) -> Result<Self, Interrupted> {
        let mut journal = Self {
            name: name(&lease, saga.generation),
            ledger,
            clock,
            lease,
            saga,
            unwritten: Vec::new(),
            resumed: taken_before,
        };
        if !journal.saga.begun {
            journal.note(Event::Begun { generation: 0 })?;
        }
        Ok(journal)
    }

    /// Whether somebody may have worked on this saga and died before writing down what was done.
    #[must_use]
    pub(super) fn resumed(&self) -> bool {
        self.resumed
    }

    /// Where the saga stands.
    #[must_use]
    pub(super) fn saga(&self) -> &Saga {
        &self.saga
    }

    /// What everything of this generation is called at Twilio.
    #[must_use]
    pub(super) fn name(&self) -> &Name {
        &self.name
    }

    /// Whose journal it is.
    #[must_use]
    pub(super) fn key(&self) -> &MessageKey {
        &self.lease.key
    }

    /// What everything of another generation is called.
    #[must_use]
    pub(super) fn name_of(&self, generation: u32) -> Name {
        name(&self.lease, generation)
    }

    /// Takes note of an event; it is written with the next intent or the settlement.
    ///
    /// # Errors
    ///
    /// [`Interrupted::Journal`] when it cannot follow.
    pub(super) fn note(&mut self, event: Event) -> Result<(), Interrupted> {
        self.saga.apply(&event)?;
        self.unwritten.push(event);
        Ok(())
    }

    /// Makes it durable that a call is about to be made whose repeat would double.
    ///
    /// # Errors
    ///
    /// [`Interrupted::Ledger`] when it is not durable: the call must not be made.
    pub(super) async fn intend(&mut self, step: StepName) -> Result<(), Interrupted> {
        let at = Some(self.clock.now());
        self.note(Event::Intended { step, at })?;
        self.write().await
    }

    /// Whether a call of this step was about to be made longer ago than this, or nobody knows when.
    #[must_use]
    pub(super) fn intended_before(&self, step: StepName, span: std::time::Duration) -> bool {
        let now = self.clock.now();
        let is_old = |at: jiff::Timestamp| at + span < now;
        self.saga.intended == Some(step) && self.saga.intended_at.is_none_or(is_old)
    }

    /// Makes everything noted so far durable.
    ///
    /// # Errors
    ///
    /// [`Interrupted::Ledger`] when it is not.
    pub(super) async fn write(&mut self) -> Result<(), Interrupted> {
        let now = self.clock.now();
        self.ledger
            .record(&self.lease, &self.unwritten, now)
            .await?;
        self.unwritten.clear();
        Ok(())
    }

    /// Takes note that an intended call certainly came to nothing.
    ///
    /// # Errors
    ///
    /// As [`Journal::note`].
    pub(super) fn refuse(&mut self, step: StepName) -> Result<(), Interrupted> {
        if self.saga.intended == Some(step) {
            self.note(Event::Refused { step })?;
        }
        Ok(())
    }

    /// Begins a later generation.
    ///
    /// # Errors
    ///
    /// As [`Journal::note`].
    pub(super) fn begin(&mut self, generation: u32) -> Result<(), Interrupted> {
        self.note(Event::Begun { generation })?;
        self.name = name(&self.lease, generation);
        Ok(())
    }

    /// The lease and what is still to be written: for the settlement.
    #[must_use]
    pub(super) fn into_parts(self) -> (Lease, Saga, Vec<Event>) {
        (self.lease, self.saga, self.unwritten)
    }
}

fn name(lease: &Lease, generation: u32) -> Name {
    let campaign: &CampaignId = &lease.key.campaign;
    let id: &MessageId = &lease.key.id;
    Name::of(campaign, id, generation)
}
