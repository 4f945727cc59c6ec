//! The consumer of one queue at the broker, over any number of sessions.
//!
//! In: deliveries of a session, which is one channel with one consumer. Out: the same, without deliveries of lost
//! sessions. Always: a new session follows, unless this process ended the session or the queue was deleted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::future::BoxFuture;
use lapin::Channel;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;

use super::RabbitCore;
use super::broker::connection::{Link, pauses};
use super::broker::errors::{explain, is_not_found};
use super::broker::wire::Notes;
use super::delivery::{DeliveryOrigin, REQUEUE, RabbitDelivery};
use super::obstacles::ObstacleCause;
use super::obstacles::majority::ConsumedQueue;
use super::obstacles::remedy;
use super::topology;
use crate::message::CampaignId;
use crate::queue::{Backoff, Consumer, Delivery, QueueError, Result};

/// The highest prefetch of a quorum queue (RabbitMQ's documentation of quorum queues).
const PREFETCH_MAX: u16 = 2_000;

/// The wait for deliveries that are still in transit to a cancelled consumer.
const DRAIN_WAIT: Duration = Duration::from_secs(2);

/// The queue that is consumed.
pub(super) enum ConsumerQueue {
    Campaign(CampaignId),
    Orphans,
}

impl ConsumerQueue {
    fn queue(&self) -> String {
        match self {
            Self::Campaign(campaign) => topology::work_queue(campaign),
            Self::Orphans => topology::ORPHAN.to_owned(),
        }
    }
}

pub(super) struct RabbitConsumer {
    shared: Arc<RabbitCore>,
    state: State,
}

enum State {
    Live(Box<(Sessions, ConsumerSession)>),
    /// A session was lost, and the next one is being opened. The caller may drop its wait for a delivery at any
    /// time; the progress made so far is kept for its next call.
    Recovering(BoxFuture<'static, Option<Box<(Sessions, ConsumerSession)>>>),
    /// The queue was deleted.
    Ended,
}

/// Opens the sessions of a consumer, one after the other.
struct Sessions {
    shared: Arc<RabbitCore>,
    source: ConsumerQueue,
    prefetch: u16,
    origin: Arc<DeliveryOrigin>,
    /// This consumer's own connection, used once the shared one is unsafe.
    own: Option<Arc<Link>>,
    /// The broker ended the last session without an error: the queue may have been deleted.
    was_cancelled: bool,
    /// Starts again at the first pause after a settled delivery. A connection that opens and is lost again is not a
    /// success.
    pauses: Backoff,
}

/// One channel with its consumer.
struct ConsumerSession {
    channel: Channel,
    stream: lapin::Consumer,
    notes: Arc<Notes>,
    _consumed: ConsumedQueue,
}

/// A channel with an unconfirmed consumer. The broker may have created the consumer although its reply was lost or
/// not awaited. lapin would keep consumer and channel as long as the connection lives, and nothing would settle the
/// deliveries. So the channel is closed when the reply does not arrive.
struct PendingChannel(Option<Channel>);

impl Drop for PendingChannel {
    fn drop(&mut self) {
        let Some(channel) = self.0.take() else {
            return;
        };
        // Without a runtime the process is ending, and the connection with it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let _ = channel.close(200, "OK".into()).await;
            });
        }
    }
}

impl RabbitConsumer {
    /// Starts to consume.
    pub(super) async fn start(
        shared: Arc<RabbitCore>,
        source: ConsumerQueue,
        prefetch: u16,
    ) -> Result<Self> {
        let origin = DeliveryOrigin {
            shared: Arc::clone(&shared),
            queue: source.queue(),
            has_settled: AtomicBool::new(false),
        };
        let mut sessions = Sessions {
            shared: Arc::clone(&shared),
            source,
            origin: Arc::new(origin),
            own: None,
            prefetch: prefetch.clamp(1, PREFETCH_MAX),
            was_cancelled: false,
            pauses: pauses(),
        };
        sessions.part();
        match sessions.begin().await {
            Ok(session) => Ok(Self {
                shared,
                state: State::Live(Box::new((sessions, session))),
            }),
            Err(error) => {
                sessions.learn_from(&error);
                Err(error)
            }
        }
    }

    /// Starts to open the next session. `None`: the broker ended the lost one without an error.
    fn recover_from(&mut self, error: Option<&QueueError>) {
        let State::Live(live) = std::mem::replace(&mut self.state, State::Ended) else {
            return;
        };
        let (mut sessions, _) = *live;
        match error {
            Some(error) => sessions.learn_from(error),
            None => sessions.was_cancelled = true,
        }
        self.state = State::Recovering(Box::pin(sessions.recover()));
    }

    async fn next_delivery(&mut self) -> Option<Box<dyn Delivery>> {
        loop {
            let (sessions, session) = match &mut self.state {
                State::Live(live) => (&live.0, &mut live.1),
                State::Recovering(recovering) => {
                    self.state = recovering.await.map_or(State::Ended, State::Live);
                    continue;
                }
                State::Ended => return None,
            };
            match session.stream.next().await {
                // The channel was lost while the delivery was buffered: it cannot be settled and is redelivered.
                Some(Ok(delivery)) if !delivery.acker.usable() => {}
                Some(Ok(delivery)) => return Some(sessions.delivery(session, delivery)),
                Some(Err(error)) => {
                    let error = explain(&error);
                    tracing::warn!(%error, queue = sessions.origin.queue, "consumer lost");
                    self.recover_from(Some(&error));
                }
                // Recorded before any await: the stream reports its end only once.
                None => self.recover_from(None),
            }
        }
    }
}

impl Sessions {
    /// The first session. For a campaign that was never opened it returns an error and creates no queue.
    async fn begin(&self) -> Result<ConsumerSession> {
        let link = self.link();
        topology::ready(link, &link.channel().await?, &self.source.queue()).await?;
        self.begin_session().await
    }

    /// The connection that this consumer uses.
    fn link(&self) -> &Link {
        self.own.as_deref().unwrap_or(&self.shared.consuming)
    }

    /// Takes a separate connection, if consumers must not share one.
    fn part(&mut self) {
        if self.own.is_none() && self.shared.is_apart.load(Ordering::Relaxed) {
            let link = Link::new(Arc::clone(&self.shared.broker), "consume apart");
            self.own = Some(Arc::new(link));
        }
    }

    async fn begin_session(&self) -> Result<ConsumerSession> {
        let link = self.link();
        let (channel, notes) = link.noted_channel().await?;
        let qos = channel.basic_qos(self.prefetch, BasicQosOptions::default());
        link.ask(qos).await?;
        let queue = self.source.queue().into();
        let options = BasicConsumeOptions::default();
        let consuming = channel.basic_consume(queue, "".into(), options, FieldTable::default());
        let mut asked = PendingChannel(Some(channel.clone()));
        let stream = link.ask(consuming).await?;
        asked.0 = None;
        let obstacles = &self.shared.broker.obstacles;
        obstacles.is_gone(&self.origin.queue, ObstacleCause::NoRight);
        Ok(ConsumerSession {
            channel,
            stream,
            notes,
            _consumed: self.shared.consumed.one(&self.origin.queue),
        })
    }

    /// A new session after a lost one; `None` when the queue was deleted.
    async fn begin_again(&self) -> Result<Option<ConsumerSession>> {
        let link = self.link();
        if self.was_cancelled {
            let channel = link.channel().await?;
            let found = topology::ready(link, &channel, &self.source.queue()).await;
            match found {
                Err(error) if is_not_found(&error) => return Ok(None),
                found => found.map(drop)?,
            }
        }
        // A restarted broker may have lost its queues.
        topology::declare_shared(link).await?;
        if let ConsumerQueue::Campaign(campaign) = &self.source {
            topology::declare_campaign(link, campaign).await?;
        }
        self.begin_session().await.map(Some)
    }

    /// Retries until a session is open. `None` when the queue was deleted.
    async fn recover(mut self) -> Option<Box<(Self, ConsumerSession)>> {
        loop {
            if self.origin.has_settled.swap(false, Ordering::Relaxed) {
                self.pauses.reset();
            }
            self.shared.clock.sleep(self.pauses.pause()).await;
            self.part();
            match self.begin_again().await {
                Ok(Some(session)) => {
                    tracing::info!(queue = self.origin.queue, "consuming again");
                    self.was_cancelled = false;
                    return Some(Box::new((self, session)));
                }
                Ok(None) => return None,
                Err(error) => {
                    self.learn_from(&error);
                    tracing::warn!(%error, queue = self.origin.queue, "not consuming");
                }
            }
        }
    }

    /// Evaluates the error of a lost or failed session. After an unreadable message, the next session uses a
    /// separate connection; if this one was separate already, the message is on this consumer's queue, which
    /// becomes an obstacle.
    fn learn_from(&self, error: &QueueError) {
        let why = match error {
            QueueError::Unreadable(why) => why,
            QueueError::Refused(why) => {
                if let Some(removal) = remedy::of_rights(why) {
                    let obstacles = &self.shared.broker.obstacles;
                    obstacles.found(
                        &self.origin.queue,
                        ObstacleCause::NoRight,
                        why.clone(),
                        removal,
                    );
                }
                return;
            }
            _ => return,
        };
        // On the shared connection the message may be on any queue. From now on each consumer has its own
        // connection, and the message ends only one of them.
        self.shared.is_apart.store(true, Ordering::Relaxed);
        if self.own.is_some() {
            self.shared.apart_reconnects.fetch_add(1, Ordering::Relaxed);
            let queue = &self.origin.queue;
            let why = format!("a message on it cannot be read and ends the connection: {why}");
            let removal = self.shared.removal(queue);
            let obstacles = &self.shared.broker.obstacles;
            obstacles.found(queue, ObstacleCause::Unreadable, why, removal);
        }
    }

    fn delivery(
        &self,
        session: &ConsumerSession,
        delivery: lapin::message::Delivery,
    ) -> Box<dyn Delivery> {
        let key = match &self.source {
            ConsumerQueue::Campaign(campaign) => campaign.to_string(),
            ConsumerQueue::Orphans => delivery.routing_key.to_string(),
        };
        let (channel, tag) = (session.channel.id(), delivery.delivery_tag);
        let note = session.notes.take(channel, tag);
        Box::new(RabbitDelivery::new(
            delivery,
            key,
            note.unwrap_or_default(),
            Arc::clone(&self.origin),
            session.channel.clone(),
        ))
    }
}

#[async_trait]
impl Consumer for RabbitConsumer {
    async fn next(&mut self) -> Option<Box<dyn Delivery>> {
        let closing = self.shared.broker.closing.clone();
        closing.run_until_stopped(self.next_delivery()).await?
    }

    async fn stop(self: Box<Self>) {
        let State::Live(live) = self.state else {
            return;
        };
        let (sessions, mut session) = *live;
        let link = sessions.link();
        let tag = session.stream.tag();
        let cancelling = session
            .channel
            .basic_cancel(tag, BasicCancelOptions::default());
        if link.ask(cancelling).await.is_err() {
            // The channel is lost, and its deliveries are with the broker again.
            return;
        }
        // The stream ends after the deliveries in transit. If it were dropped instead, they would stay unsettled
        // until the channel closes.
        let clock = self.shared.clock;
        while let Some(Some(Ok(delivery))) = clock.within(DRAIN_WAIT, session.stream.next()).await {
            clock.within(DRAIN_WAIT, delivery.acker.nack(REQUEUE)).await;
        }
    }
}
