//! The driver: the task that advances the schedule in real time, with one lock and one clock.
//!
//! In: the schedule's next alarm. Out: woken waiters. Always: one timer serves all waiters; a waiter is woken after the
//! lock is released.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::hold::LaneHold;
use crate::clock::Clock;
use crate::pacing::lane::ask::FOREVER;
use crate::pacing::line::{Granted, Schedule, Seat};
use crate::pacing::{Lane, LaneKind, Nanos, nanos};

pub(in crate::pacing) type Waiters = Schedule<oneshot::Sender<Grant>>;
type Grants = Vec<Granted<oneshot::Sender<Grant>>>;

/// What a waiter receives when all its lanes grant.
pub(in crate::pacing) struct Grant {
    pub(super) held: Vec<LaneHold>,
    /// How long it waited, and the kind of the lane that granted last; none: it did not wait.
    pub(super) waited: Option<(Nanos, LaneKind)>,
}

struct Inner {
    schedule: Waiters,
    /// When the task wakes next.
    sleeps_until: Nanos,
}

/// The state that the pacer, its permits and its task share.
pub(in crate::pacing) struct PacerState {
    pub(in crate::pacing) clock: Clock,
    start: Instant,
    inner: Mutex<Inner>,
    /// An alarm was set that is earlier than the task's wake-up.
    earlier: Notify,
    /// The store of shared lanes is to be asked or told something.
    asking: Notify,
}

impl PacerState {
    pub(in crate::pacing) fn new(schedule: Waiters, clock: Clock) -> Self {
        Self {
            start: clock.instant(),
            clock,
            inner: Mutex::new(Inner {
                schedule,
                sleeps_until: FOREVER,
            }),
            earlier: Notify::new(),
            asking: Notify::new(),
        }
    }

    /// Changes the schedule at the present moment, and grants all permits that are due then.
    pub(in crate::pacing) fn with<T>(
        self: &Arc<Self>,
        act: impl FnOnce(&mut Waiters, Nanos) -> T,
    ) -> T {
        let mut granted = Grants::new();
        let (outcome, earlier, is_asking) = {
            let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            let (outcome, _) = self.act(&mut inner.schedule, &mut granted, act);
            let next = inner.schedule.next_alarm().unwrap_or(FOREVER);
            let earlier = next < inner.sleeps_until;
            inner.sleeps_until = inner.sleeps_until.min(next);
            (outcome, earlier, !inner.schedule.asking.is_empty())
        };
        if is_asking {
            self.asking.notify_one();
        }
        if earlier {
            self.earlier.notify_one();
        }
        self.tell(granted);
        outcome
    }

    fn act<T>(
        &self,
        schedule: &mut Waiters,
        granted: &mut Grants,
        act: impl FnOnce(&mut Waiters, Nanos) -> T,
    ) -> (T, Nanos) {
        // Read under the lock, so that `now` never goes backwards from one change to the next.
        let now = nanos(self.clock.instant().duration_since(self.start));
        schedule.advance(now, granted);
        let outcome = act(schedule, now);
        schedule.advance(now, granted);
        (outcome, now)
    }

    fn tell(self: &Arc<Self>, granted: Grants) {
        for granted in granted {
            let waited = Some((granted.waited, granted.last));
            let grant = Grant {
                held: granted.held,
                waited,
            };
            if let Err(unheard) = granted.wake.send(grant) {
                self.release(&unheard.held, true);
            }
        }
    }

    /// Grants at once, or seats a waiter and returns the channel on which it receives its grant.
    pub(super) fn enter(
        self: &Arc<Self>,
        lanes: &[Lane],
        cost: NonZeroU32,
    ) -> Result<Grant, (Seat, oneshot::Receiver<Grant>)> {
        let mut grant = None;
        let entered = self.with(|schedule, now| {
            schedule.enter(lanes, cost, now, || {
                let (wake, granted) = oneshot::channel();
                grant = Some(granted);
                wake
            })
        });
        match (entered, grant) {
            (Ok(held), _) => Ok(Grant { held, waited: None }),
            (Err(seat), Some(grant)) => Err((seat, grant)),
            (Err(_), None) => unreachable!("a seat is taken with a way to hear of the grant"),
        }
    }

    /// Removes a waiter. False if its permit was granted already.
    pub(in crate::pacing) fn leave(self: &Arc<Self>, seat: Seat) -> bool {
        self.with(|schedule, now| schedule.leave(seat, now))
    }

    pub(in crate::pacing) fn release(self: &Arc<Self>, held: &[LaneHold], unused: bool) {
        self.with(|schedule, now| schedule.release(held, unused, now));
    }

    /// Grants all permits that are due. Returns how long nothing else is due; none: until something changes.
    fn turn(self: &Arc<Self>) -> Option<Duration> {
        let mut granted = Grants::new();
        let (idle, is_asking) = {
            let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            let ((), now) = self.act(&mut inner.schedule, &mut granted, |_, _| ());
            let next = inner.schedule.next_alarm();
            inner.sleeps_until = next.unwrap_or(FOREVER);
            let idle = next.map(|due| Duration::from_nanos(due.saturating_sub(now)));
            (idle, !inner.schedule.asking.is_empty())
        };
        if is_asking {
            self.asking.notify_one();
        }
        self.tell(granted);
        idle
    }

    /// Returns once the store of shared lanes is to be asked or told something.
    pub(in crate::pacing) async fn asking(&self) {
        self.asking.notified().await;
    }

    /// The moment in nanoseconds since the pacer began.
    pub(in crate::pacing) fn nanos_at(&self, moment: Instant) -> Nanos {
        nanos(moment.saturating_duration_since(self.start))
    }
}

/// Grants permits as they become due, until it is dropped.
pub(in crate::pacing) async fn drive(shared: Arc<PacerState>) {
    loop {
        match shared.turn() {
            Some(idle) => tokio::select! {
                biased;
                () = shared.earlier.notified() => {}
                () = shared.clock.sleep(idle) => {}
            },
            None => shared.earlier.notified().await,
        }
    }
}
