//! The queue on RabbitMQ: quorum queues, confirms, retries through TTL queues, dead letters.
//!
//! In and out: the contract of [`super::Queue`], with RabbitMQ 3.10 and later. Always: one connection consumes and
//! another publishes; a lost one is opened again. The filter in `wire` repairs messages that would break a
//! connection. If a message breaks one nevertheless, every consumer gets its own connection from then on, and the
//! message's queue is named (`obstacles`).

mod broker;
mod obstacles;

mod consumer;
mod copy;
mod delivery;
mod management;
mod publisher;
mod refusal;
mod topology;
mod value;

pub use broker::wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use lapin::BasicProperties;
use lapin::options::{BasicGetOptions, BasicNackOptions};
use lapin::types::ShortString;

use self::broker::Broker;
use self::broker::address::BrokerAddress;
use self::broker::connection::Link;
use self::broker::errors::is_not_found;
use self::consumer::{ConsumerQueue, RabbitConsumer};
use self::management::Inspector;
use self::obstacles::Removal;
use self::obstacles::majority::ConsumedQueues;
use self::publisher::{PERSISTENT, Parcel, PublishRoute, Publisher};
use super::{
    Consumer, DeadDelivery, Depth, Inspection, Mended, NodeInUse, Obstacle, Outgoing, Queue,
    QueueError, Result,
};
use crate::clock::Clock;
use crate::message::{CampaignId, MessageId};

/// The AMQP property `app_id` of all messages that flexcast publishes, copies included.
const OURS: &str = "flexcast";

/// The longest body of flexcast's own messages, in bytes: eight times a publisher's limit, because rendered texts
/// were added. A publisher that uses flexcast's `app_id` gains only this higher limit.
const OWN_BYTES_MAX: u64 = 1024 * 1024;

/// The least number of dead letters that are read. A requeued message goes behind those that were requeued before
/// it. If the whole queue is read, the order stays the same; in a longer queue it rotates.
const READ_AHEAD: usize = 1_000;

/// A queue in a virtual host of a RabbitMQ broker.
pub struct RabbitQueue {
    shared: Arc<RabbitCore>,
}

/// The state that the queue, its consumers and their deliveries share.
struct RabbitCore {
    broker: Arc<Broker>,
    inspector: Inspector,
    consuming: Arc<Link>,
    /// The queues that this process consumes now.
    consumed: ConsumedQueues,
    /// Whether each consumer has its own connection: set after an unreadable message on the shared one.
    is_apart: AtomicBool,
    /// The number of reconnects of consumers' own connections.
    apart_reconnects: AtomicU64,
    publisher: Arc<Publisher>,
    clock: Clock,
}

impl RabbitCore {
    /// The commands with which an operator shows and removes the first messages of a queue. They use the management
    /// API, which is the same in all versions; `rabbitmqadmin` is not.
    fn removal(&self, queue: &str) -> Removal {
        let base = self.inspector.base();
        let base = base.unwrap_or_else(|| format!("http://{}:15672", self.broker.host()));
        Removal::over(&base, self.broker.vhost(), queue)
    }
}

impl RabbitQueue {
    /// The hosts of `url` (`AMQP_URL`), their ports and the virtual host, for operators: without the login.
    ///
    /// # Errors
    ///
    /// [`QueueError::Refused`], without the URL's text, which may contain a password.
    pub fn place(url: &str) -> Result<String> {
        BrokerAddress::place(url)
    }

    /// Connects to the first host of `url` (`AMQP_URL`) that answers, and declares the exchanges and queues that
    /// all campaigns share.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unreachable`], [`QueueError::LoginRefused`] or [`QueueError::Refused`] with host,
    /// port and virtual host, without the password.
    pub async fn connect(url: &str, clock: Clock) -> Result<Self> {
        Self::connect_inspected(url, None, clock).await
    }

    /// As [`RabbitQueue::connect`], with the broker's management API at `management` (`AMQP_MANAGEMENT_URL`).
    /// Requests to it are sent only by [`Queue::inspect`].
    ///
    /// # Errors
    ///
    /// As [`RabbitQueue::connect`]; also [`QueueError::Refused`] for an invalid management URL.
    pub async fn connect_inspected(
        url: &str,
        management: Option<&str>,
        clock: Clock,
    ) -> Result<Self> {
        let broker = Arc::new(Broker::parse(url, clock)?);
        let shared = RabbitCore {
            inspector: Inspector::new(&broker, management, clock)?,
            consuming: Arc::new(Link::new(Arc::clone(&broker), "consume")),
            consumed: ConsumedQueues::default(),
            is_apart: AtomicBool::new(false),
            apart_reconnects: AtomicU64::new(0),
            publisher: Arc::new(Publisher::new(Arc::clone(&broker), clock)),
            broker,
            clock,
        };
        let link = &shared.consuming;
        topology::declare_shared(link).await?;
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Inspects the broker through its management API alone, without an AMQP connection.
    ///
    /// # Errors
    ///
    /// [`QueueError::Refused`] for an invalid `AMQP_URL` or management URL. A management API that does not answer
    /// is not an error: the inspection reports it.
    pub async fn inspect_broker(
        url: &str,
        management: Option<&str>,
        clock: Clock,
    ) -> Result<Arc<Inspection>> {
        let broker = Broker::parse(url, clock)?;
        let inspector = Inspector::new(&broker, management, clock)?;
        inspector.look().await;
        Ok(inspector.last())
    }

    async fn look(&self) -> Result<()> {
        let link = &self.shared.consuming;
        topology::look(link, &link.channel().await?).await
    }
}

fn never_opened(campaign: &CampaignId) -> QueueError {
    QueueError::Refused(format!(
        "campaign {campaign} was never opened on this queue"
    ))
}

/// The id as AMQP's `message_id`, which has at most 255 bytes. An id of 120 characters can be longer and is cut;
/// the body has the whole id.
fn amqp_id(id: &MessageId) -> ShortString {
    let text = id.as_str();
    text[..text.floor_char_boundary(255)].into()
}

#[async_trait]
impl Queue for RabbitQueue {
    async fn bind(&self, ledger_id: &str) -> Result<()> {
        let link = &self.shared.consuming;
        topology::declare_ledger(link, ledger_id).await?;
        // The other rights were tested when the exchanges and queues were declared.
        self.shared.publisher.may_publish().await
    }

    async fn is_bound(&self) -> Result<bool> {
        let link = &self.shared.consuming;
        match topology::look_at_ledger(link, &link.channel().await?).await {
            Ok(()) => Ok(true),
            Err(error) if is_not_found(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn open(&self, campaign: &CampaignId) -> Result<()> {
        let link = &self.shared.consuming;
        topology::declare_campaign(link, campaign).await
    }

    async fn publish(&self, campaign: &CampaignId, batch: &[Outgoing]) -> Result<()> {
        // Published directly to the queue. Through the exchange `flexcast`, which is for publishers, a message for
        // a campaign without a queue would become an orphan without an error.
        let route = PublishRoute {
            exchange: "",
            key: topology::work_queue(campaign),
            mandatory: true,
        };
        let parcels: Vec<Parcel> = batch
            .iter()
            .map(|message| Parcel {
                body: message.body.clone(),
                properties: BasicProperties::default()
                    .with_delivery_mode(PERSISTENT)
                    .with_content_type("application/json".into())
                    .with_app_id(OURS.into())
                    .with_message_id(amqp_id(&message.id)),
            })
            .collect();
        self.shared
            .publisher
            .publish(&route, &parcels, &|| {
                !self.shared.broker.closing.is_stopped()
            })
            .await
            .map_err(|error| match error {
                error if publisher::is_unrouted(&error) => never_opened(campaign),
                other => other,
            })
    }

    async fn consume(&self, campaign: &CampaignId, prefetch: u16) -> Result<Box<dyn Consumer>> {
        let shared = Arc::clone(&self.shared);
        let source = ConsumerQueue::Campaign(campaign.clone());
        match RabbitConsumer::start(shared, source, prefetch).await {
            Ok(consumer) => Ok(Box::new(consumer)),
            Err(error) if is_not_found(&error) => Err(never_opened(campaign)),
            Err(error) => Err(error),
        }
    }

    async fn consume_orphans(&self, prefetch: u16) -> Result<Option<Box<dyn Consumer>>> {
        let shared = Arc::clone(&self.shared);
        let consumer = RabbitConsumer::start(shared, ConsumerQueue::Orphans, prefetch).await?;
        Ok(Some(Box::new(consumer)))
    }

    async fn depth(&self, campaign: &CampaignId) -> Result<Depth> {
        let link = &self.shared.consuming;
        let name = topology::work_queue(campaign);
        match topology::count(link, &link.channel().await?, &name).await {
            // AMQP counts only ready messages.
            Ok(counted) => {
                let (consumed, broker) = (&self.shared.consumed, &self.shared.broker);
                Ok(Depth {
                    ready: obstacles::majority::ready_if_answered(
                        counted,
                        &name,
                        consumed,
                        &broker.obstacles,
                    )?,
                    unsettled: 0,
                })
            }
            Err(error) if is_not_found(&error) => Err(never_opened(campaign)),
            Err(error) => Err(error),
        }
    }

    async fn delayed(&self) -> Result<u64> {
        let link = &self.shared.consuming;
        let channel = link.channel().await?;
        let mut delayed = 0;
        for name in topology::retry_queues() {
            delayed += topology::ready(link, &channel, name).await?;
        }
        Ok(delayed)
    }

    async fn dead_letter_count(&self) -> Result<u64> {
        let link = &self.shared.consuming;
        topology::ready(link, &link.channel().await?, topology::DEAD).await
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadDelivery>> {
        let link = &self.shared.consuming;
        let channel = link.channel().await?;
        let mut found = Vec::new();
        let mut last = None;
        for _ in 0..limit.max(READ_AHEAD) {
            let getting = channel.basic_get(topology::DEAD.into(), BasicGetOptions::default());
            let Some(message) = link.ask(getting).await? else {
                break;
            };
            last = Some(message.delivery.acker.clone());
            if found.len() < limit {
                found.push(delivery::dead_delivery(message.delivery));
            }
        }
        if let Some(last) = last {
            let all = BasicNackOptions {
                multiple: true,
                requeue: true,
            };
            link.ask(last.nack(all)).await?;
        }
        Ok(found)
    }

    fn reconnects(&self) -> u64 {
        let apart = self.shared.apart_reconnects.load(Ordering::Relaxed);
        self.shared.consuming.reconnects() + self.shared.publisher.reconnects() + apart
    }

    fn mended(&self) -> Mended {
        self.shared.broker.mended()
    }

    fn obstacles(&self) -> Vec<Obstacle> {
        self.shared.broker.obstacles.now()
    }

    fn nodes(&self) -> Vec<NodeInUse> {
        self.shared.broker.nodes()
    }

    async fn probe(&self) {
        obstacles::majority::probe(&self.shared.publisher, &self.shared.broker).await;
    }

    async fn inspect(&self) {
        self.shared.inspector.look().await;
    }

    fn inspection(&self) -> Option<Arc<Inspection>> {
        Some(self.shared.inspector.last())
    }

    async fn is_ready(&self) -> bool {
        !self.shared.broker.obstacles.are_messages_stopped() && self.look().await.is_ok()
    }

    async fn close(&self) {
        self.shared.broker.closing.stop();
        self.shared.publisher.close().await;
        self.shared.consuming.hang_up().await;
    }
}
