//! A campaign's deliveries from the broker, over as many connections as it takes.
//!
//! In: deliveries of a session, which is one channel with one consumer. Out: the same, without those
//! of lost sessions. Always: a session that ends for any other reason than ours or the queue's
//! deletion is followed by a new one.

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
use super::connection::{Link, explain, is_not_found, pauses, within};
use super::delivery::{DeliveryOrigin, REQUEUE, RabbitDelivery};
use super::majority::ConsumedQueue;
use super::obstacles::ObstacleCause;
use super::remedy;
use super::topology;
use super::wire::Notes;
use crate::message::CampaignId;
use crate::queue::{Backoff, Consumer, Delivery, QueueError, Result};

/// The most a quorum queue takes as prefetch (RabbitMQ's documentation of quorum queues).
const PREFETCH_MAX: u16 = 2_000;

/// For what is on its way to a consumer that has been cancelled.
const DRAIN_WAIT: Duration = Duration::from_secs(2);

/// What is consumed.
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
    /// A session was lost, and the next is being made. Whoever waits for a delivery may give up waiting at any
    /// time, and waits again: the work that is done so far stays.
    Recovering(BoxFuture<'static, Option<Box<(Sessions, ConsumerSession)>>>),
    /// The queue was deleted.
    Ended,
}

/// What makes the sessions of a consumer, one after the other.
struct Sessions {
    shared: Arc<RabbitCore>,
    source: ConsumerQueue,
    prefetch: u16,
    origin: Arc<DeliveryOrigin>,
    /// The connection of this consumer alone, once the common one cannot be trusted.
    own: Option<Arc<Link>>,
    /// The broker ended the last session without an error: perhaps the queue is gone.
    was_cancelled: bool,
    /// Begins again once a delivery was settled. A connection that is made and lost again is no success.
    pauses: Backoff,
}

/// One channel with one consumer on it.
struct ConsumerSession {
    channel: Channel,
    stream: lapin::Consumer,
    notes: Arc<Notes>,
    _consumed: ConsumedQueue,
}

/// A channel on which a consumer was asked for. The broker may have made it although its answer did not come, or was
/// not waited for. lapin then keeps the consumer and its channel for as long as there is a connection, and what
/// the broker delivers to it is settled by nobody. So the channel is closed, unless the session was had.
struct PendingChannel(Option<Channel>);

impl Drop for PendingChannel {
    fn drop(&mut self) {
        let Some(channel) = self.0.take() else {
            return;
        };
        // Without a runtime the process ends, and the connection with it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let _ = channel.close(200, "OK".into()).await;
            });
        }
    }
}

impl RabbitConsumer {
    /// Begins to consume.
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

    /// Begins to make the next session after this one was lost; `None`: the broker ended it without an error.
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
                // Buffered when its channel was lost: it cannot be settled and comes again.
                Some(Ok(delivery)) if !delivery.acker.usable() => {}
                Some(Ok(delivery)) => return Some(sessions.delivery(session, delivery)),
                Some(Err(error)) => {
                    let error = explain(&error);
                    tracing::warn!(%error, queue = sessions.origin.queue, "consumer lost");
                    self.recover_from(Some(&error));
                }
                // Remembered before anything is awaited: the stream says it only once.
                None => self.recover_from(None),
            }
        }
    }
}

impl Sessions {
    /// The first session. Who consumes a campaign that was never opened is told, and makes no queue.
    async fn begin(&self) -> Result<ConsumerSession> {
        let link = self.link();
        topology::ready(link, &link.channel().await?, &self.source.queue()).await?;
        self.begin_session().await
    }

    /// The connection that this consumer uses.
    fn link(&self) -> &Link {
        self.own.as_deref().unwrap_or(&self.shared.consuming)
    }

    /// Takes a connection of its own, if every consumer is to.
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

    /// A new session after one that was lost; `None` when the queue was deleted.
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
        // A broker that came back may have come back empty.
        topology::declare_shared(link).await?;
        if let ConsumerQueue::Campaign(campaign) = &self.source {
            topology::declare_campaign(link, campaign).await?;
        }
        self.begin_session().await.map(Some)
    }

    /// Makes a session, for as long as it takes. `None` when there is nothing to consume.
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

    /// A session was lost, or none could be had: where it was because something cannot be read, the next is
    /// on a connection of this consumer's own, and what lies on its queue is named if it was one.
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
        // On the common connection it may be anybody's: from now on each has its own, and whose it is
        // ends no other.
        self.shared.is_apart.store(true, Ordering::Relaxed);
        if self.own.is_some() {
            self.shared.apart_reconnects.fetch_add(1, Ordering::Relaxed);
            let queue = &self.origin.queue;
            let why = format!("a message on it cannot be read, and ends the connection: {why}");
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
            // The channel is lost, and what it had delivered is the broker's again.
            return;
        }
        // The stream ends after what was on its way. Dropping it instead would leave that unsettled
        // for as long as the channel is open.
        let clock = self.shared.clock;
        while let Some(Some(Ok(delivery))) = within(clock, DRAIN_WAIT, session.stream.next()).await
        {
            within(clock, DRAIN_WAIT, delivery.acker.nack(REQUEUE)).await;
        }
    }
}
