//! Readiness: whether the process can work, and which part is missing.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use super::Pages;
use crate::queue::{Inspection, Obstacle};
use crate::twilio::AwayPart;

/// The reply of `/readyz`.
#[derive(Debug, Serialize)]
pub(super) struct Readiness {
    ready: bool,
    /// The missing parts.
    failed: Vec<&'static str>,
    /// Why the ledger is lost, while it is lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// Obstacles: messages on a queue that cannot be moved out of the way. All other messages are carried out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    obstacles: Vec<Obstacle>,
    /// The parts of Twilio that are away: messages that need them are not started. This is no reason to restart the
    /// process.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    away: Vec<AwayPart>,
    /// The findings of the last inspection of the broker, with its alarms, which affect all consumers alike. `None`
    /// without a broker.
    #[serde(skip_serializing_if = "Option::is_none")]
    broker: Option<Inspection>,
}

/// Replies with 200 when the ledger and the queue answer and the process does not drain; otherwise with 503 and the
/// missing parts. A lost ledger is not queried, so that the reply comes at once. A paused campaign is not a failure.
pub(super) async fn ready(State(pages): State<Pages>) -> (StatusCode, Json<Readiness>) {
    let mut failed = Vec::new();
    let why = pages.ledger.why_not_ready().await;
    if why.is_some() {
        failed.push("ledger");
    }
    if !pages.queue.is_ready().await {
        failed.push("queue");
    }
    if pages.draining.is_stopped() {
        failed.push("draining");
    }
    let status = if failed.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let readiness = Readiness {
        ready: failed.is_empty(),
        failed,
        why,
        obstacles: pages.queue.obstacles(),
        away: pages.outages.away(pages.clock.now()),
        broker: pages.queue.inspection().map(Arc::unwrap_or_clone),
    };
    (status, Json(readiness))
}
