//! What one message's calls pass: the campaign's state, the ledger's, the lanes, the lease.
//!
//! In: the operation about to be called. Out: leave, or none. Always: every call of the message
//! comes through here, look-ups and undo too; the lease is looked at once more after all waiting,
//! right before the bytes leave, and outlives the call's time-out.

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
use super::{CallRight, MARKS_NEED};

/// How long a lease lasts from each renewal by default: three times as long as a call may take. Where several consumers share a ledger, the messages of one that died wait for so long.
pub const DEFAULT_LEASE: Duration = Duration::from_secs(60);

/// How long things take that a lease has to do with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spans {
    /// A call, at most.
    pub(super) call: Duration,
    /// A lease, from each renewal: longer than a call.
    pub(super) lease: Duration,
}

/// What a campaign's calls may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// Go on.
    Running,
    /// Paused or cancelled: only undo what has begun.
    Stopped,
    /// Twilio refuses everything of it: change nothing more.
    Halted,
}

/// A campaign's switch: everything in flight looks at it before each changing call.
#[derive(Debug, Default)]
pub struct CampaignSwitch {
    position: AtomicU8,
}

impl CampaignSwitch {
    /// Stops what is in flight: calls that have not left do not leave any more. A switch never goes back: a
    /// campaign that runs again gets another one.
    pub fn stop(&self, position: Position) {
        self.position.fetch_max(position as u8, Ordering::SeqCst);
    }

    /// Where it stands.
    #[must_use]
    pub fn position(&self) -> Position {
        match self.position.load(Ordering::SeqCst) {
            0 => Position::Running,
            1 => Position::Stopped,
            _ => Position::Halted,
        }
    }
}

/// The gate of calls that belong to no message: agents, discovery. Paced as all calls are.
#[derive(Debug)]
pub struct PacedGate {
    pacer: Pacer,
    metrics: Metrics,
}

impl PacedGate {
    /// A gate of this pacer's lanes.
    #[must_use]
    pub fn new(pacer: Pacer, metrics: Metrics) -> Self {
        Self { pacer, metrics }
    }

    /// Nothing of these calls is a campaign's: neither a service nor a text.
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

/// Whether a campaign's changing calls may leave.
fn may_change(switch: &CampaignSwitch, undoing: bool) -> bool {
    match switch.position() {
        Position::Running => true,
        Position::Stopped => undoing,
        Position::Halted => false,
    }
}

/// A call's pass: its permit, and its place among those that are counted.
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
    switch: Arc<CampaignSwitch>,
    spans: Spans,
    metrics: Metrics,
    services: Services,
    sending: Mutex<Option<Sending>>,
    outages: Arc<Outages>,
    /// The consumer's.
    right: Arc<CallRight>,
    /// Whether its calls take effects away.
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
            switch,
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

    /// The same gate of a client that has found out these outages.
    pub(super) fn with_outages(self, outages: Arc<Outages>) -> Self {
        Self { outages, ..self }
    }

    /// Says whether the calls that come now take effects away. They may leave while the campaign is paused
    /// or cancelled.
    pub(super) fn set_undoing(&self, undoing: bool) {
        self.undoing.store(undoing, Ordering::SeqCst);
    }

    /// The same gate for calls to these services, of which one sends this text.
    pub(super) fn calling(self, services: Services, sending: Option<Sending>) -> Self {
        Self {
            services,
            sending: Mutex::new(sending),
            ..self
        }
    }

    /// Takes note of the number that Proxy shows to the customer: the text is charged on its lane.
    pub(super) fn sends_from(&self, number: &str) {
        let mut sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sending) = &mut *sending {
            sending.is_from(&self.pacer, number);
        }
    }

    fn lanes(&self, operation: Operation) -> CallLanes {
        let sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        CallLanes::of(operation, &self.services, sending.as_ref())
    }

    /// Waits for all lanes of a call. A sender that rests, or has too much before it, is not waited for
    /// with a place in hand that others need.
    async fn leave(&self, lanes: &CallLanes) -> Result<Permit, Closed> {
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
        // Look-ups neither: what they find could not be recorded.
        if self.ledger.is_lost() {
            return Err(Closed("the ledger is lost"));
        }
        let undoing = self.undoing.load(Ordering::SeqCst);
        if operation.is_changing() && !may_change(&self.switch, undoing) {
            return Err(Closed("the campaign is not running"));
        }
        Ok(())
    }

    /// Waits until the consumer has the right to start this call. Without the ledger it never has.
    async fn await_right(&self, operation: Operation) -> Result<(), Closed> {
        if !operation.is_changing() || self.right.is_held() {
            return Ok(());
        }
        tokio::select! {
            biased;
            () = self.right.held() => Ok(()),
            () = self.ledger.lost() => Err(Closed("the ledger is lost")),
            // The marks cannot be looked at, which the right depends on: nobody can tell for how long.
            () = self.outages.impassable(&MARKS_NEED) => {
                Err(Closed("the right to call ended while Twilio is away"))
            }
        }
    }

    /// The last look at a changing call, made when its bytes can leave: after the connection was opened.
    fn last_look(&self, operation: Operation) -> Option<LastLook> {
        if !operation.is_changing() {
            return None;
        }
        let (right, switch) = (Arc::clone(&self.right), Arc::clone(&self.switch));
        let (ledger, run) = (Arc::clone(&self.ledger), self.lease().run);
        let undoing = self.undoing.load(Ordering::SeqCst);
        Some(Arc::new(move || {
            right.is_held() && may_change(&switch, undoing) && ledger.run() == run
        }))
    }

    /// Makes sure that the lease outlives a call that leaves now, and that the store still knows it.
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
                // The ledger may have taken its time.
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
            let permit = self.leave(&self.lanes(operation)).await?;
            // The wait may have been long: the switch, the lease and the right are looked at again.
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
            .field("switch", &self.switch)
            .field("services", &self.services)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
