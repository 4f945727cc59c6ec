//! Whether the process can do its work: which part is missing.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use super::Pages;
use crate::queue::{Inspection, Obstacle};
use crate::twilio::AwayPart;

/// The answer of `/readyz`.
#[derive(Debug, Serialize)]
pub(super) struct Readiness {
    ready: bool,
    /// What is missing.
    failed: Vec<&'static str>,
    /// Why the ledger is lost, while it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// What lies on a queue and cannot be moved out of the way: everything else goes on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    obstacles: Vec<Obstacle>,
    /// The parts of Twilio that are away: no message that needs them is begun. It is no reason to restart anything.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    away: Vec<AwayPart>,
    /// What the last inspection of the broker found: alarms too, which every consumer would meet alike. None
    /// where there is no broker.
    #[serde(skip_serializing_if = "Option::is_none")]
    broker: Option<Inspection>,
}

/// 200 when the ledger and the queue answer and nobody asked for a stop; else 503 with the list. A
/// lost ledger is not asked: the answer comes at once.
/// A paused campaign is no failure.
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
