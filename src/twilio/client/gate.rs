//! The gate that every call passes before its bytes leave.
//!
//! The client knows nothing about pacing: the gate grants the permit of an [`crate::twilio::Operation`], or refuses
//! it because the lease has expired or the campaign was stopped.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::twilio::Operation;

/// The permit of a call, held from just before its bytes leave until the reply has arrived. Dropping it releases the
/// permit.
pub struct Pass {
    mark: u64,
    last_look: Option<LastLook>,
    _held: Box<dyn Send>,
}

/// A last check of whether a call may still leave, made when its bytes can leave: a connection takes time to open,
/// and the process may be suspended meanwhile.
pub type LastLook = Arc<dyn Fn() -> bool + Send + Sync>;

impl Pass {
    /// Creates a pass that owns `held`. The gate gets `mark` back in [`Observed`].
    #[must_use]
    pub fn new(held: impl Send + 'static, mark: u64) -> Self {
        Self {
            mark,
            last_look: None,
            _held: Box::new(held),
        }
    }

    /// The same pass, with a last check when the bytes can leave.
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

/// The gate refused the call: it was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not called: {0}")]
pub struct Closed(pub &'static str);

impl Closed {
    /// Whether the gate is closed because a part of Twilio is away.
    #[must_use]
    pub fn is_away(&self) -> bool {
        *self == crate::twilio::outages::AWAY
    }
}

/// A call that was refused at its last check.
pub(in crate::twilio) const KEPT_BACK: Closed =
    Closed("the right to make calls ended before the call was sent");

/// The facts of a call's reply that concern limits.
#[derive(Clone, Copy, Debug)]
pub struct Observed {
    /// The HTTP status; `None` without a reply.
    pub status: Option<u16>,
    /// Twilio's error code.
    pub code: Option<u32>,
    /// `Retry-After`.
    pub retry_after: Option<Duration>,
    /// The number of concurrent calls of the account (`Twilio-Concurrent-Requests`), if the reply has it.
    pub concurrent: Option<u32>,
    /// The mark of the call's pass.
    pub mark: u64,
}

/// Decides whether and when a call may leave.
#[async_trait]
pub trait Gate: Send + Sync + fmt::Debug {
    /// Waits until this call may leave.
    ///
    /// # Errors
    ///
    /// [`Closed`] when the call must not be made.
    async fn pass(&self, operation: Operation) -> Result<Pass, Closed>;

    /// A number that identifies the message whose calls pass this gate; `None` for calls of no message.
    fn caller(&self) -> Option<u64> {
        None
    }

    /// Called with the result of every call.
    fn observe(&self, _operation: Operation, _observed: Observed) {}
}

/// A gate that passes every call at once, for probes and tests.
#[derive(Clone, Copy, Debug)]
pub struct Open;

#[async_trait]
impl Gate for Open {
    async fn pass(&self, _operation: Operation) -> Result<Pass, Closed> {
        Ok(Pass::new((), 0))
    }
}
