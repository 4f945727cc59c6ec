//! What can neither be carried out nor be moved out of the way: named until it is gone.
//!
//! In: failures by queue. Out: a list for probes, `status` and metrics, and one line of the log for each that
//! is new. Always: one for each queue and kind; bounded by the campaigns there are.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::queue::{Obstacle, ObstacleKind};

/// The name of all queues together, for an obstacle that is in the way of each.
pub(super) const EVERYWHERE: &str = "flexcast.*";

/// What kind of obstacle it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ObstacleCause {
    /// The client cannot read it: its connection ends with it.
    Unreadable,
    /// The broker does not take the copy that is to replace it.
    NotCopied,
    /// The user lacks a right.
    NoRight,
    /// The broker takes nothing from publishers: it is short of memory or disk.
    Alarm,
    /// Most members of the queues are not running.
    NoMajority,
}

impl ObstacleCause {
    /// Whether a message is in the way, or the broker.
    fn shown_as(self) -> ObstacleKind {
        match self {
            Self::Unreadable | Self::NotCopied => ObstacleKind::Message,
            Self::NoRight | Self::Alarm | Self::NoMajority => ObstacleKind::Broker,
        }
    }
}

/// The commands that show what is wrong and end it: of a message, that show and remove the first ones of its queue.
#[derive(Clone, Debug, Default)]
pub(super) struct Removal {
    pub(super) look: String,
    pub(super) remove: String,
}

/// How many messages the first command reads, and how much it shows of each, in bytes. What is read and left
/// goes behind all that was given back before: only when all of that is read at once does the first message stay
/// the first. More than a consumer can have held (the most that a quorum queue takes as prefetch).
const READ: u32 = 2_000;
const SHOWN_BYTES: u32 = 200;

/// What is encoded in a part of a path: all but the unreserved characters of RFC 3986.
const PART: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

impl Removal {
    /// Over the management API at `base`. `curl` asks for the password of the user.
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
    /// Something lies in the way on a queue.
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
                ObstacleKind::Message => "something on a queue lies in the way",
                ObstacleKind::Broker => "RabbitMQ does not let flexcast use a queue",
            };
            tracing::error!(queue, why, look, remove, "{what}");
        }
    }

    /// It is gone: something of this kind has succeeded on the queue.
    pub(super) fn is_gone(&self, queue: &str, kind: ObstacleCause) {
        let mut now = self.lock();
        // Asked after every delivery; there is nothing to remove but when something failed before.
        if !now.is_empty() && now.remove(&(queue.to_owned(), kind)).is_some() {
            tracing::info!(queue, "what was in the way of a queue is gone");
        }
    }

    /// Whether messages cannot move: the user may not consume a queue, or queues are without a majority.
    pub(super) fn are_messages_stopped(&self) -> bool {
        let stops = |kind: &ObstacleCause| {
            matches!(kind, ObstacleCause::NoRight | ObstacleCause::NoMajority)
        };
        self.lock().keys().any(|(_, kind)| stops(kind))
    }

    /// Whether something of this kind lies in the way of a queue.
    pub(super) fn is_there(&self, queue: &str, kind: ObstacleCause) -> bool {
        let now = self.lock();
        now.keys()
            .any(|(name, known)| name == queue && *known == kind)
    }

    /// What lies in the way now.
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
