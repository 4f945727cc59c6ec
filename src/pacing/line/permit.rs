//! A permit, and the wait for it.

use std::fmt;
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::oneshot;

use super::Seat;
use super::driver::{Grant, PacerState};
use super::hold::LaneHold;
use crate::pacing::{Lane, LaneKind, Nanos};

/// Permission for one call, or to begin one message. While it is held, it counts against the concurrency of its lanes:
/// hold it until the reply is in.
#[must_use = "a dropped permit no longer counts against its lanes' concurrency"]
pub struct Permit {
    shared: Arc<PacerState>,
    held: Vec<LaneHold>,
    /// How long its waiter waited, and the kind of the lane that granted last; none: it did not wait.
    waited: Option<(Nanos, LaneKind)>,
}

impl Permit {
    fn new(shared: Arc<PacerState>, grant: Grant) -> Self {
        Self {
            shared,
            held: grant.held,
            waited: grant.waited,
        }
    }

    /// Takes a permit that is granted at once, or begins to wait.
    pub(in crate::pacing) fn take(
        shared: &Arc<PacerState>,
        lanes: &[Lane],
        cost: NonZeroU32,
    ) -> Result<Self, PendingPermit> {
        let entered = shared.enter(lanes, cost);
        entered
            .map(|grant| Self::new(shared.clone(), grant))
            .map_err(|(seat, grant)| PendingPermit {
                shared: shared.clone(),
                seat,
                grant,
                is_over: false,
            })
    }

    /// How long its waiter waited.
    #[must_use]
    pub fn waited(&self) -> Duration {
        Duration::from_nanos(self.waited.map_or(0, |(waited, _)| waited))
    }

    /// The kind of the lane that granted last (of a start, that of its slowest lane); none: there was no wait.
    #[must_use]
    pub fn held_up_by(&self) -> Option<LaneKind> {
        self.waited.map(|(_, lane)| lane)
    }

    /// The number by which [`crate::pacing::Pacer::replied`] knows the call; 0 for a permit without a concurrency. It
    /// encodes how many calls were under way.
    #[must_use]
    pub fn mark(&self) -> u64 {
        self.held.iter().find_map(LaneHold::mark).unwrap_or(0)
    }

    /// Gives an unused permit back. Its slots are free again, unless a later permit was granted on the same lane.
    pub fn give_back(mut self) {
        let held = std::mem::take(&mut self.held);
        self.shared.release(&held, true);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.held.iter().any(LaneHold::is_counted) {
            self.shared.release(&self.held, false);
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waited = self.waited();
        f.debug_struct("Permit")
            .field("waited", &waited)
            .finish_non_exhaustive()
    }
}

/// The wait for a permit. Dropped before it is ready, it takes nothing.
pub(in crate::pacing) struct PendingPermit {
    shared: Arc<PacerState>,
    seat: Seat,
    grant: oneshot::Receiver<Grant>,
    is_over: bool,
}

impl Future for PendingPermit {
    type Output = Permit;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Permit> {
        match Pin::new(&mut self.grant).poll(context) {
            Poll::Ready(Ok(grant)) => {
                self.is_over = true;
                Poll::Ready(Permit::new(self.shared.clone(), grant))
            }
            // A waiter's sender is dropped only with the pacer's state, which this future keeps alive.
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        }
    }
}

impl Drop for PendingPermit {
    fn drop(&mut self) {
        if self.is_over || self.shared.leave(self.seat) {
            return;
        }
        // The permit was granted and is not used: it is given back.
        self.grant.close();
        if let Ok(grant) = self.grant.try_recv() {
            self.shared.release(&grant.held, true);
        }
    }
}
