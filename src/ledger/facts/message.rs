//! The types of one message: its state, its lease, its settlement.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::imports::MessageOrigin;
use super::standing::{Ending, Standing};
use crate::message::{
    Address, CampaignId, Effects, Event, Failure, Message, MessageId, UnknownReason, WaitReason,
};

/// How much earlier than its due time a waiting message is taken when the queue delivers it: the queue's clock is not
/// the ledger's.
pub const EARLY: Duration = Duration::from_secs(2);

/// How late a message that the queue itself brings back may be before the ledger wakes it.
pub const LATE: Duration = Duration::from_secs(60);

/// How long after a message got stuck its undo is first retried.
pub const UNDO_AFTER: Duration = Duration::from_secs(60);

/// How long a dead consumer's shown state is kept.
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

/// The result of offering a message to the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// Recorded now, as queued.
    Accepted,
    /// The campaign has a message with this id already, perhaps from the same batch. `queued`: its delivery is taken
    /// care of (it is on the queue, waits for a later time, is in flight or over). Otherwise [`crate::ledger::Ledger::unqueued`] lists
    /// it later.
    Known { queued: bool },
    /// The campaign has another message to this address.
    AddressTaken { by: MessageId },
}

impl Acceptance {
    /// The message that has the id or the address of the message with the id `offered`, if it was not accepted.
    #[must_use]
    pub fn duplicate_of<'a>(&'a self, offered: &'a str) -> Option<&'a str> {
        match self {
            Self::Accepted => None,
            Self::Known { .. } => Some(offered),
            Self::AddressTaken { by } => Some(by.as_str()),
        }
    }
}

/// A message that is to be published to the queue, as it was listed. See [`crate::ledger::Ledger::mark_queued`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    pub key: MessageKey,
    /// The number of its last lease when it was listed. If the number has changed, the message was taken since.
    pub lease: i64,
}

impl Publication {
    /// A message that was just accepted and never leased.
    #[must_use]
    pub fn first(message: &Message) -> Self {
        Self {
            key: MessageKey::of(message),
            lease: 0,
        }
    }
}

/// The right to work on a message until a point in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub key: MessageKey,
    /// Grows with each take. A write with an older number is refused.
    pub number: i64,
    pub until: Timestamp,
    /// The run of the store in which the lease was given. In another run it gives no right to call: the store may have
    /// lost it and leased the message to another consumer.
    pub run: StoreRun,
}

/// One run of a store's server, from its start to its end. A file has a single run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreRun(pub(crate) i64);

/// A leased message, with everything that the ledger knows of it.
#[derive(Clone, Debug)]
pub struct LeasedMessage {
    pub lease: Lease,
    /// The message as it was accepted. The delivery may contain a later edition.
    pub message: Message,
    pub journal: Vec<Event>,
    /// The number of failed attempts so far.
    pub attempts: u32,
    pub accepted_at: Timestamp,
    /// When the current series of attempts began: at the first take, or at the first take after Twilio was away or the
    /// message waited for anything other than its next attempt. Time in which no consumer took it is not counted: the
    /// series then seems to have begun later.
    pub tried_since: Timestamp,
    /// Whether this take accepted the message: it came from a publisher.
    pub fresh: bool,
    /// The backlog that it was called up from.
    pub called_from: Option<String>,
    /// Whether the message may have effects at Twilio that its journal lacks: one of its leases ended without a
    /// settlement.
    pub doubtful: bool,
    /// Whether an earlier holder recorded events, its lease expired, and its process is still alive without having
    /// released the lease: it may still send.
    pub overtaken: bool,
    /// Since when another ledger may have carried out messages of the campaign, if one may.
    pub distrusted_from: Option<Timestamp>,
}

/// The result of taking a delivered message.
#[derive(Clone, Debug)]
pub enum Taken {
    /// The caller holds the message.
    Leased(Box<LeasedMessage>),
    /// The message is over. The caller acknowledges the delivery without an effect.
    Over(Ending),
    /// It waits for a later time. The ledger, or the queue's own delayed copy, brings it back.
    Waits { reason: WaitReason, due: Timestamp },
    /// Another holder's lease on it is valid.
    Held { until: Timestamp },
    /// The campaign has another message to this address.
    AddressTaken { by: MessageId },
}

impl Taken {
    /// The message, if the caller holds it.
    #[must_use]
    pub fn leased(self) -> Option<LeasedMessage> {
        match self {
            Self::Leased(taken) => Some(*taken),
            _ => None,
        }
    }
}

/// Which side brings back a message that waits for a later time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wake {
    /// The ledger, when it is due: its delivery was acknowledged.
    Ledger,
    /// The queue, which holds a delayed copy. Used for short retries.
    Queue,
}

/// The result of a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    Ended {
        ending: Ending,
        /// Its effects at Twilio.
        effects: Box<Effects>,
    },
    /// It waits for a later time.
    Waits {
        reason: WaitReason,
        due: Timestamp,
        wake: Wake,
        /// The failure that is retried, and whether it used up an attempt.
        failure: Option<Box<Failure>>,
        uses_attempt: bool,
    },
    /// It waits until its agent can take it. [`crate::ledger::Ledger::recall`] brings it back, at `due` at the latest.
    Held {
        /// The agent, by the name in the message.
        agent: String,
        due: Timestamp,
    },
    /// It waits for its limits. [`crate::ledger::Ledger::call_up`] brings it back.
    Backlogged {
        /// The lanes that it waits for, in pacing's notation.
        backlog: String,
        /// When it was accepted: older messages come first.
        since: Timestamp,
        /// When its limits are expected to grant it. An estimate; nothing waits for it.
        due: Timestamp,
    },
    /// Returned unchanged: the consumer is stopping, or the campaign was halted.
    Released {
        /// Whether the delivery stays on the queue. Otherwise the ledger publishes the message again.
        queued: bool,
    },
}

/// The customer of a message, for comparisons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerRow {
    /// The place of the message in the order of acceptance.
    pub number: i64,
    pub campaign: CampaignId,
    pub id: String,
    pub address: String,
}

/// The messages of a campaign that wait for one agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldFor {
    pub campaign: CampaignId,
    /// The agent, by the name in the messages.
    pub agent: String,
    pub messages: u64,
}

/// The open messages of one sender of a campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenOfSender {
    pub sender: Address,
    /// Messages that cannot have effects at Twilio and are not in flight.
    pub unbegun: u64,
    /// All other open messages.
    pub begun: u64,
}

/// Everything that the ledger knows of one message.
#[derive(Clone, Debug, Serialize)]
pub struct MessageRecord {
    pub message: Message,
    pub accepted_at: Timestamp,
    /// Failed attempts, the last one of a dead message included.
    pub attempts: u32,
    #[serde(flatten)]
    pub standing: Standing,
    /// The failure of the last attempt that is retried.
    pub last_failure: Option<Failure>,
    pub journal: Vec<(Timestamp, Event)>,
    /// How often and why it was put off, in order.
    pub waits: Vec<WaitRow>,
    /// The row from which it was accepted. `None`: a publisher sent it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<MessageOrigin>,
}

/// One time that a message was put off.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WaitRow {
    /// When it was put off.
    pub at: Timestamp,
    pub reason: WaitReason,
    /// Not before this time. Of a message that waits for its pace, an estimate.
    pub due: Timestamp,
    /// The failure that is retried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// A stuck message that was leased to retry its undo.
#[derive(Clone, Debug)]
pub struct Stuck {
    pub lease: Lease,
    pub message: Message,
    pub journal: Vec<Event>,
    /// Which effects are left, and why.
    pub failure: Failure,
    /// How often the undo was retried before.
    pub tries: u32,
    /// As in [`LeasedMessage`].
    pub distrusted_from: Option<Timestamp>,
}

/// The result of a retried undo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UndoSettlement {
    /// No effect is left: the message ends as it would have ended without the failed undo.
    Over {
        ending: Ending,
        /// The effects that stay at Twilio by intent.
        effects: Box<Effects>,
    },
    /// Effects are left: the undo is retried when it is due.
    Left {
        failure: Box<Failure>,
        effects: Box<Effects>,
        due: Timestamp,
    },
    /// Interrupted: nothing was learned, and it does not count as a retry.
    Released { due: Timestamp },
}

/// A message of which it is unknown whether it was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnknownRow {
    pub campaign: CampaignId,
    pub id: MessageId,
    /// Masked.
    pub customer: String,
    pub at: Timestamp,
    pub reason: UnknownReason,
    /// What was sent, when, and the results of the look-ups.
    pub evidence: String,
}

/// A row of a page of an export.
#[derive(Clone, Debug)]
pub struct PageRow {
    /// The position after which the next page begins.
    pub number: i64,
    pub message: Message,
    pub accepted_at: Timestamp,
    pub attempts: u32,
    pub standing: Standing,
}
