//! Publishes refusals to publishers.
//!
//! In: a refusal, once the dead letter is durable. Out: a message on `flexcast.rejected`. Always: it is published
//! once and with a time limit; no listener is required, and nothing waits for one.

use std::time::Duration;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};

use super::publisher::{PERSISTENT, Parcel, PublishRoute, Publisher};
use super::topology::{REASON, REJECTED};
use crate::message::Refusal;

/// The time limit for the broker's confirm. The refused delivery is settled after it.
const TELL_WAIT: Duration = Duration::from_secs(2);

/// Publishes a refusal under the message's routing key; `of` has the message's AMQP properties.
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
    match publisher.clock().within(TELL_WAIT, telling).await {
        Some(Ok(())) => {}
        Some(Err(error)) => tracing::warn!(%error, "a refusal was not published to its publisher"),
        None => tracing::warn!("a refusal was not published to its publisher: no confirm in time"),
    }
}
