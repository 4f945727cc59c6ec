//! Leave to act, and the wait for it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::oneshot;

use super::Seat;
use super::driver::Shared;
use super::held::Held;
use crate::pacing::{LaneKind, Nanos};

/// Leave to act once. Dropping it frees its places: hold it until the reply is in.
#[must_use = "a permit's places are free again when it is dropped"]
pub struct Permit {
    shared: Arc<Shared>,
    held: Vec<Held>,
    /// How long it was waited for, and the lane that let go last.
    waited: Option<(Nanos, LaneKind)>,
}

impl Permit {
    pub(in crate::pacing) fn new(
        shared: Arc<Shared>,
        held: Vec<Held>,
        waited: Option<(Nanos, LaneKind)>,
    ) -> Self {
        Self {
            shared,
            held,
            waited,
        }
    }

    /// How long it was waited for.
    #[must_use]
    pub fn waited(&self) -> Duration {
        Duration::from_nanos(self.waited.map_or(0, |(waited, _)| waited))
    }

    /// The lane that it was waited for longest; none when there was no wait.
    #[must_use]
    pub fn held_up_by(&self) -> Option<LaneKind> {
        self.waited.map(|(_, lane)| lane)
    }

    /// What [`crate::pacing::Pacer::replied`] knows the call by: how many were under way with it.
    #[must_use]
    pub fn mark(&self) -> u64 {
        self.held.iter().find_map(Held::mark).unwrap_or(0)
    }

    /// Gives an unused permit back: nothing was done, and its slots are free unless somebody was let
    /// go after it already.
    pub fn give_back(mut self) {
        let held = std::mem::take(&mut self.held);
        self.shared.release(&held, true);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.held.iter().any(Held::is_place) {
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

/// The wait for a permit; dropped, it takes nothing.
pub(in crate::pacing) struct Waiting {
    pub(in crate::pacing) shared: Arc<Shared>,
    pub(in crate::pacing) seat: Seat,
    pub(in crate::pacing) grant: oneshot::Receiver<Permit>,
    pub(in crate::pacing) over: bool,
}

impl Future for Waiting {
    type Output = Permit;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Permit> {
        match Pin::new(&mut self.grant).poll(context) {
            Poll::Ready(Ok(permit)) => {
                self.over = true;
                Poll::Ready(permit)
            }
            // A waiter's sender is dropped with the pacer only, and we hold on to that.
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.over || self.shared.leave(self.seat) {
            return;
        }
        // Let go, but not told yet or not listening any more: it takes nothing all the same.
        self.grant.close();
        if let Ok(permit) = self.grant.try_recv() {
            permit.give_back();
        }
    }
}
