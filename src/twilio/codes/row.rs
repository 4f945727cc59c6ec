//! An error code of Twilio: its meaning and its consequences.
//!
//! In: a row of the table. Out: its facts, and the action of an operator. Always: data.

use crate::message::{DeadReason, FailureClass, PauseCause, SkipReason};

/// A conflict with the state at Twilio, which is looked up before the error is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// The name is in use: look it up, and adopt the resource if it is ours.
    NameTaken,
    /// The resource exists already, or its container is full: list, and adopt the resource if it is ours.
    AlreadyThere,
    /// The customer's address and our number are already together: elsewhere, or here from an earlier call whose
    /// reply was lost. Look it up; otherwise the customer is busy.
    CustomerBusy,
    /// The container is closed, or the resource was deleted from it: start a new generation.
    Gone,
    /// The Conversation is closed: check whether it is the message's container.
    Closed,
    /// The resource's state does not allow the change: check whether its container is closed.
    WrongState,
    /// The resource does not exist. For a look-up this is the answer; for other calls, check whether the container is
    /// missing.
    Missing,
}

/// A limit of Twilio that flexcast has a lane for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Concurrent calls of the whole account.
    CallsAtOnce,
    /// The rate of one operation, by account or by service.
    Endpoint,
    /// The texts in Twilio's queue of one sender.
    SenderQueue,
}

/// The time of a message's retry after this code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryAgain {
    /// By its class: after the waits of `work.retry`, or within seconds if the call was not processed.
    ByClass,
    /// After an hour, as often as the class allows: Twilio does not publish when the limit ends.
    Hourly,
    /// By its class after the first failure. From the second failure on, after an hour.
    HourlyWhenRepeated,
    /// After the next midnight Pacific time, when the limit ends.
    MidnightPacific,
}

/// An error code of Twilio, with its meaning.
#[derive(Clone, Copy, Debug)]
pub struct ErrorCode {
    /// The number.
    pub code: u32,
    /// Its HTTP status; `None` if Twilio's texts name none or several.
    pub status: Option<u16>,
    /// The class of the failure. For a conflict, the class if the conflict is not resolved.
    pub class: FailureClass,
    /// The conflict to look up first.
    pub conflict: Option<Conflict>,
    /// The cause for which the campaign is paused, if the code affects all its messages.
    pub pauses: Option<PauseCause>,
    /// The limit that it reports, if flexcast has a lane for it.
    pub limit: Option<Limit>,
    /// The time of the message's retry.
    pub again: TryAgain,
    /// Whether it has its own label in metrics, because it tells an operator something specific. Other codes count as
    /// `other`.
    pub has_label: bool,
    /// The meaning, in one sentence.
    pub meaning: &'static str,
    /// The source of the meaning. `None`: its page in Twilio's error dictionary.
    pub source: Option<&'static str>,
    action: Option<&'static str>,
}

pub(super) const TRANSIENT: FailureClass = FailureClass::Transient;
pub(super) const THROTTLED: FailureClass = FailureClass::Throttled;
pub(super) const HALT: FailureClass = FailureClass::Halt;
pub(super) const ADDRESS: FailureClass = FailureClass::Permanent(DeadReason::InvalidAddress);
pub(super) const CONTENT: FailureClass = FailureClass::Permanent(DeadReason::InvalidContent);
pub(super) const CONFIG: FailureClass = FailureClass::Permanent(DeadReason::Misconfigured);
pub(super) const REJECTED: FailureClass = FailureClass::Permanent(DeadReason::Rejected);
pub(super) const OPTED_OUT: FailureClass = FailureClass::Skip(SkipReason::OptedOut);
const BUSY: FailureClass = FailureClass::Skip(SkipReason::CustomerBusy);

/// Creates a code of this class.
pub(super) const fn is(code: u32, class: FailureClass, meaning: &'static str) -> ErrorCode {
    ErrorCode {
        code,
        status: None,
        class,
        conflict: None,
        pauses: None,
        limit: None,
        again: TryAgain::ByClass,
        has_label: false,
        meaning,
        source: None,
        action: None,
    }
}

/// Creates a code that affects every message of a campaign: the campaign is paused, and no message ends because of
/// it.
pub(super) const fn pauses(code: u32, cause: PauseCause, meaning: &'static str) -> ErrorCode {
    ErrorCode {
        pauses: Some(cause),
        ..is(code, HALT, meaning)
    }
}

/// Creates a conflict. An unresolved conflict is transient, because a name or a place can become free; a missing
/// resource does not come back.
pub(super) const fn meets(code: u32, conflict: Conflict, meaning: &'static str) -> ErrorCode {
    let class = match conflict {
        Conflict::CustomerBusy => BUSY,
        Conflict::Missing => REJECTED,
        Conflict::NameTaken
        | Conflict::AlreadyThere
        | Conflict::Gone
        | Conflict::Closed
        | Conflict::WrongState => TRANSIENT,
    };
    ErrorCode {
        conflict: Some(conflict),
        ..is(code, class, meaning)
    }
}

/// Creates a limit that flexcast has a lane for.
pub(super) const fn limits(code: u32, limit: Limit, meaning: &'static str) -> ErrorCode {
    ErrorCode {
        limit: Some(limit),
        ..is(code, THROTTLED, meaning)
    }
}

impl ErrorCode {
    /// Sets the HTTP status of the code.
    pub(super) const fn with_status(self, status: u16) -> Self {
        Self {
            status: Some(status),
            ..self
        }
    }

    /// Sets the time of the retry after the code.
    pub(super) const fn again(self, again: TryAgain) -> Self {
        Self { again, ..self }
    }

    /// Gives the code its own label in metrics.
    pub(super) const fn labelled(self) -> Self {
        Self {
            has_label: true,
            ..self
        }
    }

    /// Sets the action of an operator for the code.
    pub(super) const fn act(self, action: &'static str) -> Self {
        Self {
            action: Some(action),
            ..self
        }
    }

    /// Sets the source of the code's meaning, if it is not its page in Twilio's error dictionary.
    pub(super) const fn from(self, source: &'static str) -> Self {
        Self {
            source: Some(source),
            ..self
        }
    }

    /// The action of an operator.
    #[must_use]
    pub fn action(&self) -> &'static str {
        if let Some(action) = self.action {
            return action;
        }
        match self.class {
            FailureClass::Transient | FailureClass::Throttled | FailureClass::Away => "Nothing.",
            FailureClass::Permanent(DeadReason::InvalidAddress) => {
                "Correct the customer's address."
            }
            FailureClass::Permanent(DeadReason::InvalidContent) => {
                "Correct the text, the template or its variables."
            }
            FailureClass::Permanent(DeadReason::Misconfigured) | FailureClass::Halt => {
                "Correct the account or the campaign."
            }
            FailureClass::Permanent(_) => "Read the dead letter: it has Twilio's message.",
            FailureClass::Skip(SkipReason::CustomerBusy) => {
                "Nothing; `when_open` decides what becomes of the message."
            }
            FailureClass::Skip(_) => "Nothing.",
        }
    }
}
