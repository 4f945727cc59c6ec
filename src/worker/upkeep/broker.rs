//! Probes and inspects the broker while this consumer works, and logs new dangers.
//!
//! In: the queue's inspection. Out: one log line for each danger, until it is over. Always: nothing waits for the
//! inspection; a management API that does not answer is logged once.

use std::convert::Infallible;
use std::time::Duration;

use crate::queue::Said;

use crate::worker::WorkerState;

/// How often the broker is inspected, and how often while part of it could not be read: a new queue has no statistics
/// for some ten seconds.
const INSPECT_EVERY: Duration = Duration::from_secs(60);
const INSPECT_AGAIN: Duration = Duration::from_secs(10);

/// How often the queues are probed, each time with one small message.
const PROBE_EVERY: Duration = Duration::from_secs(5);

/// Probes and inspects the broker for as long as the future is polled.
pub(in crate::worker) async fn keep(shared: &WorkerState) -> Infallible {
    tokio::select! {
        never = probe(shared) => never,
        never = inspect(shared) => never,
    }
}

/// Checks that the broker's queues accept messages.
async fn probe(shared: &WorkerState) -> Infallible {
    loop {
        shared.parts.queue.probe().await;
        shared.parts.clock.sleep(PROBE_EVERY).await;
    }
}

async fn inspect(shared: &WorkerState) -> Infallible {
    let (queue, clock) = (&shared.parts.queue, shared.parts.clock);
    let mut said = Said::default();
    loop {
        queue.inspect().await;
        let Some(inspection) = queue.inspection() else {
            return std::future::pending().await;
        };
        for line in said.news(&inspection) {
            tracing::warn!("broker: {line}");
        }
        clock
            .sleep(if inspection.not_read.is_empty() {
                INSPECT_EVERY
            } else {
                INSPECT_AGAIN
            })
            .await;
    }
}
