//! Where messages wait: the contract that `rabbitmq` and `embedded` keep.
//!
//! In: bodies of messages under a campaign's key. Out: deliveries, at least once each. Always: what
//! was published is durable when `publish` returns; a delivery that is not settled comes again.

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

/// A queue's failure, by what its user can do about it.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The broker or file cannot be reached or used now.
    #[error("the queue is not reachable: {0}")]
    Unreachable(String),
    /// The connection was lost because something on it could not be read: it lies on some queue.
    #[error("the connection to the queue was lost: {0}")]
    Unreadable(String),
    /// Nobody knows whether the broker took it: publish again, consumers deduplicate.
    #[error("the queue did not confirm: {0}")]
    InDoubt(String),
    /// The broker does not know our user or password: other credentials, not another try.
    #[error("the broker refuses the login: {0}")]
    LoginRefused(String),
    /// The broker belongs to another ledger: two ledgers on one broker would double.
    #[error("this broker belongs to another ledger ({theirs}); ours is {ours}")]
    BoundElsewhere { ours: String, theirs: String },
    /// The broker refuses what we ask: other arguments, missing rights.
    #[error("the queue refuses: {0}")]
    Refused(String),
}

pub type Result<T> = std::result::Result<T, QueueError>;

/// What goes onto a queue.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The AMQP `message_id`.
    pub id: MessageId,
    /// The JSON of a [`crate::message::Message`].
    pub body: Bytes,
}

/// Why a delivery becomes a dead letter: the `flexcast-*` headers.
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

/// A dead letter as it lies in the dead-letter queue.
#[derive(Clone, Debug)]
pub struct DeadDelivery {
    pub campaign: String,
    pub body: Bytes,
    pub letter: DeadLetter,
}

/// Whether a settlement reached the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The queue has let go of the delivery.
    Yes,
    /// The delivery was no longer ours to settle (the connection was lost): it comes again.
    Stale,
}

/// Why a delivery is refused, whatever its body says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// The body has so many bytes where `max` are allowed; only its beginning is there.
    Oversized { bytes: u64, max: u64 },
    /// The key it was published under is no text: not UTF-8.
    UnreadableKey,
    /// Its publisher has set an `expiration`: the broker drops such messages before they are seen.
    Expires,
}

/// How many deliveries could only be read after they were mended, by what was mended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mended {
    /// Text in properties or in the names of headers that was not UTF-8.
    pub text: u64,
    /// Keys that were not UTF-8.
    pub key: u64,
    /// Headers that were nested too deeply.
    pub nesting: u64,
    /// Bodies that were cut.
    pub body: u64,
}

/// Whether an obstacle is one message, or the broker itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObstacleKind {
    /// A message lies on the queue that can neither be carried out nor be moved out of the way.
    #[default]
    Message,
    /// The broker does not let the queue be used: a right is missing, or it is short of memory or disk.
    Broker,
}

/// What keeps the messages of a queue from being carried out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Obstacle {
    #[serde(default)]
    pub kind: ObstacleKind,
    /// The queue; all of them: `flexcast.*`.
    pub queue: String,
    /// What is wrong, in a sentence.
    pub why: String,
    /// The command that shows it: of a message, that shows the queue's first ones and leaves them there.
    #[serde(default)]
    pub look: String,
    /// The command that ends it: of a message, that takes the first one away, and shows it.
    pub remove: String,
}

/// A node of a broker, and how much it is used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NodeInUse {
    /// Its host and port, as the broker's address names them.
    pub node: String,
    /// Connections to it that are open now.
    pub connections: u64,
}

/// How much a campaign's queue holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Ready to be delivered.
    pub ready: u64,
    /// Delivered and not settled, where the queue can tell.
    pub unsettled: u64,
}

impl Depth {
    /// All that the queue holds.
    #[must_use]
    pub fn total(self) -> u64 {
        self.ready + self.unsettled
    }
}

/// One message handed to us, to be settled exactly once. Dropped unsettled, it comes again; where a failure
/// repeats, ever later.
#[async_trait]
pub trait Delivery: Send + Sync {
    /// The body, whole.
    fn body(&self) -> &Bytes;

    /// Whether the queue has delivered it before.
    fn redelivered(&self) -> bool;

    /// Whether another program has put it on the queue.
    fn is_publishers(&self) -> bool {
        false
    }

    /// The key it was published under.
    fn key(&self) -> &str;

    /// What is wrong with it beside its body.
    fn defect(&self) -> Option<Defect> {
        None
    }

    /// Lets the queue forget it.
    async fn ack(self: Box<Self>) -> Result<Settled>;

    /// Has it come again after `delay`, at most about a minute: longer waits are the ledger's.
    /// The delay may be rounded up to the queue's next level.
    async fn retry_later(self: Box<Self>, delay: Duration) -> Result<Settled>;

    /// Moves it to the dead-letter queue, body and headers kept as far as they are harmless there, the reason
    /// added.
    async fn dead_letter(self: Box<Self>, letter: DeadLetter) -> Result<Settled>;

    /// As [`Delivery::dead_letter`], before anything was done for the message: its publisher, if it has
    /// one, is told the reason and the id, or the property `message_id` in its place.
    ///
    /// The dead letter is durable before the publisher is told, and waits for nobody who listens. A crash
    /// between the two tells it once more; a broker that does not take it in time loses it.
    async fn refuse(self: Box<Self>, letter: DeadLetter, id: Option<String>) -> Result<Settled> {
        drop(id);
        self.dead_letter(letter).await
    }

    /// Gives it back untouched, for the next consumer: what a drain does with what it had not begun.
    async fn release(self: Box<Self>) -> Result<Settled>;
}

/// A campaign's deliveries, as long as it is consumed.
#[async_trait]
pub trait Consumer: Send {
    /// The next delivery, waited for. `None` when the queue was deleted or the consumer stopped.
    /// Reconnecting after a lost connection happens inside. A caller may drop the future at any time: no delivery is
    /// lost by that, and a connection that is being made is made on by the next call.
    async fn next(&mut self) -> Option<Box<dyn Delivery>>;

    /// Takes no more deliveries and gives back what was fetched and not handed out. What was handed
    /// out can still be settled.
    async fn stop(self: Box<Self>);
}

/// Where messages wait. Every method may be called from many tasks at once.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Ties the queue to a ledger, or finds it tied to that ledger already.
    ///
    /// # Errors
    ///
    /// [`QueueError::BoundElsewhere`] when it is tied to another one.
    async fn bind(&self, ledger_id: &str) -> Result<()>;

    /// Whether the queue is tied to a ledger. One that was and is not any more has lost everything.
    async fn is_bound(&self) -> Result<bool>;

    /// Makes what a campaign needs. Idempotent.
    async fn open(&self, campaign: &CampaignId) -> Result<()>;

    /// Puts messages on a campaign's queue and returns when all of them are durable there.
    ///
    /// # Errors
    ///
    /// After an error any part of the batch may be on the queue: publish it again, whoever consumes
    /// deduplicates by the ledger.
    async fn publish(&self, campaign: &CampaignId, batch: &[Outgoing]) -> Result<()>;

    /// Consumes a campaign's queue with at most `prefetch` deliveries unsettled.
    async fn consume(&self, campaign: &CampaignId, prefetch: u16) -> Result<Box<dyn Consumer>>;

    /// Consumes what was published under a key that is no campaign's: with [`Delivery::retry_later`] it
    /// goes to the campaign of its key, if there is one by then. `None` for a queue that nobody else
    /// publishes to.
    async fn consume_orphans(&self, prefetch: u16) -> Result<Option<Box<dyn Consumer>>> {
        let _ = prefetch;
        Ok(None)
    }

    /// How much a campaign's queue holds now.
    async fn depth(&self, campaign: &CampaignId) -> Result<Depth>;

    /// How many messages of all campaigns wait for [`Delivery::retry_later`]'s delay to end.
    async fn delayed(&self) -> Result<u64>;

    /// How many dead letters there are. Cheap: what `/metrics` asks.
    async fn dead_letter_count(&self) -> Result<u64>;

    /// The first `limit` dead letters, oldest first, left where they are.
    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadDelivery>>;

    /// How often a connection was lost and made again since this queue was opened.
    fn reconnects(&self) -> u64 {
        0
    }

    /// How many deliveries were mended since this queue was opened.
    fn mended(&self) -> Mended {
        Mended::default()
    }

    /// What lies in the way now.
    fn obstacles(&self) -> Vec<Obstacle> {
        Vec::new()
    }

    /// The nodes of the broker that are known, sorted, and how many connections this process has to each. Empty for a
    /// queue without a broker.
    fn nodes(&self) -> Vec<NodeInUse> {
        Vec::new()
    }

    /// Finds out whether the queue still takes messages, which [`Queue::obstacles`] then shows. Returns once it knows, and
    /// waits for the end of an alarm. Does nothing for a queue without a broker.
    async fn probe(&self) {}

    /// Looks at how the broker is set up and what its queues hold, and keeps what it found. Returns within
    /// seconds. Does nothing for a queue without a broker.
    async fn inspect(&self) {}

    /// What [`Queue::inspect`] has found. `None` for a queue without a broker.
    ///
    /// Its counts lag (see [`COUNTS_LAG`]), which is why [`Queue::depth`] does not use them: a message that was
    /// settled a moment ago would count as unsettled still, and hide one that is missing.
    fn inspection(&self) -> Option<Arc<Inspection>> {
        None
    }

    /// Whether the queue answers now: what `/readyz` asks.
    async fn is_ready(&self) -> bool;

    /// Lets go of connections and files. Afterwards nothing else may be called.
    async fn close(&self);
}

/// How much a campaign's queue holds now. A queue that was never made holds nothing.
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

/// The reason with this name: how it is read back from a row or a header.
fn reason_named(name: &str) -> Option<DeadReason> {
    let mut all = DeadReason::ALL.iter().copied();
    all.find(|reason| reason.as_str() == name)
}

/// The step with this name: how it is read back from a row or a header.
fn step_named(name: &str) -> Option<StepName> {
    let mut all = StepName::ALL.iter().copied();
    all.find(|step| step.as_str() == name)
}
