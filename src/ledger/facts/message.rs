//! One message: where it is, who may work on it, how its turn ends.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::message::{
    Address, CampaignId, DeadReason, DeferReason, Effects, Event, Failure, Message, MessageId,
    SkipReason, UnknownReason,
};

/// The early side of a deferral: a delivery that the queue brings back this much before its due
/// time is taken. The queue's clock is not the ledger's.
pub const EARLY: Duration = Duration::from_secs(2);

/// How late a message that the queue itself brings back may be before the ledger wakes it.
pub const LATE: Duration = Duration::from_secs(60);

/// How long after a message got stuck its undo is first tried again.
pub const UNDO_AFTER: Duration = Duration::from_secs(60);

/// How long what a consumer has shown is kept after it died.
pub(in crate::ledger) const SHOWN_FOR: Duration = Duration::from_secs(3_600);

/// One message of one campaign.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MessageKey {
    pub campaign: CampaignId,
    pub id: MessageId,
}

impl MessageKey {
    /// The key of this message.
    #[must_use]
    pub fn of(message: &Message) -> Self {
        Self {
            campaign: message.campaign.clone(),
            id: message.id(),
        }
    }
}

impl fmt::Display for MessageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.campaign, self.id)
    }
}

/// What became of a message offered to the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// Recorded now, as waiting.
    Accepted,
    /// The campaign had a message of this id already, perhaps from earlier in the same batch.
    /// `queued`: somebody will bring it or has (on the queue, deferred, in flight, over); otherwise
    /// [`crate::ledger::Ledger::unqueued`] lists it in time.
    Known { queued: bool },
    /// The campaign has another message to this address.
    AddressTaken { by: MessageId },
}

/// A message to be put on the queue, as it was listed: what [`crate::ledger::Ledger::mark_queued`] takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    pub key: MessageKey,
    /// The message's last lease when it was listed: another one by now, and somebody has taken it
    /// since.
    pub lease: i64,
}

impl Publication {
    /// A message that was accepted just now: nobody has had it yet.
    #[must_use]
    pub fn first(message: &Message) -> Self {
        Self {
            key: MessageKey::of(message),
            lease: 0,
        }
    }
}

/// The right to work on a message, until a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub key: MessageKey,
    /// Grows with every taker: a write with an older number is refused.
    pub number: i64,
    pub until: Timestamp,
    /// In which run of the store it was given. In another run it is no right to call: the store may have lost it, and
    /// have given the message to another consumer.
    pub run: StoreRun,
}

/// One run of a store's server, from its start to its end. A file has one run for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreRun(pub(crate) i64);

/// A message that was leased to whoever took it, with all that the ledger knows of it.
#[derive(Clone, Debug)]
pub struct LeasedMessage {
    pub lease: Lease,
    /// The message as it was accepted: what the queue brought may be a later edition.
    pub message: Message,
    pub journal: Vec<Event>,
    /// Attempts that failed so far.
    pub attempts: u32,
    pub accepted_at: Timestamp,
    /// Since when it is tried: since it was taken first, or first after Twilio was away or it waited for
    /// anything but its next try.
    pub tried_since: Timestamp,
    /// Whether the ledger met it only now: a publisher's.
    pub fresh: bool,
    /// The backlog that it was called up from.
    pub called_from: Option<String>,
    /// Whether something of it may stand at Twilio that its journal does not know: a lease on it ended
    /// without a settlement.
    pub doubtful: bool,
    /// Whether an earlier lease expired under which something was recorded, while its holder is alive and has not
    /// abandoned it: stopped or slow, that holder may still send what it was about to send.
    pub overtaken: bool,
    /// Since when messages of the campaign may have been carried out that this ledger does not know of, if any
    /// may.
    pub distrusted_from: Option<Timestamp>,
}

/// What taking a delivered message gave.
#[derive(Clone, Debug)]
pub enum Taken {
    /// The caller has the message.
    Leased(Box<LeasedMessage>),
    /// Its turn is over: whatever brought it again is acknowledged without an effect.
    Over(Ending),
    /// It is deferred and not due: the ledger, or the queue's own delayed copy, brings it back.
    Deferred { reason: DeferReason, due: Timestamp },
    /// Somebody is working on it.
    Held { until: Timestamp },
    /// The campaign has another message to this address.
    AddressTaken { by: MessageId },
}

impl Taken {
    /// The message, where the caller has it.
    #[must_use]
    pub fn leased(self) -> Option<LeasedMessage> {
        match self {
            Self::Leased(taken) => Some(*taken),
            _ => None,
        }
    }
}

/// How a message's turn was over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Ending {
    Done {
        /// Another ledger had carried it out: this one has made nothing of it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        already_sent: bool,
    },
    Skipped {
        reason: SkipReason,
        detail: Option<String>,
    },
    Dead {
        reason: DeadReason,
        failure: Box<Failure>,
    },
    Unknown {
        reason: UnknownReason,
        /// What was sent, when, and what the look-ups said.
        evidence: String,
    },
}

/// Who brings a deferred message back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wake {
    /// The ledger, by due time: its delivery was acknowledged.
    Ledger,
    /// The queue, which holds a delayed copy: short retries.
    Queue,
}

/// What a turn with a message came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    Ended {
        ending: Ending,
        /// What stands at Twilio because of it.
        effects: Box<Effects>,
    },
    Deferred {
        reason: DeferReason,
        due: Timestamp,
        wake: Wake,
        /// The failure that made it a retry, and whether that used up an attempt.
        failure: Option<Box<Failure>>,
        uses_attempt: bool,
    },
    /// Deferred until its agent can take it: [`crate::ledger::Ledger::recall`] brings it back, `due` at the
    /// latest.
    Held {
        /// The agent, by the name that the message has.
        agent: String,
        due: Timestamp,
    },
    /// Deferred for its pace: [`crate::ledger::Ledger::call_up`] brings it back.
    Backlogged {
        /// The lanes that it waits for, as pacing names them.
        backlog: String,
        /// Its age, by which its turn comes.
        since: Timestamp,
        /// When that is expected to be, as far as is known: nothing waits for it.
        due: Timestamp,
    },
    /// Given back as it was: the consumer is stopping, or the campaign was halted.
    Released {
        /// Whether the delivery stays on the queue; otherwise the ledger publishes it anew.
        queued: bool,
    },
}

/// The messages of a campaign that wait for one agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldFor {
    pub campaign: CampaignId,
    /// The agent, by the name that the messages have.
    pub agent: String,
    pub messages: u64,
}

/// The open messages that one sender of a campaign has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenOfSender {
    pub sender: Address,
    /// Nothing of them can stand at Twilio, and no consumer has them in flight.
    pub unbegun: u64,
    /// All others: in flight, or something of them may stand at Twilio.
    pub begun: u64,
}

/// Where a message is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Standing {
    Waiting {
        queued: bool,
    },
    Deferred {
        reason: DeferReason,
        due: Timestamp,
    },
    InFlight {
        holder: String,
        until: Timestamp,
    },
    Over {
        #[serde(flatten)]
        ending: Ending,
        effects: Box<Effects>,
        at: Timestamp,
    },
    /// No record of any place: the books do not balance.
    Nowhere,
}

/// All that is known of one message.
#[derive(Clone, Debug, Serialize)]
pub struct MessageRecord {
    pub message: Message,
    pub accepted_at: Timestamp,
    /// Attempts that failed, the last of a dead message included.
    pub attempts: u32,
    #[serde(flatten)]
    pub standing: Standing,
    /// The failure of the last attempt that was put off.
    pub last_failure: Option<Failure>,
    pub journal: Vec<(Timestamp, Event)>,
}

/// A stuck message that was taken to try its undo again.
#[derive(Clone, Debug)]
pub struct Stuck {
    pub lease: Lease,
    pub message: Message,
    pub journal: Vec<Event>,
    /// What was left, and why.
    pub failure: Failure,
    /// How often the undo was tried again before.
    pub tries: u32,
    /// As in [`LeasedMessage`].
    pub distrusted_from: Option<Timestamp>,
}

/// What trying an undo again came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UndoSettlement {
    /// Nothing is left: the message ends as it would have ended had the undo not failed.
    Over {
        ending: Ending,
        /// What stands at Twilio all the same.
        effects: Box<Effects>,
    },
    /// Something is left: it is tried once more when it is due.
    Left {
        failure: Box<Failure>,
        effects: Box<Effects>,
        due: Timestamp,
    },
    /// Broken off: nothing is known, and it does not count as tried.
    Released { due: Timestamp },
}

/// When what is left of a stuck message is next tried to be taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct UpcomingUndo {
    /// How often it was tried again so far.
    pub tries: u32,
    pub due: Timestamp,
}

/// A delivery that is no message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    /// The campaign whose queue it lay on.
    pub campaign: CampaignId,
    pub reason: DeadReason,
    /// What is wrong with it.
    pub detail: String,
    /// The body, cut to a kilobyte.
    pub body: String,
}

/// A message of which nobody can say whether it went out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnknownRow {
    pub campaign: CampaignId,
    pub id: MessageId,
    /// Masked.
    pub customer: String,
    pub at: Timestamp,
    pub reason: UnknownReason,
    /// What was sent, when, and what the look-ups said.
    pub evidence: String,
}

/// A message of a page of an export.
#[derive(Clone, Debug)]
pub struct PageRow {
    /// Where the next page goes on.
    pub number: i64,
    pub message: Message,
    pub accepted_at: Timestamp,
    pub attempts: u32,
    pub standing: Standing,
}

/// One dead letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeadRow {
    pub campaign: CampaignId,
    /// None for a delivery that was no message.
    pub id: Option<MessageId>,
    /// Masked.
    pub customer: Option<String>,
    /// Attempts that failed, the last one included; 0 for a delivery that was no message.
    pub attempts: u32,
    pub at: Timestamp,
    pub failure: Failure,
    pub reason: DeadReason,
    /// Of a stuck message: what is left is tried to be taken away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo: Option<UpcomingUndo>,
}
