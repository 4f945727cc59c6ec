//! Finds out whether products of Twilio that are away are back.

use std::convert::Infallible;
use std::time::Duration;

use crate::worker::WorkerState;

/// The pause after a probe that could not be sent.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Probes products, each when it is due, for as long as the future is polled.
pub(in crate::worker) async fn keep(shared: &WorkerState) -> Infallible {
    let parts = &shared.parts;
    loop {
        let product = parts.twilio.outages().next_probe().await;
        if parts.twilio.probe(product).await.is_err() {
            parts.clock.sleep(AGAIN_AFTER).await;
        }
    }
}
