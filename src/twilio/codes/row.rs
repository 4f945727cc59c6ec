//! One error code of Twilio's: what it means and what follows from it.
//!
//! In: a row of the table. Out: its facts, and what an operator does. Always: data.

use crate::message::{DeadReason, FailureClass, PauseCause, SkipReason};

/// What stands in a call's way at Twilio: to be looked at before anything is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// The name is in use: look up by name, and adopt what is ours.
    NameTaken,
    /// What was to be added is there, or enough is: list, and adopt what is ours.
    AlreadyThere,
    /// The customer's address and our number are together elsewhere, or here from a call of ours
    /// whose reply was lost: look, and else the customer is busy.
    CustomerBusy,
    /// The container is closed, or what was to be added was deleted from it: a new generation.
    Gone,
    /// The Conversation is closed: look whether it is the message's container.
    Closed,
    /// The resource is in a state that does not allow the change: look whether its container is closed.
    WrongState,
    /// There is no such thing: an answer to a look-up; elsewhere, look whether the container is gone.
    Missing,
}

/// A limit of Twilio's that flexcast keeps a lane for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Calls of the whole account that are under way at once.
    CallsAtOnce,
    /// Calls of one operation, on the account or on one service.
    Endpoint,
    /// The texts that Twilio keeps queued for one sender.
    SenderQueue,
}

/// When a message is tried again after this code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryAgain {
    /// As its class says: by `work.retry`, or within seconds where the call was never processed.
    ByClass,
    /// After an hour, as often as the class allows: nobody says when the limit lifts.
    Hourly,
    /// By its class at first. From the second failure on, after an hour.
    HourlyWhenRepeated,
    /// After the next midnight Pacific time, when the limit lifts.
    MidnightPacific,
}

/// What Twilio's error code means.
#[derive(Clone, Copy, Debug)]
pub struct ErrorCode {
    /// The number.
    pub code: u32,
    /// The HTTP status it comes with; none where Twilio's texts name none, or several.
    pub status: Option<u16>,
    /// What follows for the message. A conflict's class is what it is when nobody resolves it.
    pub class: FailureClass,
    /// What to look at first.
    pub conflict: Option<Conflict>,
    /// Why no message of the campaign passes, where that is what the code says.
    pub pauses: Option<PauseCause>,
    /// The limit that it tells of, where flexcast keeps a lane for it.
    pub limit: Option<Limit>,
    /// When the message is tried again.
    pub again: TryAgain,
    /// Whether it has a label of its own in metrics: it tells an operator something of its own. The others
    /// count as `other`.
    pub has_label: bool,
    /// The meaning, in one sentence.
    pub meaning: &'static str,
    /// Where the meaning is from; none: from its page in Twilio's error dictionary.
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

/// A code of this class.
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

/// A code that meets every message of the campaign: it is paused, and no message ends for it.
pub(super) const fn pauses(code: u32, cause: PauseCause, meaning: &'static str) -> ErrorCode {
    ErrorCode {
        pauses: Some(cause),
        ..is(code, HALT, meaning)
    }
}

/// A conflict. One that nobody resolved may pass: a name or place becomes free. What is missing does not come back.
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

/// A limit that flexcast keeps a lane for.
pub(super) const fn limits(code: u32, limit: Limit, meaning: &'static str) -> ErrorCode {
    ErrorCode {
        limit: Some(limit),
        ..is(code, THROTTLED, meaning)
    }
}

impl ErrorCode {
    /// The same code, which always comes with this HTTP status.
    pub(super) const fn with_status(self, status: u16) -> Self {
        Self {
            status: Some(status),
            ..self
        }
    }

    /// The same code, after which a message is tried again at this time.
    pub(super) const fn again(self, again: TryAgain) -> Self {
        Self { again, ..self }
    }

    /// The same code, with a label of its own in metrics.
    pub(super) const fn labelled(self) -> Self {
        Self {
            has_label: true,
            ..self
        }
    }

    /// The same code, on which an operator acts so.
    pub(super) const fn act(self, action: &'static str) -> Self {
        Self {
            action: Some(action),
            ..self
        }
    }

    /// The same code, whose meaning is not from its page in Twilio's dictionary.
    pub(super) const fn from(self, source: &'static str) -> Self {
        Self {
            source: Some(source),
            ..self
        }
    }

    /// What an operator does.
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
