//! The labels' values: closed lists, so that a number, an id or a file name cannot become one.

use crate::message::{DeadReason, DeferReason, PauseCause, SkipReason, closed_list};

/// What became of a message's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageEvent {
    /// Carried out.
    Done,
    /// Not to be done.
    Skipped(SkipReason),
    /// Failed for good.
    Dead(DeadReason),
    /// Nobody can say.
    Unknown,
    /// Put off to a time the ledger keeps.
    Deferred(DeferReason),
    /// Given back to the queue for a short while.
    Retried,
    /// Its id or address was already in the campaign.
    Duplicate,
    /// The queue delivered it again after its saga was over.
    Redelivered,
}

/// The word a [`MessageEvent`] has in `flexcast_messages_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageOutcome {
    Done,
    Skipped,
    Dead,
    Unknown,
    Deferred,
    Retried,
    Duplicate,
    Redelivered,
}

closed_list!(MessageOutcome {
    Done => "done",
    Skipped => "skipped",
    Dead => "dead",
    Unknown => "unknown",
    Deferred => "deferred",
    Retried => "retried",
    Duplicate => "duplicate",
    Redelivered => "redelivered",
});

/// Who paused a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PausedBy {
    Operator,
    Program(PauseCause),
}

impl PausedBy {
    /// All there are.
    pub(super) const ALL: [Self; 7] = [
        Self::Operator,
        Self::Program(PauseCause::CredentialsRefused),
        Self::Program(PauseCause::AccountSuspended),
        Self::Program(PauseCause::TrialAccount),
        Self::Program(PauseCause::WhatsappSandbox),
        Self::Program(PauseCause::SenderRefused),
        Self::Program(PauseCause::Misconfigured),
    ];

    /// The label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Program(cause) => cause.as_str(),
        }
    }
}

impl MessageEvent {
    pub(super) fn outcome(self) -> MessageOutcome {
        match self {
            Self::Done => MessageOutcome::Done,
            Self::Skipped(_) => MessageOutcome::Skipped,
            Self::Dead(_) => MessageOutcome::Dead,
            Self::Unknown => MessageOutcome::Unknown,
            Self::Deferred(_) => MessageOutcome::Deferred,
            Self::Retried => MessageOutcome::Retried,
            Self::Duplicate => MessageOutcome::Duplicate,
            Self::Redelivered => MessageOutcome::Redelivered,
        }
    }
}

/// A term of the books: `accepted` is the sum of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BookState {
    Accepted,
    Waiting,
    Deferred,
    InFlight,
    Done,
    Skipped,
    Dead,
    Unknown,
}

closed_list!(BookState {
    Accepted => "accepted",
    Waiting => "waiting",
    Deferred => "deferred",
    InFlight => "in_flight",
    Done => "done",
    Skipped => "skipped",
    Dead => "dead",
    Unknown => "unknown",
});

/// What the books are checked for. Each is 0, or they do not balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BooksCheck {
    /// Accepted messages against those in all states.
    Messages,
    /// Messages that are both open and over.
    Twice,
    /// Rows of files against what became of them.
    Rows,
}

closed_list!(BooksCheck { Messages => "messages", Twice => "twice", Rows => "rows" });

/// What of a delivery was mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MendedPart {
    /// Text in a property or a header's name.
    Text,
    /// The routing key.
    Key,
    /// The nesting of headers.
    Nesting,
    /// The length of the body.
    Body,
}

closed_list!(MendedPart { Text => "text", Key => "key", Nesting => "nesting", Body => "body" });

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepResult {
    /// Its call was made and answered.
    Made,
    /// Its effect stood at Twilio already, and was ours.
    Adopted,
    Failed,
    /// Whether it happened has to be looked up.
    InDoubt,
    Undone,
}

closed_list!(StepResult {
    Made => "made",
    Adopted => "adopted",
    Failed => "failed",
    InDoubt => "in_doubt",
    Undone => "undone",
});

/// What became of a row of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowResult {
    Accepted,
    Rejected,
    /// Its id or address was already in the campaign.
    Duplicate,
    /// Its customer has opted out.
    Suppressed,
}

closed_list!(RowResult {
    Accepted => "accepted",
    Rejected => "rejected",
    Duplicate => "duplicate",
    Suppressed => "suppressed",
});

/// The label of Twilio's error codes that have none of their own ([`crate::twilio::codes::ErrorCode::has_label`]):
/// the code itself stands in the log and in the dead letter.
pub(super) const OTHER_CODE: &str = "other";
