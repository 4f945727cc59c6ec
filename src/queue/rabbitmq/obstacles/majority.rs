//! Checks whether queues have a majority of their members. Without it a quorum queue neither confirms nor delivers,
//! and RabbitMQ reports it as empty.
//!
//! In: a probe message, published to a queue that holds nothing else; counts of queues. Out: an obstacle until the
//! majority is back. Always: only a count from the queue itself is valid.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use lapin::BasicProperties;

use super::remedy;
use crate::queue::rabbitmq::broker::Broker;
use crate::queue::rabbitmq::obstacles::{EVERYWHERE, ObstacleCause, Obstacles};
use crate::queue::rabbitmq::publisher::{PERSISTENT, Parcel, PublishRoute, Publisher};
use crate::queue::rabbitmq::topology;
use crate::queue::{QueueError, Result};

/// Publishes one message to the probe queue, which then drops the previous one.
pub(in crate::queue::rabbitmq) async fn probe(publisher: &Publisher, broker: &Broker) {
    let route = PublishRoute {
        exchange: "",
        key: topology::PROBE.to_owned(),
        mandatory: false,
    };
    let parcel = Parcel {
        body: Bytes::new(),
        properties: BasicProperties::default().with_delivery_mode(PERSISTENT),
    };
    match publisher.is_taken(&route, parcel).await {
        Ok(true) => broker
            .obstacles
            .is_gone(EVERYWHERE, ObstacleCause::NoMajority),
        Ok(false) => {
            let why = "queues are without a majority of their members: RabbitMQ accepts and delivers nothing until most nodes \
                       of the cluster run again";
            let obstacles = &broker.obstacles;
            let removal = remedy::of_majority();
            obstacles.found(
                EVERYWHERE,
                ObstacleCause::NoMajority,
                why.to_owned(),
                removal,
            );
        }
        // Other code reports a broker that cannot be reached.
        Err(error) => tracing::debug!(%error, "the probe was not published"),
    }
}

/// The queues that this process consumes, with the number of its consumers on each.
#[derive(Clone, Debug, Default)]
pub(in crate::queue::rabbitmq) struct ConsumedQueues(Arc<Mutex<BTreeMap<String, usize>>>);

impl ConsumedQueues {
    /// Counts one more consumer of a queue until the returned guard is dropped.
    pub(in crate::queue::rabbitmq) fn one(&self, queue: &str) -> ConsumedQueue {
        *self.lock().entry(queue.to_owned()).or_default() += 1;
        ConsumedQueue {
            of: self.clone(),
            queue: queue.to_owned(),
        }
    }

    fn has(&self, queue: &str) -> bool {
        self.lock().contains_key(queue)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        // A panic cannot leave the map inconsistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A guard that counts one consumer of a queue. See [`ConsumedQueues::one`].
pub(in crate::queue::rabbitmq) struct ConsumedQueue {
    of: ConsumedQueues,
    queue: String,
}

impl Drop for ConsumedQueue {
    fn drop(&mut self) {
        let mut consumed = self.of.lock();
        if let Some(count) = consumed.get_mut(&self.queue) {
            *count -= 1;
            if *count == 0 {
                consumed.remove(&self.queue);
            }
        }
    }
}

/// The number of ready messages on a queue, if the queue itself has reported it.
///
/// RabbitMQ reports 0 messages and 0 consumers for a queue whose leader it does not reach within a quarter of a
/// second. A queue that this process consumes has at least one consumer.
///
/// # Errors
///
/// [`QueueError::Unreachable`] when the queue has no majority or its leader did not answer.
pub(in crate::queue::rabbitmq) fn ready_if_answered(
    counted: topology::Count,
    queue: &str,
    consumed: &ConsumedQueues,
    obstacles: &Obstacles,
) -> Result<u64> {
    let is_answered = counted.ready > 0 || counted.consumers > 0 || !consumed.has(queue);
    if is_answered && !obstacles.is_there(EVERYWHERE, ObstacleCause::NoMajority) {
        return Ok(counted.ready);
    }
    Err(QueueError::Unreachable(format!(
        "the leader of {queue} does not answer: most of its members may not be running"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::rabbitmq::obstacles::Removal;

    #[test]
    fn a_count_of_zero_counts_only_where_the_queue_has_said_it() {
        let (consumed, obstacles) = (ConsumedQueues::default(), Obstacles::default());
        let of = |ready, consumers| topology::Count { ready, consumers };
        let read = |counted| ready_if_answered(counted, "q", &consumed, &obstacles).ok();
        assert_eq!(
            read(of(0, 0)),
            Some(0),
            "this process does not consume the queue"
        );
        let first = consumed.one("q");
        let second = consumed.one("q");
        assert_eq!(read(of(0, 0)), None);
        assert_eq!(read(of(0, 1)), Some(0));
        assert_eq!(read(of(3, 0)), Some(3), "its consumer is gone just now");
        drop(first);
        assert_eq!(read(of(0, 0)), None);
        drop(second);
        assert_eq!(read(of(0, 0)), Some(0));
        let removal = Removal::default();
        obstacles.found(
            EVERYWHERE,
            ObstacleCause::NoMajority,
            "why".to_owned(),
            removal,
        );
        assert_eq!(read(of(3, 1)), None, "what is counted may be long gone");
    }
}
