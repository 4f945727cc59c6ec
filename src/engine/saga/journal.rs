//! A saga's journal during a run: events in order, buffered until they must be durable.
//!
//! A message costs few durable writes: an intent is written before its call, together with all events before it; the
//! other events are written with the settlement.

use crate::clock::Clock;
use crate::ledger::{Lease, Ledger, MessageKey};
use crate::message::{CampaignId, Event, MessageId, Name, Saga, StepName};

use crate::engine::Interrupted;

/// The journal of one leased message.
pub(in crate::engine) struct Journal {
    ledger: std::sync::Arc<Ledger>,
    clock: Clock,
    lease: Lease,
    saga: Saga,
    name: Name,
    unwritten: Vec<Event>,
    resumed: bool,
}

impl Journal {
    /// Opens a leased message's journal: begins a new saga, or continues a recorded one.
    ///
    /// # Errors
    ///
    /// [`Interrupted::Journal`] when the saga cannot begin.
    pub(in crate::engine) fn open(
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

    /// Whether an earlier holder may have died before it recorded an effect.
    #[must_use]
    pub(super) fn resumed(&self) -> bool {
        self.resumed
    }

    /// The state of the saga.
    #[must_use]
    pub(in crate::engine) fn saga(&self) -> &Saga {
        &self.saga
    }

    /// The name of everything that this generation makes at Twilio.
    #[must_use]
    pub(in crate::engine) fn name(&self) -> &Name {
        &self.name
    }

    /// The key of the journal's message.
    #[must_use]
    pub(in crate::engine) fn key(&self) -> &MessageKey {
        &self.lease.key
    }

    /// The name of everything that another generation makes.
    #[must_use]
    pub(super) fn name_of(&self, generation: u32) -> Name {
        name(&self.lease, generation)
    }

    /// Adds an event. It is written with the next intent or with the settlement.
    ///
    /// # Errors
    ///
    /// [`Interrupted::Journal`] when the event is not allowed in the saga's state.
    pub(in crate::engine) fn note(&mut self, event: Event) -> Result<(), Interrupted> {
        self.saga.apply(&event)?;
        self.unwritten.push(event);
        Ok(())
    }

    /// Makes the intent of a call durable, if the call's repeat would double its effect.
    ///
    /// # Errors
    ///
    /// [`Interrupted::Ledger`] when the intent is not durable: the call must not be made.
    pub(super) async fn intend(&mut self, step: StepName) -> Result<(), Interrupted> {
        let at = Some(self.clock.now());
        self.note(Event::Intended { step, at })?;
        self.write().await
    }

    /// Whether this step's call was intended longer ago than this, or at an unknown time.
    #[must_use]
    pub(super) fn intended_before(&self, step: StepName, span: std::time::Duration) -> bool {
        let now = self.clock.now();
        let is_old = |at: jiff::Timestamp| at + span < now;
        self.saga.intended == Some(step) && self.saga.intended_at.is_none_or(is_old)
    }

    /// Makes all events so far durable.
    ///
    /// # Errors
    ///
    /// [`Interrupted::Ledger`] when they are not durable.
    pub(in crate::engine) async fn write(&mut self) -> Result<(), Interrupted> {
        let now = self.clock.now();
        self.ledger
            .record(&self.lease, &self.unwritten, now)
            .await?;
        self.unwritten.clear();
        Ok(())
    }

    /// Records that an intended call certainly had no effect.
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
    pub(in crate::engine) fn begin(&mut self, generation: u32) -> Result<(), Interrupted> {
        self.note(Event::Begun { generation })?;
        self.name = name(&self.lease, generation);
        Ok(())
    }

    /// The lease, the saga and the unwritten events, for the settlement.
    #[must_use]
    pub(in crate::engine) fn into_parts(self) -> (Lease, Saga, Vec<Event>) {
        (self.lease, self.saga, self.unwritten)
    }
}

fn name(lease: &Lease, generation: u32) -> Name {
    let campaign: &CampaignId = &lease.key.campaign;
    let id: &MessageId = &lease.key.id;
    Name::of(campaign, id, generation)
}
