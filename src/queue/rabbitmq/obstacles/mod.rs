//! Obstacles: messages and faults that block a queue, listed until they are gone.
//!
//! In: failures by queue. Out: a list for probes, `status` and metrics, and one log line for each new obstacle.
//! Always: at most one obstacle for each queue and cause.

pub(super) mod remedy;
pub(super) mod alarms;
pub(super) mod majority;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::queue::{Obstacle, ObstacleKind};

/// Stands for all queues, for an obstacle that blocks each of them.
pub(super) const EVERYWHERE: &str = "flexcast.*";

/// The cause of an obstacle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ObstacleCause {
    /// A message that the client cannot read and that ends its connection.
    Unreadable,
    /// The broker refuses the copy that is to replace a message.
    NotCopied,
    /// The user lacks a right on the queue.
    NoRight,
    /// The broker blocks publishers: it is short of memory or disk.
    Alarm,
    /// Most members of the queues are not running.
    NoMajority,
}

impl ObstacleCause {
    /// The kind of the obstacle for operators.
    fn shown_as(self) -> ObstacleKind {
        match self {
            Self::Unreadable | Self::NotCopied => ObstacleKind::Message,
            Self::NoRight | Self::Alarm | Self::NoMajority => ObstacleKind::Broker,
        }
    }
}

/// The commands that show an obstacle and remove it. For a message: those that show and remove the first messages
/// of its queue.
#[derive(Clone, Debug, Default)]
pub(super) struct Removal {
    pub(super) look: String,
    pub(super) remove: String,
}

/// The number of messages that the first command reads, and the bytes it shows of each. Requeued messages go behind
/// those that were requeued before: the first message stays first only if all of them are read at once. 2,000 is
/// the highest prefetch of a quorum queue, so no consumer can hold more.
const READ: u32 = 2_000;
const SHOWN_BYTES: u32 = 200;

/// The characters to encode in a path segment: all except the unreserved characters of RFC 3986.
const PART: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

impl Removal {
    /// Commands for the management API at `base`. `curl` asks for the user's password.
    pub(super) fn over(base: &str, vhost: &str, queue: &str) -> Self {
        let [vhost, queue] = [vhost, queue].map(|name| utf8_percent_encode(name, PART).to_string());
        let get = |options: &str| {
            let url = format!("{base}/api/queues/{vhost}/{queue}/get");
            let url = shell_words::quote(&url);
            format!(r#"curl -u USER {url} -d '{{{options},"encoding":"auto"}}'"#)
        };
        let look =
            format!(r#""count":{READ},"ackmode":"ack_requeue_true","truncate":{SHOWN_BYTES}"#);
        Self {
            look: get(&look),
            remove: get(r#""count":1,"ackmode":"ack_requeue_false""#),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Obstacles {
    now: Mutex<BTreeMap<(String, ObstacleCause), Obstacle>>,
}

impl Obstacles {
    /// Records an obstacle on a queue.
    pub(super) fn found(&self, queue: &str, kind: ObstacleCause, why: String, removal: Removal) {
        let obstacle = Obstacle {
            kind: kind.shown_as(),
            queue: queue.to_owned(),
            why,
            look: removal.look,
            remove: removal.remove,
        };
        let key = (queue.to_owned(), kind);
        let known = self.lock().insert(key, obstacle.clone());
        if known.is_none() {
            let Obstacle {
                kind,
                queue,
                why,
                look,
                remove,
            } = obstacle;
            let what = match kind {
                ObstacleKind::Message => "a message on a queue can be neither processed nor moved",
                ObstacleKind::Broker => "RabbitMQ does not let flexcast use a queue",
            };
            tracing::error!(queue, why, look, remove, "{what}");
        }
    }

    /// Removes an obstacle after an operation of its kind has succeeded on the queue.
    pub(super) fn is_gone(&self, queue: &str, kind: ObstacleCause) {
        let mut now = self.lock();
        // Called after every delivery; usually the map is empty.
        if !now.is_empty() && now.remove(&(queue.to_owned(), kind)).is_some() {
            tracing::info!(queue, "an obstacle on a queue is gone");
        }
    }

    /// Whether no message can be delivered: the user may not consume a queue, or queues have no majority.
    pub(super) fn are_messages_stopped(&self) -> bool {
        let stops = |kind: &ObstacleCause| {
            matches!(kind, ObstacleCause::NoRight | ObstacleCause::NoMajority)
        };
        self.lock().keys().any(|(_, kind)| stops(kind))
    }

    /// Whether the queue has an obstacle of this cause.
    pub(super) fn is_there(&self, queue: &str, kind: ObstacleCause) -> bool {
        let now = self.lock();
        now.keys()
            .any(|(name, known)| name == queue && *known == kind)
    }

    /// The current obstacles.
    pub(super) fn now(&self) -> Vec<Obstacle> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, ObstacleCause), Obstacle>> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_obstacle_is_named_until_its_own_kind_succeeds() {
        let obstacles = Obstacles::default();
        let found = |kind| {
            let text = |text: &str| text.to_owned();
            let removal = Removal {
                look: text("look"),
                remove: text("do"),
            };
            obstacles.found("flexcast.work.spring", kind, text("why"), removal);
        };
        found(ObstacleCause::Unreadable);
        found(ObstacleCause::Unreadable);
        found(ObstacleCause::NotCopied);
        assert_eq!(obstacles.now().len(), 2);
        obstacles.is_gone("flexcast.work.autumn", ObstacleCause::NotCopied);
        obstacles.is_gone("flexcast.work.spring", ObstacleCause::Unreadable);
        assert_eq!(obstacles.now().len(), 1);
        obstacles.is_gone("flexcast.work.spring", ObstacleCause::NotCopied);
        assert_eq!(obstacles.now(), []);
    }
}
