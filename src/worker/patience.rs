//! Ends a run that stands still: one that is to end by itself although nothing moves any more.
//!
//! In: how much has moved since the last pass. Out: an error, once nothing has moved for 20 minutes. Always: a run that
//! works until it is stopped is never ended here. `standstill` has the reason.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Clock;
use crate::ledger::Ledger;

use crate::worker::{Until, WorkerState};

/// How long nothing may move. This is longer than any lease, than a restart of the broker or the database, and than the
/// wait before lost messages are published once more.
pub(super) const STANDS_STILL_MAX: Duration = Duration::from_secs(20 * 60);

/// When something last moved.
pub(super) struct StandstillTimer {
    until: Until,
    moves: u64,
    moved: Instant,
}

impl StandstillTimer {
    pub(super) fn new(until: Until, now: Instant) -> Self {
        Self {
            until,
            moves: 0,
            moved: now,
        }
    }

    /// Reads how much has moved, unless the run works until it is stopped.
    pub(super) async fn look(&mut self, shared: &WorkerState) {
        if self.until == Until::Stopped {
            return;
        }
        let parts = &shared.parts;
        let again = shared.published_again.load(Ordering::Relaxed);
        let moves = shared.turns.load(Ordering::Relaxed) + again;
        let next = parts.ledger.next_due().await;
        let now = parts.clock.now();
        let waits = next.is_ok_and(|due| due.is_some_and(|due| due > now))
            || !parts.twilio.outages().away(now).is_empty();
        self.note(moves, waits, parts.clock.instant());
    }

    /// Records how much has moved so far (turns, and messages published again), and whether messages wait for their due
    /// time or for Twilio.
    fn note(&mut self, moves: u64, waits_for_a_time: bool, now: Instant) {
        if moves != self.moves || waits_for_a_time {
            self.moves = moves;
            self.moved = now;
        }
    }

    /// When the run ends if nothing moves. None for a run that works until it is stopped.
    fn ends_at(&self) -> Option<Instant> {
        (self.until != Until::Stopped).then(|| self.moved + STANDS_STILL_MAX)
    }

    /// Waits until the ledger is available, is lost for good, or the run has stood still for too long.
    pub(super) async fn until_back(&self, ledger: &Ledger, clock: Clock) {
        let Some(end) = self.ends_at() else {
            return ledger.back().await;
        };
        tokio::select! {
            biased;
            () = ledger.back() => {}
            () = ledger.lost_for_good() => {}
            () = clock.sleep(end.saturating_duration_since(clock.instant())) => {}
        }
    }

    pub(super) fn is_spent(&self, now: Instant) -> bool {
        self.ends_at().is_some_and(|end| now >= end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_run_that_is_to_end_by_itself_ends_when_nothing_moves() {
        let began = Instant::now();
        let mut patience = StandstillTimer::new(Until::Idle, began);
        patience.note(3, false, began + STANDS_STILL_MAX / 2);
        assert!(!patience.is_spent(began + STANDS_STILL_MAX));
        patience.note(3, false, began + STANDS_STILL_MAX);
        assert!(patience.is_spent(began + 2 * STANDS_STILL_MAX));
        patience.note(3, true, began + 2 * STANDS_STILL_MAX);
        assert!(!patience.is_spent(began + 2 * STANDS_STILL_MAX));
        let endless = StandstillTimer::new(Until::Stopped, began);
        assert!(!endless.is_spent(began + 9 * STANDS_STILL_MAX));
    }
}
