//! Publishes messages and waits for the broker's confirms.
//!
//! In: a route and messages for it. Out: success once the broker has confirmed all of them. Always: persistent,
//! mandatory, confirmed. Success is a confirm without a returned message: RabbitMQ also confirms messages that it
//! could not route.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::try_join_all;
use jiff::Timestamp;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, PublisherConfirm};
use tokio::sync::Mutex;

use super::broker::Broker;
use super::broker::connection::{Link, pauses};
use super::broker::errors::explain;
use crate::clock::Clock;
use crate::queue::{QueueError, Result};

/// The most unconfirmed messages on a channel. Measured: a larger window is not faster, and one message at a time
/// is twenty times slower.
const WINDOW: usize = 1_000;

/// The number of messages that are passed to lapin together. A publish returns once its bytes are written; one at a
/// time, each costs a system call and two thread switches.
const TOGETHER: usize = 64;

/// The time limit for one confirm. A quorum queue without a majority never confirms.
const CONFIRM_WAIT: Duration = Duration::from_secs(10);

/// The number of attempts before a publish fails. With the pauses between them they take well over the five to
/// seven seconds of a broker's restart.
const TRIES: usize = 8;

/// The name of a queue that does not exist: the broker returns messages that are published to it.
const NO_QUEUE: &str = "flexcast.nobody";

/// The time limit for the test of the rights to publish.
const RIGHTS_WAIT: Duration = Duration::from_secs(5);

/// The most open channels, far below the 2047 that a broker allows on a connection.
const CHANNELS_MAX: usize = 500;

/// The value of a persistent message's `delivery-mode` (AMQP 0-9-1).
pub(super) const PERSISTENT: u8 = 2;

/// The destination of messages.
#[derive(Clone, Debug)]
pub(super) struct PublishRoute {
    pub(super) exchange: &'static str,
    pub(super) key: String,
    /// Whether a message without a queue is an error.
    pub(super) mandatory: bool,
}

impl PublishRoute {
    /// The name of the destination. Each destination has its own channel, because lapin attaches a returned message
    /// to whichever confirm comes next on its channel.
    fn destination(&self) -> &str {
        if self.exchange.is_empty() {
            &self.key
        } else {
            self.exchange
        }
    }
}

/// One message to publish.
pub(super) struct Parcel {
    pub(super) body: Bytes,
    pub(super) properties: BasicProperties,
}

/// Whether the error is that no queue received the message.
pub(super) fn is_unrouted(error: &QueueError) -> bool {
    matches!(error, QueueError::Refused(why) if why.starts_with(UNROUTED))
}

/// The beginning of that error's text.
const UNROUTED: &str = "there is no queue";

/// Publishes on its own connection.
pub(super) struct Publisher {
    link: Link,
    clock: Clock,
    channels: Mutex<HashMap<String, Channel>>,
}

impl Publisher {
    pub(super) fn new(broker: Arc<Broker>, clock: Clock) -> Self {
        Self {
            link: Link::new(broker, "publish"),
            clock,
            channels: Mutex::default(),
        }
    }

    /// The clock of its waits.
    pub(super) fn clock(&self) -> Clock {
        self.clock
    }

    /// The current time.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The longest frame that may be sent, in bytes.
    pub(super) fn frame_max(&self) -> u32 {
        self.link.frame_max()
    }

    /// The number of reconnects.
    pub(super) fn reconnects(&self) -> u64 {
        self.link.reconnects()
    }

    /// Tests whether this user may publish to queues by name. A broker that does not answer in time is not an error
    /// here: the next publish reports it.
    ///
    /// # Errors
    ///
    /// [`QueueError::Refused`] when the right is missing.
    pub(super) async fn may_publish(&self) -> Result<()> {
        let route = PublishRoute {
            exchange: "",
            key: NO_QUEUE.to_owned(),
            mandatory: true,
        };
        let parcel = Parcel {
            body: Bytes::new(),
            properties: BasicProperties::default(),
        };
        let asking = self.publish(&route, std::slice::from_ref(&parcel), &|| false);
        match self.clock.within(RIGHTS_WAIT, asking).await {
            Some(Err(error @ QueueError::Refused(_))) if !is_unrouted(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Publishes one message once, and returns whether the broker confirmed it. For a queue without a leader the
    /// broker sends a negative confirm or none.
    ///
    /// # Errors
    ///
    /// The errors of the connection.
    pub(super) async fn is_taken(&self, route: &PublishRoute, parcel: Parcel) -> Result<bool> {
        let mut open = VecDeque::from([0]);
        let tried = self.try_once(route, &[parcel], &mut open).await;
        match tried {
            Ok(()) => Ok(open.is_empty()),
            Err(QueueError::InDoubt(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Publishes all of `parcels` and returns when the broker has confirmed them. Messages that are unconfirmed,
    /// negatively confirmed or lost with the connection are published again while `is_wanted` returns true;
    /// consumers deduplicate.
    ///
    /// # Errors
    ///
    /// [`QueueError::Refused`] when no queue receives them; otherwise the error of the last attempt.
    pub(super) async fn publish(
        &self,
        route: &PublishRoute,
        parcels: &[Parcel],
        is_wanted: &(dyn Fn() -> bool + Sync),
    ) -> Result<()> {
        let mut open: VecDeque<usize> = (0..parcels.len()).collect();
        let mut pauses = pauses();
        let mut tries = 1..TRIES;
        loop {
            let failed = match self.try_once(route, parcels, &mut open).await {
                Ok(()) if open.is_empty() => return Ok(()),
                Ok(()) => QueueError::Unreachable(format!(
                    "the broker does not take messages for {} now",
                    route.destination()
                )),
                Err(refused @ (QueueError::Refused(_) | QueueError::LoginRefused(_))) => {
                    return Err(refused);
                }
                Err(failed) => failed,
            };
            if tries.next().is_none() || !is_wanted() {
                return Err(failed);
            }
            let pause = pauses.pause();
            tracing::warn!(error = %failed, left = open.len(), "publishing again");
            self.clock.sleep(pause).await;
        }
    }

    /// Publishes the messages in `open`; unconfirmed ones stay there.
    async fn try_once(
        &self,
        route: &PublishRoute,
        parcels: &[Parcel],
        open: &mut VecDeque<usize>,
    ) -> Result<()> {
        let channel = self.channel(route).await?;
        let mut nacked = Vec::new();
        let tried = self
            .fill_window(&channel, route, parcels, open, &mut nacked)
            .await;
        open.extend(nacked);
        if tried.is_err() {
            self.channels.lock().await.remove(route.destination());
        }
        if matches!(tried, Err(QueueError::InDoubt(_))) {
            // No confirm in time: the connection may be dead without an error.
            self.channels.lock().await.clear();
            self.link.hang_up().await;
        }
        tried
    }

    async fn fill_window(
        &self,
        channel: &Channel,
        route: &PublishRoute,
        parcels: &[Parcel],
        open: &mut VecDeque<usize>,
        nacked: &mut Vec<usize>,
    ) -> Result<()> {
        let mut window: VecDeque<PublisherConfirm> = VecDeque::new();
        // The first `sent` entries of `open` are in the window.
        let mut sent = 0;
        while sent < open.len() {
            let end = open.len().min(sent + TOGETHER);
            let options = BasicPublishOptions {
                mandatory: route.mandatory,
                ..Default::default()
            };
            let writing = open.range(sent..end).map(|at| {
                let parcel = &parcels[*at];
                let (exchange, key) = (route.exchange.into(), route.key.as_str().into());
                let properties = parcel.properties.clone();
                channel.basic_publish(exchange, key, options, &parcel.body, properties)
            });
            let written = self.in_time(try_join_all(writing)).await?;
            window.extend(written);
            sent = end;
            while window.len() > WINDOW - TOGETHER {
                self.confirm_oldest(&mut window, open, nacked, route)
                    .await?;
                sent -= 1;
            }
        }
        while !window.is_empty() {
            self.confirm_oldest(&mut window, open, nacked, route)
                .await?;
        }
        Ok(())
    }

    async fn confirm_oldest(
        &self,
        window: &mut VecDeque<PublisherConfirm>,
        open: &mut VecDeque<usize>,
        nacked: &mut Vec<usize>,
        route: &PublishRoute,
    ) -> Result<()> {
        let Some(oldest) = window.pop_front() else {
            return Ok(());
        };
        match self.in_time(oldest).await? {
            Confirmation::Ack(None) => drop(open.pop_front()),
            Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_)) => {
                let gone = route.destination();
                return Err(QueueError::Refused(format!("{UNROUTED} {gone}")));
            }
            Confirmation::Nack(None) => nacked.extend(open.pop_front()),
            Confirmation::NotRequested => {
                return Err(QueueError::InDoubt(
                    "the channel does not confirm".to_owned(),
                ));
            }
        }
        Ok(())
    }

    async fn in_time<T>(&self, work: impl Future<Output = lapin::Result<T>> + Send) -> Result<T> {
        match self.link.patiently(CONFIRM_WAIT, work).await {
            Some(done) => done.map_err(|error| explain(&error)),
            None => Err(QueueError::InDoubt(format!(
                "no confirm within {CONFIRM_WAIT:?}; a queue confirms nothing while most of its members are not \
                 running (rabbitmq-diagnostics check_if_node_is_quorum_critical)"
            ))),
        }
    }

    async fn channel(&self, route: &PublishRoute) -> Result<Channel> {
        let mut channels = self.channels.lock().await;
        if let Some(channel) = channels.get(route.destination())
            && channel.status().connected()
        {
            return Ok(channel.clone());
        }
        if channels.len() >= CHANNELS_MAX {
            channels.clear();
        }
        let channel = self.link.channel().await?;
        let options = ConfirmSelectOptions::default();
        self.link.ask(channel.confirm_select(options)).await?;
        channels.insert(route.destination().to_owned(), channel.clone());
        Ok(channel)
    }

    /// Closes the connection.
    pub(super) async fn close(&self) {
        self.channels.lock().await.clear();
        self.link.hang_up().await;
    }
}
