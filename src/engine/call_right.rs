//! A consumer's right to start changing calls. It expires unless the ledger renews it.
//!
//! In: renewals, each with its expiry. Out: whether a changing call may start now. Always: the expiry is on the
//! monotonic clock, so that a consumer that was suspended or lost its ledger has no right when it continues.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

/// The right of one consumer.
#[derive(Default)]
pub struct CallRight {
    ends: Mutex<Option<Instant>>,
    renewed: Notify,
}

impl CallRight {
    /// Extends the right until this moment.
    pub fn renew(&self, ends: Instant) {
        *self.lock() = Some(ends);
        self.renewed.notify_waiters();
    }

    /// Ends the right, because the consumer has stopped.
    pub fn end(&self) {
        *self.lock() = None;
    }

    /// Whether a changing call may start now.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.lock().is_some_and(|ends| Instant::now() < ends)
    }

    /// Waits until a changing call may start.
    pub async fn held(&self) {
        loop {
            let renewed = self.renewed.notified();
            if self.is_held() {
                return;
            }
            renewed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for CallRight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallRight")
            .field("is_held", &self.is_held())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_right_runs_out_unless_it_is_renewed() {
        let right = CallRight::default();
        assert!(!right.is_held(), "nothing was asked yet");
        right.renew(Instant::now() + Duration::from_secs(3));
        assert!(right.is_held());
        tokio::time::advance(Duration::from_secs(3)).await;
        assert!(!right.is_held());
        let renewing = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            right.renew(Instant::now() + Duration::from_secs(3));
        };
        let ((), ()) = tokio::join!(right.held(), renewing);
        assert!(right.is_held());
        right.end();
        assert!(!right.is_held());
    }
}
