//! How a message's turn can end, and the facts that policy needs of a failure.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::StepName;
use super::names::closed_list;

/// Why a message was not to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// The customer told Twilio to stop.
    OptedOut,
    /// The campaign was cancelled before its turn.
    Cancelled,
    /// Its `expires_at` had passed.
    Expired,
    /// The customer is in a conversation or session that is not ours.
    CustomerBusy,
    /// The agent it was for could not take it, and the campaign says to skip.
    AgentUnavailable,
}

/// Why a message waits for a time to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeferReason {
    /// Its `not_before` has not come.
    Scheduled,
    /// A lane of its own (its campaign's or agent's pace) is booked until then.
    Pace,
    /// An attempt failed in a way that may pass.
    Retry,
    /// The customer is in a conversation or session that is not ours, and the campaign waits.
    CustomerBusy,
    /// The agent is away, and the campaign waits.
    AgentUnavailable,
    /// The campaign is paused.
    Paused,
}

/// Why an agent cannot take a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unavailable {
    /// The Worker's activity lets no task come.
    Offline,
    /// The Worker's channel has as many tasks as it takes at a time.
    Full,
    /// No Worker answers to the name.
    Gone,
}

/// Why a message failed for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadReason {
    /// It is no message: bad JSON, a missing or unknown field, another campaign's.
    Malformed,
    /// It is longer than a message may be.
    Oversized,
    /// It is of a version that this program does not read.
    WrongVersion,
    /// Its routing key is no campaign's.
    NoCampaign,
    /// The channel cannot reach this address, or Twilio says nobody can.
    InvalidAddress,
    /// No Worker answers to the agent's name, or several do.
    UnknownAgent,
    /// Twilio refused the content, or would.
    InvalidContent,
    /// Twilio refused because of how the account or the campaign is set up.
    Misconfigured,
    /// Twilio refused for another reason.
    Rejected,
    /// The Interaction was accepted and its set-up failed.
    SetupFailed,
    /// It might have passed, but the attempts are used up.
    Exhausted,
    /// An undo failed: something is left at Twilio, named in the dead letter.
    Stuck,
    /// The ledger's database refuses what is to be written of this message, and works otherwise.
    StoreRefused,
    /// The ledger's records of it contradict each other.
    Damaged,
}

/// Why flexcast itself pauses a campaign: Twilio refuses every message of it, or its queue was emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseCause {
    /// The credentials are wrong, revoked or of another region.
    CredentialsRefused,
    /// The account is not active.
    AccountSuspended,
    /// A trial account writes to verified numbers only.
    TrialAccount,
    /// The sender is the WhatsApp sandbox, which the customers have not joined.
    WhatsappSandbox,
    /// Twilio or WhatsApp does not accept the sender.
    SenderRefused,
    /// The account or the campaign is set up in a way that no message passes.
    Misconfigured,
    /// Much of its queue vanished at once, or the queue was deleted. Only an operator ends this pause.
    QueueEmptied,
}

/// Why nobody can say whether a step happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownReason {
    /// The reply was lost and two look-ups spread over the settle time found nothing.
    NotFound,
    /// What would be looked up cannot be: its container is gone or refuses.
    NotVisible,
}

/// Why a row of a file was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// The row is not CSV: a stray quote, other than the header's number of columns.
    RowMalformed,
    /// The address column is empty.
    AddressMissing,
    /// No phone number, or none that its country gives out.
    AddressInvalid,
    /// Two numbers or more stand in one cell.
    AddressMultiple,
    /// A spreadsheet program has rounded the number (`1.20256E+10`): its last digits are gone.
    AddressLostDigits,
    /// Two numbers, depending on whether it lost its `+` or a zero.
    AddressAmbiguous,
    /// The id column holds what is no id.
    IdInvalid,
    /// A spreadsheet program has rounded the id (`1.23457E+17`): different people would have the same.
    IdLostDigits,
    /// A time column holds what is no time.
    TimeInvalid,
    /// The country column holds what is no country.
    CountryInvalid,
    /// The template cannot be rendered for this row.
    TemplateFailed,
    /// The text or a content variable is none that Twilio or Meta takes.
    ContentInvalid,
    /// The customer's name is longer than Twilio takes.
    NameInvalid,
    /// The task would carry more than TaskRouter takes.
    AttributesOversized,
    /// The row names no agent, the campaign has no default, and its strategy needs one.
    AgentMissing,
    /// The line is no message: bad JSON, a missing or unknown field, another campaign's.
    MessageMalformed,
    /// The line is longer than a message may be.
    MessageOversized,
    /// The line is a message of a version that this program does not read.
    MessageWrongVersion,
    /// The database works and refuses this row, in whatever batch it is.
    StoreRefused,
}

closed_list!(SkipReason {
    OptedOut => "opted_out",
    Cancelled => "cancelled",
    Expired => "expired",
    CustomerBusy => "customer_busy",
    AgentUnavailable => "agent_unavailable",
});
closed_list!(DeferReason {
    Scheduled => "scheduled",
    Pace => "pace",
    Retry => "retry",
    CustomerBusy => "customer_busy",
    AgentUnavailable => "agent_unavailable",
    Paused => "paused",
});
closed_list!(Unavailable { Offline => "offline", Full => "full", Gone => "gone" });
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
    /// Whether a question to Twilio may find that the cause is gone.
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

/// What kind of failure it is: what policy decides on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "class", content = "reason")]
pub enum FailureClass {
    /// It may pass: try again later.
    Transient,
    /// Twilio said 429 or 422: never processed. Tried again without using up an attempt.
    Throttled,
    /// The call did not leave, since Twilio was not reached. Tried again without using up an attempt, for as long as
    /// that lasts.
    Away,
    /// It will not pass.
    Permanent(DeadReason),
    /// Not to be done.
    Skip(SkipReason),
    /// Nothing of this campaign will pass until somebody acts: credentials, account, sender.
    Halt,
}

/// An attempt's failure, as data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    #[serde(flatten)]
    pub class: FailureClass,
    /// The step that failed; none when the saga had not begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepName>,
    /// Twilio's error code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
    /// The HTTP status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What happened, for an operator. Without numbers and secrets.
    pub detail: String,
    /// How long Twilio asked us to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Duration>,
    /// Of an undo that failed: what was to be undone for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Box<Failure>>,
}

impl Failure {
    /// A failure that Twilio had no part in.
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

/// How a run of a saga ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every step stands.
    Done {
        /// Another ledger had carried it out: this one has made nothing of it.
        already_sent: bool,
    },
    /// A step failed; whether for good is policy's to say.
    Failed(Failure),
    /// The customer is in a conversation or session that is not ours.
    Busy(String),
    /// Nobody can say whether this step happened.
    Unknown {
        step: StepName,
        reason: UnknownReason,
        evidence: String,
    },
}
