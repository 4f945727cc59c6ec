//! What can neither be carried out nor be moved out of the way: named until it is gone.
//!
//! In: failures by queue. Out: a list for probes, `status` and metrics, and one line of the log for each that
//! is new. Always: one for each queue and kind; bounded by the campaigns there are.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::queue::Obstacle;

/// What kind of obstacle it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// The client cannot read it: its connection ends with it.
    Unreadable,
    /// The broker does not take the copy that is to replace it.
    NotCopied,
}

#[derive(Debug, Default)]
pub(super) struct Obstacles {
    now: Mutex<BTreeMap<(String, Kind), Obstacle>>,
}

impl Obstacles {
    /// Something lies in the way on a queue.
    pub(super) fn found(&self, queue: &str, kind: Kind, why: String, remove: String) {
        let obstacle = Obstacle {
            queue: queue.to_owned(),
            why,
            remove,
        };
        let key = (queue.to_owned(), kind);
        let known = self.lock().insert(key, obstacle.clone());
        if known.is_none() {
            let Obstacle { queue, why, remove } = obstacle;
            tracing::error!(queue, why, remove, "something on a queue lies in the way");
        }
    }

    /// It is gone: something of this kind has succeeded on the queue.
    pub(super) fn is_gone(&self, queue: &str, kind: Kind) {
        let mut now = self.lock();
        // Asked after every delivery; there is nothing to remove but when something failed before.
        if !now.is_empty() && now.remove(&(queue.to_owned(), kind)).is_some() {
            tracing::info!(queue, "what lay in the way on a queue is gone");
        }
    }

    /// What lies in the way now.
    pub(super) fn now(&self) -> Vec<Obstacle> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, Kind), Obstacle>> {
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
            obstacles.found("flexcast.work.spring", kind, text("why"), text("do"));
        };
        found(Kind::Unreadable);
        found(Kind::Unreadable);
        found(Kind::NotCopied);
        assert_eq!(obstacles.now().len(), 2);
        obstacles.is_gone("flexcast.work.autumn", Kind::NotCopied);
        obstacles.is_gone("flexcast.work.spring", Kind::Unreadable);
        assert_eq!(obstacles.now().len(), 1);
        obstacles.is_gone("flexcast.work.spring", Kind::NotCopied);
        assert_eq!(obstacles.now(), []);
    }
}
