//! The possible outcomes of a message, and the facts about a failure that the retry policy needs.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::StepName;
use super::names::closed_list;

/// Why a message is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// The customer has opted out at Twilio.
    OptedOut,
    /// The campaign was cancelled before the message was processed.
    Cancelled,
    /// Its `expires_at` has passed.
    Expired,
    /// The customer is in a conversation or session of another program.
    CustomerBusy,
    /// The agent of the message is unavailable, and the campaign's rule is to skip.
    AgentUnavailable,
}

/// The state of an open message: it has no outcome yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OpenState {
    /// A consumer can take it now.
    Queued,
    /// It does not begin before a given time.
    Scheduled,
    /// It is tried again at a given time, after a temporary failure.
    Retrying,
    /// It waits until its agent or its customer is free, or until an operator ends a pause.
    Held,
    /// A consumer carries it out.
    InFlight,
}

/// Why a message waits for a later time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitReason {
    /// Its `not_before` lies in the future.
    NotBefore,
    /// Its campaign's or agent's pace has no free slot before that time.
    Pace,
    /// An attempt failed with a transient error.
    Retry,
    /// The customer is in a conversation or session of another program, and the campaign's rule is to wait.
    CustomerBusy,
    /// The agent is unavailable, and the campaign's rule is to wait.
    AgentUnavailable,
    /// An operator has paused its sender or its agent.
    Paused,
}

impl WaitReason {
    /// The state of a message that waits for this reason.
    #[must_use]
    pub const fn state(self) -> OpenState {
        match self {
            Self::NotBefore | Self::Pace => OpenState::Scheduled,
            Self::Retry => OpenState::Retrying,
            Self::CustomerBusy | Self::AgentUnavailable | Self::Paused => OpenState::Held,
        }
    }
}

/// Why an agent cannot get a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unavailable {
    /// The Worker's activity is one in which no tasks are assigned.
    Offline,
    /// The Worker's channel has reached its task capacity.
    Full,
    /// No Worker has this name.
    Gone,
    /// An operator has paused the agent.
    Paused,
}

/// Why a message has failed permanently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadReason {
    /// It is not a valid message: bad JSON, a missing or unknown field, or a message of another campaign.
    Malformed,
    /// It is longer than the limit for messages.
    Oversized,
    /// Its version is not one that this program reads.
    WrongVersion,
    /// No campaign has its routing key as an id.
    NoCampaign,
    /// The channel cannot reach this address, or Twilio reports it as unreachable.
    InvalidAddress,
    /// No Worker has the agent's name, or several have it.
    UnknownAgent,
    /// Twilio refused the content, or a check before the call found that it would.
    InvalidContent,
    /// Twilio refused because of the settings of the account or the campaign.
    Misconfigured,
    /// Twilio refused for another reason.
    Rejected,
    /// The Interaction was accepted, but its set-up failed.
    SetupFailed,
    /// The error was transient, but all attempts are used up.
    Exhausted,
    /// An undo failed: a resource remains at Twilio. The dead letter names it.
    Stuck,
    /// The ledger's database refuses this message's data and works otherwise.
    StoreRefused,
    /// The ledger's records of the message contradict each other.
    Damaged,
}

/// Why flexcast itself pauses a campaign: Twilio refuses all its messages, or its queue was emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseCause {
    /// The credentials are wrong, revoked or for another region.
    CredentialsRefused,
    /// The account is not active.
    AccountSuspended,
    /// A trial account can send to verified numbers only.
    TrialAccount,
    /// The sender is the WhatsApp sandbox, which the customers have not joined.
    WhatsappSandbox,
    /// Twilio or WhatsApp does not accept the sender.
    SenderRefused,
    /// The settings of the account or the campaign make every message fail.
    Misconfigured,
    /// Many messages of its queue disappeared at once, or the queue was deleted. Only an operator can end this
    /// pause.
    QueueEmptied,
}

/// Why it is unknown whether a step happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownReason {
    /// The reply was lost, and two look-ups within the settle time found nothing.
    NotFound,
    /// The look-up is impossible: the container of the resource is gone or refuses access.
    NotVisible,
}

/// Why a row of a file was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// The row is not valid CSV: a stray quote, or a number of columns that differs from the header's.
    RowMalformed,
    /// The address column is empty.
    AddressMissing,
    /// The cell holds no phone number, or a number that its country does not assign.
    AddressInvalid,
    /// One cell holds two numbers or more.
    AddressMultiple,
    /// A spreadsheet program has rounded the number (`1.20256E+10`): its last digits are gone.
    AddressLostDigits,
    /// The digits can be read as two numbers, depending on whether a `+` or a leading zero was lost.
    AddressAmbiguous,
    /// The id column holds an invalid id.
    IdInvalid,
    /// A spreadsheet program has rounded the id (`1.23457E+17`): different people would share one id.
    IdLostDigits,
    /// A time column holds an invalid time.
    TimeInvalid,
    /// The country column holds an unknown country.
    CountryInvalid,
    /// The template cannot be rendered for this row.
    TemplateFailed,
    /// Twilio or Meta would refuse the text or a content variable.
    ContentInvalid,
    /// The customer's name is longer than Twilio's limit.
    NameInvalid,
    /// The task's attributes would exceed TaskRouter's limit.
    AttributesOversized,
    /// The row names no agent, the campaign has no default, and its strategy needs one.
    AgentMissing,
    /// The line is not a valid message: bad JSON, a missing or unknown field, or a message of another campaign.
    MessageMalformed,
    /// The line is longer than the limit for messages.
    MessageOversized,
    /// The version of the message is not one that this program reads.
    MessageWrongVersion,
    /// The database refuses this row in every batch, and works otherwise.
    StoreRefused,
}

closed_list!(SkipReason {
    OptedOut => "opted_out",
    Cancelled => "cancelled",
    Expired => "expired",
    CustomerBusy => "customer_busy",
    AgentUnavailable => "agent_unavailable",
});
closed_list!(WaitReason {
    NotBefore => "not_before",
    Pace => "pace",
    Retry => "retry",
    CustomerBusy => "customer_busy",
    AgentUnavailable => "agent_unavailable",
    Paused => "paused",
});
closed_list!(OpenState {
    Queued => "queued",
    Scheduled => "scheduled",
    Retrying => "retrying",
    Held => "held",
    InFlight => "in_flight",
});
closed_list!(Unavailable { Offline => "offline", Full => "full", Gone => "gone", Paused => "paused" });
closed_list!(DeadReason {
    Malformed => "malformed",
    Oversized => "oversized",
    WrongVersion => "wrong_version",
    NoCampaign => "no_campaign",
    InvalidAddress => "invalid_address",
    UnknownAgent => "unknown_agent",
    InvalidContent => "invalid_content",
    Misconfigured => "misconfigured",
    Rejected => "rejected",
    SetupFailed => "setup_failed",
    Exhausted => "exhausted",
    Stuck => "stuck",
    StoreRefused => "store_refused",
    Damaged => "damaged",
});
impl PauseCause {
    /// Whether a request to Twilio can show that the cause has ended.
    #[must_use]
    pub fn is_twilios(self) -> bool {
        self != Self::QueueEmptied
    }
}

closed_list!(PauseCause {
    CredentialsRefused => "credentials_refused",
    AccountSuspended => "account_suspended",
    TrialAccount => "trial_account",
    WhatsappSandbox => "whatsapp_sandbox",
    SenderRefused => "sender_refused",
    Misconfigured => "misconfigured",
    QueueEmptied => "queue_emptied",
});
closed_list!(UnknownReason { NotFound => "not_found", NotVisible => "not_visible" });
closed_list!(RejectReason {
    RowMalformed => "row_malformed",
    AddressMissing => "address_missing",
    AddressInvalid => "address_invalid",
    AddressMultiple => "address_multiple",
    AddressLostDigits => "address_lost_digits",
    AddressAmbiguous => "address_ambiguous",
    IdInvalid => "id_invalid",
    IdLostDigits => "id_lost_digits",
    TimeInvalid => "time_invalid",
    CountryInvalid => "country_invalid",
    TemplateFailed => "template_failed",
    ContentInvalid => "content_invalid",
    NameInvalid => "name_invalid",
    AttributesOversized => "attributes_oversized",
    AgentMissing => "agent_missing",
    MessageMalformed => "message_malformed",
    MessageOversized => "message_oversized",
    MessageWrongVersion => "message_wrong_version",
    StoreRefused => "store_refused",
});

/// The class of a failure: the retry policy depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "class", content = "reason")]
pub enum FailureClass {
    /// Transient: the step is retried later.
    Transient,
    /// Twilio answered 429 or 422: it did not process the request. The retry does not count as an attempt.
    Throttled,
    /// The request was not sent, because Twilio was unreachable. Retried until Twilio is reachable again; the
    /// retries do not count as attempts.
    Away,
    /// Permanent: a retry cannot succeed.
    Permanent(DeadReason),
    /// The message is skipped.
    Skip(SkipReason),
    /// An error that stops the whole campaign until an operator acts, such as refused credentials.
    Halt,
}

impl FailureClass {
    /// Whether the same call may succeed when it is tried again. After a 429 its lanes rest, and the next try waits for
    /// them.
    #[must_use]
    pub fn may_pass(self) -> bool {
        matches!(self, Self::Transient | Self::Throttled | Self::Away)
    }
}

/// An attempt's failure, as data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    #[serde(flatten)]
    pub class: FailureClass,
    /// The step that failed. `None`: the saga had not begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepName>,
    /// Twilio's error code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
    /// The HTTP status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// A description for the operator, without phone numbers and secrets.
    pub detail: String,
    /// The wait that Twilio asked for (`Retry-After`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Duration>,
    /// For a failed undo: the failure that caused the undo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Box<Failure>>,
}

impl Failure {
    /// A failure without an answer from Twilio.
    #[must_use]
    pub fn new(class: FailureClass, detail: impl Into<String>) -> Self {
        Self {
            class,
            step: None,
            code: None,
            status: None,
            detail: detail.into(),
            retry_after: None,
            cause: None,
        }
    }

    /// The same failure, at this step.
    #[must_use]
    pub fn at(mut self, step: StepName) -> Self {
        self.step = Some(step);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(step) = self.step {
            write!(f, "{step}: ")?;
        }
        f.write_str(&self.detail)?;
        match (self.status, self.code) {
            (Some(status), Some(code)) => write!(f, " (HTTP {status}, Twilio error {code})")?,
            (Some(status), None) => write!(f, " (HTTP {status})")?,
            _ => {}
        }
        match &self.cause {
            Some(cause) => write!(f, "; undone because of {cause}"),
            None => Ok(()),
        }
    }
}

/// The result of one run of a saga.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every step has taken effect.
    Done {
        /// Another ledger had already sent the message: this run created nothing.
        already_sent: bool,
    },
    /// A step failed. The retry policy decides whether the failure is permanent.
    Failed(Failure),
    /// The customer is in a conversation or session of another program.
    Busy(String),
    /// It is unknown whether this step happened.
    Unknown {
        step: StepName,
        reason: UnknownReason,
        evidence: String,
    },
}
