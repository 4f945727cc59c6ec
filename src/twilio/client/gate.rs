//! What every call passes before its bytes leave.
//!
//! The client does not know that it is paced: whoever hands out a [`crate::twilio::Operation`]'s permit, or
//! refuses it since the lease is over or the campaign was stopped, is the gate.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::twilio::Operation;

/// Held from just before the bytes leave until the reply is in; dropping it frees its place.
pub struct Pass {
    mark: u64,
    last_look: Option<LastLook>,
    _held: Box<dyn Send>,
}

/// Whether a call may still leave. It is asked when the call's bytes can leave: opening a connection takes
/// time, and the process may stand still meanwhile.
pub type LastLook = Arc<dyn Fn() -> bool + Send + Sync>;

impl Pass {
    /// A pass that holds this. The gate finds its `mark` again in what is observed of the call.
    #[must_use]
    pub fn new(held: impl Send + 'static, mark: u64) -> Self {
        Self {
            mark,
            last_look: None,
            _held: Box::new(held),
        }
    }

    /// The same pass, which is void if this says so when the bytes can leave.
    #[must_use]
    pub fn leaving_if(self, look: LastLook) -> Self {
        Self {
            last_look: Some(look),
            ..self
        }
    }

    pub(super) fn last_look(&self) -> Option<LastLook> {
        self.last_look.clone()
    }

    pub(super) fn mark(&self) -> u64 {
        self.mark
    }
}

/// The gate lets no call through any more: the call was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not called: {0}")]
pub struct Closed(pub &'static str);

impl Closed {
    /// Whether a part of Twilio is away.
    #[must_use]
    pub fn is_away(&self) -> bool {
        *self == crate::twilio::outages::AWAY
    }
}

/// A call whose last look said no.
pub(in crate::twilio) const KEPT_BACK: Closed =
    Closed("the right to call ended before the call left");

/// What a call's reply tells about the limits it is under.
#[derive(Clone, Copy, Debug)]
pub struct Observed {
    /// The HTTP status; none when there was no reply.
    pub status: Option<u16>,
    /// Twilio's error code.
    pub code: Option<u32>,
    /// `Retry-After`.
    pub retry_after: Option<Duration>,
    /// How many calls of the account were under way (`Twilio-Concurrent-Requests`), where the reply told.
    pub concurrent: Option<u32>,
    /// What the gate wrote on the call's pass.
    pub mark: u64,
}

/// Decides when, and whether, a call may leave.
#[async_trait]
pub trait Gate: Send + Sync + fmt::Debug {
    /// Waits until this call may leave.
    ///
    /// # Errors
    ///
    /// [`Closed`] when it must not be made at all.
    async fn pass(&self, operation: Operation) -> Result<Pass, Closed>;

    /// The message whose calls pass here, as a number of its own; none where they belong to no message.
    fn caller(&self) -> Option<u64> {
        None
    }

    /// Takes note of how a call went.
    fn observe(&self, _operation: Operation, _observed: Observed) {}
}

/// A gate that lets everything through at once: for probes and tests.
#[derive(Clone, Copy, Debug)]
pub struct Open;

#[async_trait]
impl Gate for Open {
    async fn pass(&self, _operation: Operation) -> Result<Pass, Closed> {
        Ok(Pass::new((), 0))
    }
}
