//! One delivery of the broker, and its settlement; dead letters and their headers.
//!
//! In: a message from a consumer's channel. Out: an acknowledgement, after the copy that replaces
//! the message is confirmed. Always: a crash between the two makes two messages and never none; what
//! belongs to a lost channel settles as stale.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use lapin::options::{BasicAckOptions, BasicNackOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Acker, BasicProperties, Channel};

use super::publisher::{PERSISTENT, Parcel, Publisher, Route};
use super::topology::{DEAD, retry_exchange};
use super::{OURS, refusal};
use crate::message::{DeadReason, Refusal, WIRE_VERSION};
use crate::queue::{DeadDelivery, DeadLetter, Delivery, Result, Settled, reason_named, step_named};

pub(super) const REASON: &str = "flexcast-reason";
const STEP: &str = "flexcast-step";
const CODE: &str = "flexcast-code";
const ATTEMPT: &str = "flexcast-attempt";
const DETAIL: &str = "flexcast-detail";

pub(super) const REQUEUE: BasicNackOptions = BasicNackOptions {
    multiple: false,
    requeue: true,
};

pub(super) struct RabbitDelivery {
    body: Bytes,
    properties: BasicProperties,
    redelivered: bool,
    acker: Acker,
    /// The campaign, or whatever an orphan was published under.
    key: String,
    publisher: Arc<Publisher>,
    is_settled: bool,
    /// Keeps the channel open until the last of its deliveries is settled.
    channel: Channel,
}

impl RabbitDelivery {
    pub(super) fn new(
        delivery: lapin::message::Delivery,
        key: String,
        publisher: Arc<Publisher>,
        channel: Channel,
    ) -> Self {
        // What comes out of a retry queue is a new message to the broker, but not to us.
        let headers = delivery.properties.headers().as_ref();
        let came_back = headers.is_some_and(|headers| headers.contains_key("x-death"));
        Self {
            redelivered: delivery.redelivered || came_back,
            body: delivery.data.into(),
            properties: delivery.properties,
            acker: delivery.acker,
            key,
            publisher,
            is_settled: false,
            channel,
        }
    }

    async fn settle_by_ack(&mut self) -> Settled {
        self.is_settled = true;
        // False: the channel was lost, or the tag is of an earlier one. An error: it was lost just
        // now. The broker delivers again in either case.
        match self.acker.ack(BasicAckOptions::default()).await {
            Ok(true) => Settled::Yes,
            Ok(false) | Err(_) => Settled::Stale,
        }
    }

    /// Publishes a copy with `headers` and settles the original once the copy is confirmed, and the
    /// publisher told if it is to be.
    async fn replace(
        &mut self,
        exchange: &'static str,
        headers: FieldTable,
        refusal: Option<Refusal>,
    ) -> Result<Settled> {
        if !self.acker.usable() {
            return Ok(Settled::Stale);
        }
        let route = Route {
            exchange,
            key: self.key.clone(),
            mandatory: true,
        };
        let properties = self.properties.clone();
        let copy = Parcel {
            body: self.body.clone(),
            properties: properties
                .with_delivery_mode(PERSISTENT)
                .with_headers(headers),
        };
        let acker = self.acker.clone();
        let published = self
            .publisher
            .publish(&route, &[copy], &move || acker.usable())
            .await;
        if published.is_err() && !self.acker.usable() {
            return Ok(Settled::Stale);
        }
        published?;
        if let Some(refusal) = refusal {
            refusal::tell(&self.publisher, &refusal, &self.properties).await;
        }
        Ok(self.settle_by_ack().await)
    }
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
        let app_id = self.properties.app_id().as_ref();
        app_id.is_none_or(|app_id| app_id.as_str() != OURS)
    }

    fn key(&self) -> &str {
        &self.key
    }

    async fn ack(mut self: Box<Self>) -> Result<Settled> {
        Ok(self.settle_by_ack().await)
    }

    async fn retry_later(mut self: Box<Self>, delay: Duration) -> Result<Settled> {
        let headers = kept_headers(&self.properties);
        self.replace(retry_exchange(delay), headers, None).await
    }

    async fn dead_letter(mut self: Box<Self>, letter: DeadLetter) -> Result<Settled> {
        let mut headers = kept_headers(&self.properties);
        add_letter(&mut headers, &letter);
        self.replace(DEAD, headers, None).await
    }

    async fn refuse(
        mut self: Box<Self>,
        letter: DeadLetter,
        id: Option<String>,
    ) -> Result<Settled> {
        let mut headers = kept_headers(&self.properties);
        add_letter(&mut headers, &letter);
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
            at: self.publisher.now(),
        });
        self.replace(DEAD, headers, refusal).await
    }

    async fn release(mut self: Box<Self>) -> Result<Settled> {
        self.is_settled = true;
        match self.acker.nack(REQUEUE).await {
            Ok(true) => Ok(Settled::Yes),
            Ok(false) | Err(_) => Ok(Settled::Stale),
        }
    }
}

impl Drop for RabbitDelivery {
    fn drop(&mut self) {
        if self.is_settled || !self.acker.usable() {
            return;
        }
        // Without a runtime the process ends, the connection with it, and the broker requeues.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (acker, channel) = (self.acker.clone(), self.channel.clone());
            runtime.spawn(async move {
                let _ = acker.nack(REQUEUE).await;
                drop(channel);
            });
        }
    }
}

/// The publisher's headers, without what brokers add on the way: sent back, a broker may take its
/// own `x-death` for a cycle.
fn kept_headers(properties: &BasicProperties) -> FieldTable {
    let mut kept = FieldTable::default();
    let headers = properties.headers().as_ref();
    for (name, value) in headers.into_iter().flat_map(FieldTable::inner) {
        let is_brokers = [
            "x-death",
            "x-first-death-",
            "x-last-death-",
            "x-delivery-count",
        ]
        .iter()
        .any(|prefix| name.as_str().starts_with(prefix));
        if !is_brokers {
            kept.insert(name.clone(), value.clone());
        }
    }
    kept
}

fn add_letter(headers: &mut FieldTable, letter: &DeadLetter) {
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
    headers.insert(DETAIL.into(), text(&letter.detail));
}

/// Reads a message of the dead-letter queue. What another hand put there has no reason of ours.
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
    let foreign = "it was put here by another program, without a reason";
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
