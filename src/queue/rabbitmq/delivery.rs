//! One delivery of the broker, and its settlement; dead letters and their headers.
//!
//! In: a message from a consumer's channel. Out: an acknowledgement, sent after the copy that replaces the message
//! is confirmed. Always: a crash between the two leaves two messages, never none; deliveries of a lost channel
//! settle as stale.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use lapin::options::{BasicAckOptions, BasicNackOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Acker, BasicProperties, Channel};

use super::broker::connection::REPLY_WAIT;
use super::broker::errors::is_not_found;
use super::broker::wire::Note;
use super::copy::{self, HeaderRoom};
use super::obstacles::ObstacleCause;
use super::publisher::is_unrouted;
use super::publisher::{Parcel, PublishRoute};
use super::topology::{self, DEAD, REASON, retry_exchange};
use super::{OURS, OWN_BYTES_MAX, RabbitCore, refusal};
use crate::clock::Clock;
use crate::message::{DeadReason, MESSAGE_BYTES_MAX, Refusal, WIRE_VERSION};
use crate::queue::{
    Backoff, DeadDelivery, DeadLetter, Defect, Delivery, QueueError, Result, Settled, reason_named,
    step_named,
};

const STEP: &str = "flexcast-step";
const CODE: &str = "flexcast-code";
const ATTEMPT: &str = "flexcast-attempt";
const DETAIL: &str = "flexcast-detail";
/// The original length of a body that was truncated, in bytes.
const SIZE: &str = "flexcast-size";

pub(super) const REQUEUE: BasicNackOptions = BasicNackOptions {
    multiple: false,
    requeue: true,
};

/// The pauses before an unsettled delivery is requeued; they grow with the number of earlier deliveries.
const AGAIN_MIN: Duration = Duration::from_millis(500);
const AGAIN_MAX: Duration = Duration::from_secs(60);

/// The number of bytes that are kept of an oversized body.
const OVERSIZED_KEPT: usize = 64 * 1024;

pub(super) struct RabbitDelivery {
    body: Bytes,
    properties: BasicProperties,
    redelivered: bool,
    acker: Acker,
    /// The campaign's id, or an orphan's routing key.
    key: String,
    origin: Arc<DeliveryOrigin>,
    note: Note,
    defect: Option<Defect>,
    is_settled: bool,
    /// Keeps the channel open until the last of its deliveries is settled.
    channel: Channel,
}

/// The source of deliveries.
pub(super) struct DeliveryOrigin {
    pub(super) shared: Arc<RabbitCore>,
    pub(super) queue: String,
    /// Whether a delivery was settled since the last check.
    pub(super) has_settled: AtomicBool,
}

impl RabbitDelivery {
    pub(super) fn new(
        delivery: lapin::message::Delivery,
        key: String,
        note: Note,
        origin: Arc<DeliveryOrigin>,
        channel: Channel,
    ) -> Self {
        let properties = delivery.properties;
        let defect = defect(&properties, delivery.data.len(), note);
        let mut body = delivery.data;
        if matches!(defect, Some(Defect::Oversized { .. })) {
            body.truncate(OVERSIZED_KEPT);
            body.shrink_to_fit();
        }
        Self {
            // To the broker, a message from a retry queue is new.
            redelivered: delivery.redelivered || copy::came_back(&properties),
            body: body.into(),
            properties,
            acker: delivery.acker,
            key,
            origin,
            note,
            defect,
            is_settled: false,
            channel,
        }
    }

    async fn settle_by_ack(&mut self) -> Settled {
        self.is_settled = true;
        let origin = &self.origin;
        let acknowledging = self.acker.ack(BasicAckOptions::default());
        let settled = is_sent(origin.shared.clock, acknowledging).await;
        if settled == Settled::Yes {
            origin.has_settled.store(true, Ordering::Relaxed);
            let obstacles = &origin.shared.broker.obstacles;
            obstacles.is_gone(&origin.queue, ObstacleCause::Unreadable);
        }
        settled
    }

    /// Publishes a copy with `headers`, then the refusal, if there is one, and then acknowledges the original.
    async fn replace(
        &mut self,
        exchange: &'static str,
        headers: FieldTable,
        refusal: Option<Refusal>,
    ) -> Result<Settled> {
        if !self.acker.usable() {
            return Ok(Settled::Stale);
        }
        let published = self.copy(exchange, &headers).await;
        let (shared, queue) = (&self.origin.shared, &self.origin.queue);
        match published {
            Ok(()) => shared
                .broker
                .obstacles
                .is_gone(queue, ObstacleCause::NotCopied),
            Err(_) if !self.acker.usable() => return Ok(Settled::Stale),
            Err(error) => {
                let why =
                    format!("the broker does not take a copy of a message for {exchange}: {error}");
                let removal = shared.removal(queue);
                shared
                    .broker
                    .obstacles
                    .found(queue, ObstacleCause::NotCopied, why, removal);
                return Err(error);
            }
        }
        if let Some(refusal) = refusal {
            refusal::tell(&shared.publisher, &refusal, &self.properties).await;
        }
        Ok(self.settle_by_ack().await)
    }

    /// Publishes a copy; if the broker refuses it, a minimal copy.
    async fn copy(&self, exchange: &'static str, headers: &FieldTable) -> Result<()> {
        let shared = &self.origin.shared;
        let whole = copy::of(&self.properties, self.note, headers, self.room());
        match self.publish(exchange, whole).await {
            Err(error @ QueueError::Refused(_)) if self.acker.usable() => {
                tracing::warn!(%error, exchange, "the broker refused a copy; a minimal copy is published instead");
                if is_gone(&error) {
                    // A shared exchange or queue was deleted.
                    let link = &shared.consuming;
                    topology::declare_shared(link).await?;
                }
                let bare = copy::bare(&self.properties, headers);
                self.publish(exchange, bare).await
            }
            published => published,
        }
    }

    async fn publish(&self, exchange: &'static str, properties: BasicProperties) -> Result<()> {
        let route = PublishRoute {
            exchange,
            key: self.key.clone(),
            mandatory: true,
        };
        let copy = Parcel {
            body: self.body.clone(),
            properties,
        };
        let publisher = &self.origin.shared.publisher;
        let is_wanted = || self.acker.usable();
        publisher
            .publish(&route, std::slice::from_ref(&copy), &is_wanted)
            .await
    }

    fn room(&self) -> HeaderRoom {
        HeaderRoom::of(self.origin.shared.publisher.frame_max())
    }

    /// The headers of a dead letter.
    fn letter(&self, letter: &DeadLetter) -> FieldTable {
        let mut headers = FieldTable::default();
        let text = |text: &str| AMQPValue::LongString(text.into());
        headers.insert(REASON.into(), text(letter.reason.as_str()));
        if let Some(step) = letter.step {
            headers.insert(STEP.into(), text(step.as_str()));
        }
        if let Some(code) = letter.code {
            headers.insert(CODE.into(), AMQPValue::LongLongInt(code.into()));
        }
        let attempt = AMQPValue::LongLongInt(letter.attempt.into());
        headers.insert(ATTEMPT.into(), attempt);
        if let Some(Defect::Oversized { bytes, .. }) = self.defect {
            let size = i64::try_from(bytes).unwrap_or(i64::MAX);
            headers.insert(SIZE.into(), AMQPValue::LongLongInt(size));
        }
        // The detail may quote a publisher's text of up to a message's length.
        headers.insert(DETAIL.into(), text(self.room().clip(&letter.detail)));
        headers
    }
}

/// Whether one of flexcast's exchanges or queues is missing.
fn is_gone(error: &QueueError) -> bool {
    is_not_found(error) || is_unrouted(error)
}

/// The defect of a delivery outside its body.
fn defect(properties: &BasicProperties, length: usize, note: Note) -> Option<Defect> {
    let is_ours = is_ours(properties);
    let max = match is_ours {
        true => OWN_BYTES_MAX,
        false => MESSAGE_BYTES_MAX as u64,
    };
    let bytes = note.body_was.unwrap_or(length as u64);
    if bytes > max {
        return Some(Defect::Oversized { bytes, max });
    }
    if note.is_key_altered {
        return Some(Defect::UnreadableKey);
    }
    let expires = properties.expiration().is_some() && !is_ours;
    expires.then_some(Defect::Expires)
}

fn is_ours(properties: &BasicProperties) -> bool {
    let app_id = properties.app_id().as_ref();
    app_id.is_some_and(|app_id| app_id.as_str() == OURS)
}

#[async_trait]
impl Delivery for RabbitDelivery {
    fn body(&self) -> &Bytes {
        &self.body
    }

    fn redelivered(&self) -> bool {
        self.redelivered
    }

    fn is_publishers(&self) -> bool {
        !is_ours(&self.properties)
    }

    fn key(&self) -> &str {
        &self.key
    }

    fn defect(&self) -> Option<Defect> {
        self.defect
    }

    async fn ack(mut self: Box<Self>) -> Result<Settled> {
        Ok(self.settle_by_ack().await)
    }

    async fn retry_later(mut self: Box<Self>, delay: Duration) -> Result<Settled> {
        let headers = FieldTable::default();
        self.replace(retry_exchange(delay), headers, None).await
    }

    async fn dead_letter(mut self: Box<Self>, letter: DeadLetter) -> Result<Settled> {
        let headers = self.letter(&letter);
        self.replace(DEAD, headers, None).await
    }

    async fn refuse(
        mut self: Box<Self>,
        letter: DeadLetter,
        id: Option<String>,
    ) -> Result<Settled> {
        let headers = self.letter(&letter);
        let told = self.is_publishers() && DeadReason::REFUSALS.contains(&letter.reason);
        let message_id = || {
            self.properties
                .message_id()
                .as_ref()
                .map(ToString::to_string)
        };
        let refusal = told.then(|| Refusal {
            version: WIRE_VERSION,
            campaign: self.key.clone(),
            id: id.or_else(message_id),
            reason: letter.reason,
            detail: letter.detail,
            at: self.origin.shared.publisher.now(),
        });
        self.replace(DEAD, headers, refusal).await
    }

    async fn release(mut self: Box<Self>) -> Result<Settled> {
        self.is_settled = true;
        Ok(is_sent(self.origin.shared.clock, self.acker.nack(REQUEUE)).await)
    }
}

/// Waits until an acknowledgement, positive or negative, is sent.
///
/// `Ok(false)` means that the channel was lost, or that the delivery belongs to an earlier channel. An error means
/// that the channel was lost just now. lapin never resolves the future if it loses the connection while it writes.
/// In each of these cases the broker redelivers the message.
async fn is_sent(clock: Clock, sending: impl Future<Output = lapin::Result<bool>>) -> Settled {
    match clock.within(REPLY_WAIT, sending).await {
        Some(Ok(true)) => Settled::Yes,
        Some(Ok(false) | Err(_)) | None => Settled::Stale,
    }
}

impl Drop for RabbitDelivery {
    /// Requeues an unsettled delivery after a pause that grows with each delivery: without a pause it would circle
    /// at full speed. During the pause it takes no slot of the consumer.
    fn drop(&mut self) {
        if self.is_settled || !self.acker.usable() {
            return;
        }
        // Without a runtime the process is ending, the connection with it, and the broker requeues.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (acker, channel) = (self.acker.clone(), self.channel.clone());
            let shared = Arc::clone(&self.origin.shared);
            let mut pauses = Backoff::spread(AGAIN_MIN, AGAIN_MAX);
            for _ in 0..copy::deliveries(&self.properties).min(10) {
                pauses.pause();
            }
            runtime.spawn(async move {
                let waiting = shared.clock.sleep(pauses.pause());
                shared.broker.closing.run_until_stopped(waiting).await;
                is_sent(shared.clock, acker.nack(REQUEUE)).await;
                drop(channel);
            });
        }
    }
}

/// Parses a message of the dead-letter queue. A message of another program lacks flexcast's headers.
pub(super) fn dead_delivery(message: lapin::message::Delivery) -> DeadDelivery {
    let headers = message.properties.headers().clone().unwrap_or_default();
    let text = |name: &str| match headers.inner().get(name) {
        Some(AMQPValue::LongString(text)) => Some(text.to_string()),
        _ => None,
    };
    let number = |name: &str| match headers.inner().get(name) {
        Some(AMQPValue::LongLongInt(number)) => u32::try_from(*number).ok(),
        _ => None,
    };
    let reason = text(REASON).and_then(|name| reason_named(&name));
    let foreign = "another program put it here, without a reason";
    let letter = DeadLetter {
        reason: reason.unwrap_or(DeadReason::Malformed),
        step: text(STEP).and_then(|name| step_named(&name)),
        code: number(CODE),
        attempt: number(ATTEMPT).unwrap_or(0),
        detail: text(DETAIL).unwrap_or_else(|| foreign.to_owned()),
    };
    DeadDelivery {
        campaign: message.routing_key.to_string(),
        body: message.data.into(),
        letter,
    }
}
