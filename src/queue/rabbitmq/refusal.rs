//! Tells publishers what was refused.
//!
//! In: a refusal, once the dead letter is durable. Out: a message on `flexcast.rejected`. Always: it is
//! tried once and for a limited time; nobody has to listen, and nothing waits for who does.

use std::time::Duration;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};

use super::connection::within;
use super::delivery::REASON;
use super::publisher::{PERSISTENT, Parcel, PublishRoute, Publisher};
use super::topology::REJECTED;
use crate::message::Refusal;

/// For the broker to take a refusal. The delivery that was refused is settled after it.
const TELL_WAIT: Duration = Duration::from_secs(2);

/// Publishes a refusal under the key of the message, whose AMQP properties are given.
pub(super) async fn tell(publisher: &Publisher, refusal: &Refusal, of: &BasicProperties) {
    let Ok(body) = serde_json::to_vec(refusal) else {
        return;
    };
    let mut headers = FieldTable::default();
    let reason = refusal.reason.as_str().into();
    headers.insert(REASON.into(), AMQPValue::LongString(reason));
    let mut properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_content_type("application/json".into())
        .with_headers(headers);
    if let Some(id) = of.message_id() {
        properties = properties.with_correlation_id(id.clone());
    }
    let route = PublishRoute {
        exchange: REJECTED,
        key: refusal.campaign.clone(),
        mandatory: false,
    };
    let parcel = Parcel {
        body: body.into(),
        properties,
    };
    let telling = publisher.publish(&route, std::slice::from_ref(&parcel), &|| false);
    match within(publisher.clock(), TELL_WAIT, telling).await {
        Some(Ok(())) => {}
        Some(Err(error)) => tracing::warn!(%error, "a publisher was not told of a refusal"),
        None => tracing::warn!("a publisher was not told of a refusal: no answer in time"),
    }
}
