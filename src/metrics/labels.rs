//! The values of labels: closed lists, so that no label contains a phone number, an id or a file name.

use crate::message::{DeadReason, PauseCause, SkipReason, WaitReason, closed_list};

/// The result of a message's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageEvent {
    /// Carried out.
    Done,
    /// Skipped.
    Skipped(SkipReason),
    /// Dead-lettered.
    Dead(DeadReason),
    /// Its outcome is unknown.
    Unknown,
    /// It waits for a later time.
    Waits(WaitReason),
    /// The campaign has its id or address already.
    Duplicate,
    /// The queue delivered it again after its saga was over.
    Redelivered,
}

/// The label of a [`MessageEvent`] in `flexcast_messages_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageOutcome {
    Done,
    Skipped,
    Dead,
    Unknown,
    Scheduled,
    Retrying,
    Held,
    Duplicate,
    Redelivered,
}

closed_list!(MessageOutcome {
    Done => "done",
    Skipped => "skipped",
    Dead => "dead",
    Unknown => "unknown",
    Scheduled => "scheduled",
    Retrying => "retrying",
    Held => "held",
    Duplicate => "duplicate",
    Redelivered => "redelivered",
});

/// The author of a campaign's pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PausedBy {
    Operator,
    Program(PauseCause),
}

impl PausedBy {
    /// All values.
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
            Self::Waits(WaitReason::NotBefore | WaitReason::Pace) => MessageOutcome::Scheduled,
            Self::Waits(WaitReason::Retry) => MessageOutcome::Retrying,
            Self::Waits(
                WaitReason::CustomerBusy | WaitReason::AgentUnavailable | WaitReason::Paused,
            ) => MessageOutcome::Held,
            Self::Duplicate => MessageOutcome::Duplicate,
            Self::Redelivered => MessageOutcome::Redelivered,
        }
    }
}

/// A term of the books: `accepted` is the sum of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BookState {
    Accepted,
    Queued,
    Scheduled,
    Retrying,
    Held,
    InFlight,
    Done,
    Skipped,
    Dead,
    Unknown,
}

closed_list!(BookState {
    Accepted => "accepted",
    Queued => "queued",
    Scheduled => "scheduled",
    Retrying => "retrying",
    Held => "held",
    InFlight => "in_flight",
    Done => "done",
    Skipped => "skipped",
    Dead => "dead",
    Unknown => "unknown",
});

/// A check of the books. Each is 0 if the books balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BooksCheck {
    /// Accepted messages minus those in all states.
    Messages,
    /// Messages that are both open and over.
    Twice,
    /// Rows of files minus their results.
    Rows,
}

closed_list!(BooksCheck { Messages => "messages", Twice => "twice", Rows => "rows" });

/// The part of a delivery that was mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MendedPart {
    /// The text in a property or in a header's name.
    Text,
    /// The routing key.
    Key,
    /// The nesting of headers.
    Nesting,
    /// The length of the body.
    Body,
}

closed_list!(MendedPart { Text => "text", Key => "key", Nesting => "nesting", Body => "body" });

/// The result of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepResult {
    /// Its call was made and answered.
    Made,
    /// Its effect existed at Twilio already, and was ours.
    Adopted,
    Failed,
    /// Whether it happened must be looked up.
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

/// The result of a file's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowResult {
    Accepted,
    Rejected,
    /// The campaign has its id or address already.
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

/// The label of Twilio's error codes that have none of their own ([`crate::twilio::codes::ErrorCode::has_label`]). The
/// log and the dead letter show the code itself.
pub(super) const OTHER_CODE: &str = "other";
