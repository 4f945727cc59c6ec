//! A campaign's deliveries from the broker, over as many connections as it takes.
//!
//! In: deliveries of a session, which is one channel with one consumer. Out: the same, without those
//! of lost sessions. Always: a session that ends for any other reason than ours or the queue's
//! deletion is followed by a new one.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use lapin::Channel;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;

use super::Shared;
use super::connection::{is_not_found, pauses, within};
use super::delivery::{REQUEUE, RabbitDelivery};
use super::topology;
use crate::message::CampaignId;
use crate::queue::{Consumer, Delivery, Result};

/// The most a quorum queue takes as prefetch (RabbitMQ's documentation of quorum queues).
const PREFETCH_MAX: u16 = 2_000;

/// For what is on its way to a consumer that has been cancelled.
const DRAIN_WAIT: Duration = Duration::from_secs(2);

type Pauses = Box<dyn Iterator<Item = Duration> + Send + Sync>;

/// What is consumed.
pub(super) enum Source {
    Campaign(CampaignId),
    Orphans,
}

impl Source {
    fn queue(&self) -> String {
        match self {
            Self::Campaign(campaign) => topology::work_queue(campaign),
            Self::Orphans => topology::ORPHAN.to_owned(),
        }
    }
}

pub(super) struct RabbitConsumer {
    shared: Arc<Shared>,
    source: Source,
    prefetch: u16,
    session: Option<Session>,
    /// The broker ended the last session without an error: perhaps the queue is gone.
    was_cancelled: bool,
    pauses: Pauses,
}

/// One channel with one consumer on it.
struct Session {
    channel: Channel,
    stream: lapin::Consumer,
}

impl RabbitConsumer {
    /// Begins to consume.
    pub(super) async fn start(shared: Arc<Shared>, source: Source, prefetch: u16) -> Result<Self> {
        let mut consumer = Self {
            shared,
            source,
            prefetch: prefetch.clamp(1, PREFETCH_MAX),
            session: None,
            was_cancelled: false,
            pauses: Box::new(pauses()),
        };
        let link = &consumer.shared.consuming;
        // Who consumes a campaign that was never opened is told, and makes no queue.
        topology::ready(link, &link.channel().await?, &consumer.source.queue()).await?;
        consumer.session = Some(consumer.begin_session().await?);
        Ok(consumer)
    }

    async fn begin_session(&self) -> Result<Session> {
        let link = &self.shared.consuming;
        let channel = link.channel().await?;
        let qos = channel.basic_qos(self.prefetch, BasicQosOptions::default());
        link.ask(qos).await?;
        let queue = self.source.queue().into();
        let options = BasicConsumeOptions::default();
        let consuming = channel.basic_consume(queue, "".into(), options, FieldTable::default());
        let stream = link.ask(consuming).await?;
        Ok(Session { channel, stream })
    }

    /// A new session after one that was lost; `None` when the queue was deleted.
    async fn begin_again(&self) -> Result<Option<Session>> {
        let link = &self.shared.consuming;
        if self.was_cancelled {
            let channel = link.channel().await?;
            let found = topology::ready(link, &channel, &self.source.queue()).await;
            match found {
                Err(error) if is_not_found(&error) => return Ok(None),
                found => found.map(drop)?,
            }
        }
        // A broker that came back may have come back empty.
        let channel = link.channel().await?;
        topology::declare_shared(link, &channel).await?;
        if let Source::Campaign(campaign) = &self.source {
            topology::declare_campaign(link, &channel, campaign).await?;
        }
        self.begin_session().await.map(Some)
    }

    /// Waits for a session, for as long as it takes. `None` when there is nothing to consume.
    async fn recover(&mut self) -> Option<()> {
        while self.session.is_none() {
            match self.begin_again().await {
                Ok(Some(session)) => {
                    tracing::info!(queue = self.source.queue(), "consuming again");
                    self.session = Some(session);
                    self.was_cancelled = false;
                    self.pauses = Box::new(pauses());
                }
                Ok(None) => return None,
                Err(error) => {
                    let pause = self.pauses.next().unwrap_or_default();
                    let queue = self.source.queue();
                    tracing::warn!(%error, ?pause, queue, "not consuming");
                    self.shared.clock.sleep(pause).await;
                }
            }
        }
        Some(())
    }

    async fn next_delivery(&mut self) -> Option<Box<dyn Delivery>> {
        loop {
            self.recover().await?;
            let session = self.session.as_mut()?;
            match session.stream.next().await {
                // Buffered when its channel was lost: it cannot be settled and comes again.
                Some(Ok(delivery)) if !delivery.acker.usable() => {}
                Some(Ok(delivery)) => {
                    let key = match &self.source {
                        Source::Campaign(campaign) => campaign.to_string(),
                        Source::Orphans => delivery.routing_key.to_string(),
                    };
                    return Some(Box::new(RabbitDelivery::new(
                        delivery,
                        key,
                        Arc::clone(&self.shared.publisher),
                        session.channel.clone(),
                    )));
                }
                Some(Err(error)) => {
                    tracing::warn!(%error, queue = self.source.queue(), "consumer lost");
                    self.session = None;
                }
                // Remembered before anything is awaited: the stream says it only once.
                None => {
                    self.was_cancelled = true;
                    self.session = None;
                }
            }
        }
    }
}

#[async_trait]
impl Consumer for RabbitConsumer {
    async fn next(&mut self) -> Option<Box<dyn Delivery>> {
        let closing = self.shared.closing.clone();
        closing.run_until_stopped(self.next_delivery()).await?
    }

    async fn stop(mut self: Box<Self>) {
        let Some(mut session) = self.session.take() else {
            return;
        };
        let link = &self.shared.consuming;
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
            let _ = delivery.acker.nack(REQUEUE).await;
        }
    }
}
