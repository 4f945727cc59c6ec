//! The queue of messages: the contract of the implementations `rabbitmq` and `embedded`.
//!
//! In: bodies of messages under a campaign's key. Out: deliveries, at least one for each message. Always: a
//! published message is durable when `publish` returns; an unsettled delivery is redelivered.

mod backoff;
pub mod embedded;
mod inspection;
pub mod rabbitmq;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use backoff::Backoff;
pub use inspection::{COUNTS_LAG, Finding, FindingKind, Inspection, QueueCounts, Said};

use crate::message::{CampaignId, DeadReason, MessageId, StepName};

/// An error of a queue, classified by the reaction that it calls for.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The broker or file is unreachable or unusable now.
    #[error("the queue is not reachable: {0}")]
    Unreachable(String),
    /// The client lost its connection on a message that it could not read; the message is still on some queue.
    #[error("the connection to the queue was lost: {0}")]
    Unreadable(String),
    /// The broker's confirm is missing: the message may be on the queue. Publish it again; consumers deduplicate.
    #[error("the queue did not confirm: {0}")]
    InDoubt(String),
    /// The broker refuses the user name or password. A retry needs other credentials.
    #[error("the broker refuses the login: {0}")]
    LoginRefused(String),
    /// The broker is bound to another ledger. Two ledgers on one broker would send messages twice.
    #[error("this broker belongs to another ledger ({theirs}); ours is {ours}")]
    BoundElsewhere { ours: String, theirs: String },
    /// The broker refuses the operation: different queue arguments, or missing rights.
    #[error("the queue refuses: {0}")]
    Refused(String),
}

pub type Result<T> = std::result::Result<T, QueueError>;

/// A message to publish.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The AMQP `message_id`.
    pub id: MessageId,
    /// The JSON of a [`crate::message::Message`].
    pub body: Bytes,
}

/// The reason for a dead letter: its `flexcast-*` headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// `flexcast-reason`
    pub reason: DeadReason,
    /// `flexcast-step`
    pub step: Option<StepName>,
    /// `flexcast-code`: Twilio's error code.
    pub code: Option<u32>,
    /// `flexcast-attempt`, counted from 1; 0 when there was none.
    pub attempt: u32,
    /// `flexcast-detail`: one sentence for an operator.
    pub detail: String,
}

/// A dead letter in the dead-letter queue.
#[derive(Clone, Debug)]
pub struct DeadDelivery {
    pub campaign: String,
    pub body: Bytes,
    pub letter: DeadLetter,
}

/// The result of a settlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The queue has settled the delivery.
    Yes,
    /// The delivery no longer belonged to this consumer (the connection was lost): it is redelivered.
    Stale,
}

/// A defect for which a delivery is refused, independent of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// The body has `bytes` bytes and exceeds the limit `max`; only its beginning was kept.
    Oversized { bytes: u64, max: u64 },
    /// Its routing key is not UTF-8.
    UnreadableKey,
    /// Its publisher has set an `expiration`: the broker drops such messages before they are consumed.
    Expires,
}

/// The number of deliveries that had to be repaired before they could be read, by repair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mended {
    /// Text in properties or in header names was not UTF-8.
    pub text: u64,
    /// The routing key was not UTF-8.
    pub key: u64,
    /// Headers were nested too deeply.
    pub nesting: u64,
    /// The body was too long and was truncated.
    pub body: u64,
}

/// The kind of an obstacle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObstacleKind {
    /// A message on the queue can be neither processed nor moved away.
    #[default]
    Message,
    /// The broker prevents the use of the queue: a right is missing, or the broker is short of memory or disk.
    Broker,
}

/// An obstacle that blocks the messages of a queue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Obstacle {
    #[serde(default)]
    pub kind: ObstacleKind,
    /// The name of the queue; `flexcast.*` stands for all queues.
    pub queue: String,
    /// The problem, in one sentence.
    pub why: String,
    /// The command that shows the obstacle. For a message, it shows the first messages of the queue and leaves them
    /// there.
    #[serde(default)]
    pub look: String,
    /// The command that removes the obstacle. For a message, it removes and shows the first message of the queue.
    pub remove: String,
}

/// A node of the broker with this process's connections to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NodeInUse {
    /// Host and port, as in the broker's address.
    pub node: String,
    /// Connections that are open now.
    pub connections: u64,
}

/// The number of messages on a campaign's queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Messages that are ready for delivery.
    pub ready: u64,
    /// Messages that are delivered and not settled. 0 where the queue cannot count them.
    pub unsettled: u64,
}

impl Depth {
    /// The sum of both.
    #[must_use]
    pub fn total(self) -> u64 {
        self.ready + self.unsettled
    }
}

/// One message that was delivered to this process, to be settled exactly once. A delivery that is dropped unsettled
/// is redelivered; if failures repeat, with growing delays.
#[async_trait]
pub trait Delivery: Send + Sync {
    /// The complete body.
    fn body(&self) -> &Bytes;

    /// Whether the queue has delivered the message before.
    fn redelivered(&self) -> bool;

    /// Whether another program has published the message.
    fn is_publishers(&self) -> bool {
        false
    }

    /// The routing key under which it was published.
    fn key(&self) -> &str;

    /// A defect outside its body.
    fn defect(&self) -> Option<Defect> {
        None
    }

    /// Acknowledges the delivery: the queue deletes the message.
    async fn ack(self: Box<Self>) -> Result<Settled>;

    /// Returns the message to the queue for redelivery after `delay`, which is at most about a minute; the ledger
    /// keeps longer waits. The queue may round the delay up to its next level.
    async fn retry_later(self: Box<Self>, delay: Duration) -> Result<Settled>;

    /// Moves the message to the dead-letter queue with its body, with those headers that are harmless there, and
    /// with the reason.
    async fn dead_letter(self: Box<Self>, letter: DeadLetter) -> Result<Settled>;

    /// As [`Delivery::dead_letter`], for a message that was not processed at all. A publisher of another program
    /// also gets a refusal with the reason and the message's id, or the property `message_id` in its place.
    ///
    /// The dead letter is durable before the refusal is published, and does not depend on a listener. A crash
    /// between the two repeats the refusal; a broker that does not confirm it in time loses it.
    async fn refuse(self: Box<Self>, letter: DeadLetter, id: Option<String>) -> Result<Settled> {
        drop(id);
        self.dead_letter(letter).await
    }

    /// Returns the delivery unprocessed, for the next consumer: a drain does this with deliveries that it has not
    /// begun.
    async fn release(self: Box<Self>) -> Result<Settled>;
}

/// The stream of a campaign's deliveries.
#[async_trait]
pub trait Consumer: Send {
    /// Waits for the next delivery. `None` when the queue was deleted or the consumer was stopped. It reconnects by
    /// itself after a lost connection. A caller may drop the future at any time: no delivery is lost, and the next
    /// call continues a reconnect in progress.
    async fn next(&mut self) -> Option<Box<dyn Delivery>>;

    /// Stops consuming and returns all deliveries that were fetched and not handed out. Deliveries that were handed
    /// out can still be settled.
    async fn stop(self: Box<Self>);
}

/// A queue of messages. All methods may be called concurrently.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Binds the queue to a ledger. Succeeds when it is bound to this ledger already.
    ///
    /// # Errors
    ///
    /// [`QueueError::BoundElsewhere`] when the queue is bound to another ledger.
    async fn bind(&self, ledger_id: &str) -> Result<()>;

    /// Whether the queue is bound to a ledger. A queue that was bound and is not bound any more has lost all its
    /// messages.
    async fn is_bound(&self) -> Result<bool>;

    /// Creates the queues that a campaign needs. Idempotent.
    async fn open(&self, campaign: &CampaignId) -> Result<()>;

    /// Publishes messages to a campaign's queue and returns when all of them are durable there.
    ///
    /// # Errors
    ///
    /// After an error any part of the batch may be on the queue. Publish the batch again: consumers deduplicate by
    /// the ledger.
    async fn publish(&self, campaign: &CampaignId, batch: &[Outgoing]) -> Result<()>;

    /// Consumes a campaign's queue with at most `prefetch` unsettled deliveries.
    async fn consume(&self, campaign: &CampaignId, prefetch: u16) -> Result<Box<dyn Consumer>>;

    /// Consumes messages whose routing key is no campaign's id. [`Delivery::retry_later`] sends such a message to
    /// the campaign of its key, if that campaign exists by then. `None` for a queue to which no other program
    /// publishes.
    async fn consume_orphans(&self, prefetch: u16) -> Result<Option<Box<dyn Consumer>>> {
        let _ = prefetch;
        Ok(None)
    }

    /// The number of messages on a campaign's queue now.
    async fn depth(&self, campaign: &CampaignId) -> Result<Depth>;

    /// The number of messages, of all campaigns, in the delay of a [`Delivery::retry_later`].
    async fn delayed(&self) -> Result<u64>;

    /// The number of dead letters. Cheap: `/metrics` calls it.
    async fn dead_letter_count(&self) -> Result<u64>;

    /// The first `limit` dead letters, oldest first. They stay on their queue.
    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadDelivery>>;

    /// The number of reconnects since this queue was opened.
    fn reconnects(&self) -> u64 {
        0
    }

    /// The number of repaired deliveries since this queue was opened.
    fn mended(&self) -> Mended {
        Mended::default()
    }

    /// The current obstacles.
    fn obstacles(&self) -> Vec<Obstacle> {
        Vec::new()
    }

    /// The known nodes of the broker, sorted, with this process's connections to each. Empty for a queue without a
    /// broker.
    fn nodes(&self) -> Vec<NodeInUse> {
        Vec::new()
    }

    /// Tests whether the queue still accepts messages; [`Queue::obstacles`] then shows the result. Returns when the
    /// result is known; during an alarm it waits for the alarm's end. Does nothing for a queue without a broker.
    async fn probe(&self) {}

    /// Reads the settings of the broker and the counts of its queues, and stores the result for
    /// [`Queue::inspection`]. Returns within seconds. Does nothing for a queue without a broker.
    async fn inspect(&self) {}

    /// The result of [`Queue::inspect`]. `None` for a queue without a broker.
    ///
    /// Its counts lag (see [`COUNTS_LAG`]), so [`Queue::depth`] does not use them: a message that was settled a
    /// moment ago would still count as unsettled, and would hide a missing message.
    fn inspection(&self) -> Option<Arc<Inspection>> {
        None
    }

    /// Whether the queue answers now; `/readyz` calls it.
    async fn is_ready(&self) -> bool;

    /// Closes connections and files. No other method may be called afterwards.
    async fn close(&self);
}

/// The number of messages on a campaign's queue now; zero for a queue that does not exist.
///
/// # Errors
///
/// [`QueueError`] when the queue does not answer.
pub async fn depth_of(queue: &dyn Queue, campaign: &CampaignId) -> Result<Depth> {
    match queue.depth(campaign).await {
        Err(QueueError::Refused(_)) => Ok(Depth::default()),
        depth => depth,
    }
}

/// The reason with this name, for values in rows and headers.
fn reason_named(name: &str) -> Option<DeadReason> {
    let mut all = DeadReason::ALL.iter().copied();
    all.find(|reason| reason.as_str() == name)
}

/// The step with this name, for values in rows and headers.
fn step_named(name: &str) -> Option<StepName> {
    let mut all = StepName::ALL.iter().copied();
    all.find(|step| step.as_str() == name)
}
