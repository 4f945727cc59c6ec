//! The gate of one message's calls: checks the campaign, the ledger, the lanes, the lease and the right to call.
//!
//! In: the operation about to be called. Out: a pass, or a refusal. Always: every call of the message passes it, those
//! of look-ups and undos too; the lease is checked again after all waiting, and outlives the call's time-out; changing
//! calls are checked once more right before their bytes are sent.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Clock;
use crate::ledger::{Lease, Ledger};
use crate::metrics::Metrics;
use crate::pacing::{LaneKind, Pacer, Permit};
use crate::twilio::{Closed, Gate, LastLook, Observed, Operation, Outages, Pass};

use super::lanes::{CallLanes, Services};
use super::sending::{SENDER_WAIT_MAX, Sending};
use super::{CallRight, MARKS_NEED, MessageParties, ScopedPauses};

/// The default length of a lease after each renewal: three times the maximum time of a call. Where several consumers
/// share a ledger, the messages of a dead consumer wait this long.
pub const DEFAULT_LEASE: Duration = Duration::from_secs(60);

/// Durations that a lease depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spans {
    /// The maximum time of a call.
    pub(super) call: Duration,
    /// The length of a lease after each renewal. It exceeds the maximum time of a call.
    pub(super) lease: Duration,
}

/// What a campaign's calls may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// All calls may start.
    Running,
    /// The campaign is paused or cancelled: only calls that undo may start.
    Stopped,
    /// Twilio refuses everything of it: no changing call may start.
    Halted,
}

/// A campaign's switch. Every changing call of the campaign checks it before it starts.
#[derive(Debug, Default)]
pub struct CampaignSwitch {
    position: AtomicU8,
}

impl CampaignSwitch {
    /// Stops messages in flight: calls that have not started do not start any more. A switch never goes back: a
    /// campaign that runs again gets a new one.
    pub fn stop(&self, position: Position) {
        self.position.fetch_max(position as u8, Ordering::SeqCst);
    }

    /// Its current position.
    #[must_use]
    pub fn position(&self) -> Position {
        match self.position.load(Ordering::SeqCst) {
            0 => Position::Running,
            1 => Position::Stopped,
            _ => Position::Halted,
        }
    }
}

/// The gate of calls that belong to no message: agents, discovery. They are limited as all calls are.
#[derive(Debug)]
pub struct PacedGate {
    pacer: Pacer,
    metrics: Metrics,
}

impl PacedGate {
    /// A gate with this pacer's lanes.
    #[must_use]
    pub fn new(pacer: Pacer, metrics: Metrics) -> Self {
        Self { pacer, metrics }
    }

    /// These calls belong to no campaign: they have neither a service nor a text.
    fn lanes(&self, operation: Operation) -> CallLanes {
        CallLanes::of(operation, &Services::default(), None)
    }
}

#[async_trait]
impl Gate for PacedGate {
    async fn pass(&self, operation: Operation) -> Result<Pass, Closed> {
        let lanes = self.lanes(operation).all();
        let permit = self.pacer.permit(&lanes, NonZeroU32::MIN).await;
        Ok(pass(permit, &self.metrics))
    }

    fn observe(&self, operation: Operation, observed: Observed) {
        let lanes = self.lanes(operation);
        lanes.observe(&self.pacer, &self.metrics, observed);
    }
}

/// What operators and Twilio's refusals allow of a message's changing calls: its campaign's switch, and the pauses of its
/// sender and its agent.
#[derive(Clone, Debug)]
struct MessageSwitch {
    campaign: Arc<CampaignSwitch>,
    pauses: Arc<ScopedPauses>,
    parties: MessageParties,
}

impl MessageSwitch {
    /// Why a changing call may not start, if it may not.
    fn closed(&self, undoing: bool) -> Option<Closed> {
        match self.campaign.position() {
            Position::Running => {}
            Position::Stopped if undoing => return None,
            Position::Stopped | Position::Halted => {
                return Some(Closed("the campaign is not running"));
            }
        }
        let is_paused = !undoing && self.pauses.covering(&self.parties).is_some();
        is_paused.then_some(Closed("its sender or its agent is paused"))
    }
}

/// A call's pass: its permit, and its count as a request in flight.
fn pass(permit: Permit, metrics: &Metrics) -> Pass {
    let mark = permit.mark();
    Pass::new((permit, metrics.twilio_request_leaves()), mark)
}

/// The gate of one message's turn.
pub struct MessageGate {
    pacer: Pacer,
    ledger: Arc<Ledger>,
    clock: Clock,
    lease: Mutex<Lease>,
    switch: Mutex<Arc<MessageSwitch>>,
    spans: Spans,
    metrics: Metrics,
    services: Services,
    sending: Mutex<Option<Sending>>,
    outages: Arc<Outages>,
    /// The right of the consumer.
    right: Arc<CallRight>,
    /// Whether its calls are those of an undo.
    undoing: AtomicBool,
}

impl MessageGate {
    pub(super) fn new(
        pacer: Pacer,
        ledger: Arc<Ledger>,
        clock: Clock,
        lease: Lease,
        switch: Arc<CampaignSwitch>,
        spans: Spans,
        metrics: Metrics,
    ) -> Self {
        Self {
            pacer,
            ledger,
            clock,
            lease: Mutex::new(lease),
            switch: Mutex::new(Arc::new(MessageSwitch {
                campaign: switch,
                pauses: Arc::default(),
                parties: MessageParties::default(),
            })),
            spans,
            metrics,
            services: Services::default(),
            sending: Mutex::default(),
            outages: Arc::default(),
            right: Arc::default(),
            undoing: AtomicBool::new(false),
        }
    }

    /// The same gate, whose changing calls need this right.
    pub(super) fn with_right(self, right: Arc<CallRight>) -> Self {
        Self { right, ..self }
    }

    /// The same gate, whose changing calls respect these pauses for these parties.
    pub(super) fn pausable(self, pauses: Arc<ScopedPauses>, parties: MessageParties) -> Self {
        let campaign = Arc::clone(&self.switch().campaign);
        let switch = MessageSwitch {
            campaign,
            pauses,
            parties,
        };
        Self {
            switch: Mutex::new(Arc::new(switch)),
            ..self
        }
    }

    fn switch(&self) -> Arc<MessageSwitch> {
        let switch = self.switch.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&switch)
    }

    /// The same gate, with the outages that this client has detected.
    pub(super) fn with_outages(self, outages: Arc<Outages>) -> Self {
        Self { outages, ..self }
    }

    /// Sets whether the next calls belong to an undo. Those may start while the campaign is paused or cancelled.
    pub(super) fn set_undoing(&self, undoing: bool) {
        self.undoing.store(undoing, Ordering::SeqCst);
    }

    /// The same gate for calls to these services, one of which sends this text.
    pub(super) fn calling(self, services: Services, sending: Option<Sending>) -> Self {
        Self {
            services,
            sending: Mutex::new(sending),
            ..self
        }
    }

    /// Records the number that Proxy shows to the customer: the text is counted on that number's lane.
    pub(super) fn sends_from(&self, number: &str) {
        let mut sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sending) = &mut *sending {
            sending.is_from(&self.pacer, number);
        }
        let mut switch = self.switch.lock().unwrap_or_else(PoisonError::into_inner);
        let parties = switch.parties.clone().sending_from(Some(number));
        Arc::make_mut(&mut switch).parties = parties;
    }

    fn lanes(&self, operation: Operation) -> CallLanes {
        let sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        CallLanes::of(operation, &self.services, sending.as_ref())
    }

    /// Waits for all lanes of a call. If a sender's limit rests, or many texts wait before this one, the message does
    /// not keep its slot in flight: others need it.
    async fn await_permit(&self, lanes: &CallLanes) -> Result<Permit, Closed> {
        let all = lanes.all();
        let permit = self.pacer.permit(&all, lanes.cost());
        let Some(sender) = lanes.sender() else {
            return Ok(permit.await);
        };
        const BUSY: Closed = Closed("the sender is at its limit");
        if self.pacer.expected(&[sender]) > SENDER_WAIT_MAX {
            return Err(BUSY);
        }
        tokio::select! {
            biased;
            permit = permit => Ok(permit),
            () = self.clock.sleep(SENDER_WAIT_MAX) => Err(BUSY),
        }
    }

    fn check_switch(&self, operation: Operation) -> Result<(), Closed> {
        // Look-ups are refused too: their results could not be recorded.
        if self.ledger.is_lost() {
            return Err(Closed("the ledger is lost"));
        }
        let undoing = self.undoing.load(Ordering::SeqCst);
        let closed = operation
            .is_changing()
            .then(|| self.switch().closed(undoing));
        closed.flatten().map_or(Ok(()), Err)
    }

    /// Waits until the consumer has the right to start this call. Without the ledger it never gets the right.
    async fn await_right(&self, operation: Operation) -> Result<(), Closed> {
        if !operation.is_changing() || self.right.is_held() {
            return Ok(());
        }
        tokio::select! {
            biased;
            () = self.right.held() => Ok(()),
            () = self.ledger.lost() => Err(Closed("the ledger is lost")),
            // The right depends on the marks, which cannot be read now, for an unknown time.
            () = self.outages.impassable(&MARKS_NEED) => {
                Err(Closed("the right to call ended while Twilio is away"))
            }
        }
    }

    /// The final check of a changing call, made when its bytes can be sent: after the connection was opened.
    fn last_look(&self, operation: Operation) -> Option<LastLook> {
        if !operation.is_changing() {
            return None;
        }
        let (right, switch) = (Arc::clone(&self.right), self.switch());
        let (ledger, run) = (Arc::clone(&self.ledger), self.lease().run);
        let undoing = self.undoing.load(Ordering::SeqCst);
        Some(Arc::new(move || {
            right.is_held() && switch.closed(undoing).is_none() && ledger.run() == run
        }))
    }

    /// Ensures that the lease outlives a call that starts now, and that the store still has the lease.
    async fn check_lease(&self) -> Result<(), Closed> {
        let lease = self.lease();
        if self.ledger.run() != lease.run {
            return Err(Closed(
                "the ledger's server is a new run: it may not know the lease",
            ));
        }
        let outlives = |lease: &Lease| lease.until > self.clock.now() + self.spans.call;
        if outlives(&lease) {
            return Ok(());
        }
        let now = self.clock.now();
        match self.ledger.renew(&lease, now, self.spans.lease).await {
            Ok(renewed) => {
                // The ledger may have been slow.
                let is_enough = outlives(&renewed);
                *self.lease.lock().unwrap_or_else(PoisonError::into_inner) = renewed;
                if is_enough {
                    Ok(())
                } else {
                    Err(Closed("the lease is too short for a call"))
                }
            }
            Err(error) if error.is_stores() => Err(Closed("the ledger is lost")),
            Err(error) => {
                tracing::warn!(message.id = %lease.key.id.in_log(), %error, "the lease was not renewed");
                Err(Closed("the lease is over"))
            }
        }
    }

    fn lease(&self) -> Lease {
        let lease = self.lease.lock().unwrap_or_else(PoisonError::into_inner);
        lease.clone()
    }
}

#[async_trait]
impl Gate for MessageGate {
    async fn pass(&self, operation: Operation) -> Result<Pass, Closed> {
        loop {
            self.await_right(operation).await?;
            self.check_switch(operation)?;
            let permit = self.await_permit(&self.lanes(operation)).await?;
            // The wait may have been long: the switch, the lease and the right are checked again.
            let mut checked = self.check_lease().await;
            if checked.is_ok() {
                checked = self.check_switch(operation);
            }
            if let Err(closed) = checked {
                permit.give_back();
                return Err(closed);
            }
            if operation.is_changing() && !self.right.is_held() {
                permit.give_back();
                continue;
            }
            let lane = permit.held_up_by().unwrap_or(LaneKind::Endpoint);
            self.metrics.pacing_wait(lane, permit.waited());
            let pass = pass(permit, &self.metrics);
            return Ok(match self.last_look(operation) {
                Some(look) => pass.leaving_if(look),
                None => pass,
            });
        }
    }

    fn caller(&self) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        self.lease().key.hash(&mut hasher);
        Some(hasher.finish())
    }

    fn observe(&self, operation: Operation, observed: Observed) {
        let lanes = self.lanes(operation);
        lanes.observe(&self.pacer, &self.metrics, observed);
    }
}

impl fmt::Debug for MessageGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageGate")
            .field("lease", &self.lease())
            .field("switch", &self.switch())
            .field("services", &self.services)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
