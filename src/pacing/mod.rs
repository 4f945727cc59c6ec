//! When calls and messages may go: every limit is kept, and none is wasted.
//!
//! In: the lanes that a call or a message needs, and its cost. Out: a [`Permit`], as soon as all of these lanes grant
//! it at the same moment. Always: the oldest waiter that all its lanes can grant goes first; a waiter takes nothing
//! from a lane while it waits for another one; a waiter does not delay those that do not need its lanes.
//!
//! The rooms, in reading order:
//!
//! 1. `quotas`: how often something may be done, as Twilio publishes it and as an operator sets it. Plain data.
//! 2. `lane`: one lane, which is what a limit applies to: its limiter, its concurrency, its time slices, and its rest
//!    after a refusal such as a 429 (cool-down).
//! 3. `line`: who is next: the schedule, classes of waiters, starts, permits, and the task that drives the schedule.
//!    The schedule is pure in time: only `driver` reads a clock.
//! 4. `backlog`: messages whose turn comes later. They wait in the ledger.
//! 5. `cluster`: lanes that several consumers share: what a consumer asks of their store, and how the store divides a
//!    lane among them.
//!
//! A call asks [`Pacer::permit`] for the account's lane, its endpoint's lane and, if it sends a text, its sender's
//! lane, just before its bytes leave. It holds the permit until the reply is in.
//!
//! A message asks [`Pacer::book`] before it begins, for its campaign's lane, its agent's lane and its sender's entry
//! lane. If its turn comes soon, it waits in [`Pacer::permit`] for the same lanes. If not, it is put off
//! ([`Pacer::put_off`]) and asks again after [`Pacer::call_up`] has called its backlog up.
//!
//! The crate `governor` (GCRA, the generic cell rate algorithm) decides whether a lane of this consumer grants a
//! permit: `Limiter::ask` in `lane/limiter.rs` hands each decision to it, and the decision is applied only once all
//! lanes of the waiter agree. Two things are computed beside it:
//!
//! - The moment at which a lane grants (`Limiter::due`), and what a forecast makes of it (`Track::expected`):
//!   `governor` names that moment only when it refuses.
//! - Starts and time slices of shared lanes: the store grants them by the same arithmetic, in SQL (`hand_out`), since
//!   the `governor` of one consumer cannot decide for several. Within a time slice, `Limiter::ask` decides again.

mod quotas;
mod lane;
mod line;
mod backlog;
mod cluster;

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::task::AbortOnDropHandle;

pub use backlog::booking::{Arrival, Booking};
pub use backlog::calling::BacklogCall;
pub use backlog::name::backlog_name;
pub use backlog::{CallResult, PutOff};
pub use cluster::shared::{
    LaneAnswers, LaneRequest, LaneTime, SliceAnswer, SliceWant, StartAnswer, StartLane, StartWant,
    UnusedStart, hand_out,
};
pub use cluster::shared_store::{ServerTime, SharedStore, StoreFailure};
pub use cluster::sharer::Sharer;
pub use lane::concurrency::ConcurrencyShare;
pub use lane::cooldown::CoolDown;
pub use lane::{Lane, LaneKind, Sender};
pub use line::permit::Permit;
pub use line::view::LaneView;
pub use quotas::limits::{CountedBy, Limits, UnknownOperation};
pub use quotas::quota::{InvalidQuota, Quota, Unit};
pub use quotas::senders::Senders;
pub use quotas::settings::{InvalidMargin, Margin, PacingSettings};
pub use quotas::{limits, senders};

use backlog::booking::{Expectation, Needs};
use line::Schedule;
use line::driver::PacerState;
use line::table::LaneTable;

use crate::clock::Clock;

/// A moment, in nanoseconds since the pacer began; or a duration in nanoseconds.
type Nanos = u64;

fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}

/// Grants permits. Cheap to clone; all clones share their lanes.
#[derive(Clone)]
pub struct Pacer {
    shared: Arc<PacerState>,
    senders: Arc<Senders>,
    _driver: Arc<AbortOnDropHandle<()>>,
}

impl Pacer {
    /// A pacer whose lanes start now, without a saved burst.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime: the pacer spawns one task, which wakes all waiters.
    #[must_use]
    pub fn new(settings: PacingSettings, clock: Clock) -> Self {
        let senders = Arc::new(settings.senders.clone());
        let schedule = Schedule::new(LaneTable::new(settings));
        let shared = Arc::new(PacerState::new(schedule, clock));
        let driver = tokio::spawn(line::driver::drive(shared.clone()));
        Self {
            shared,
            senders,
            _driver: Arc::new(AbortOnDropHandle::new(driver)),
        }
    }

    /// Waits until all `lanes` grant a permit at the same moment.
    ///
    /// `cost` is in SMS segments and counts on the lanes of senders; every other lane counts one. Lanes without a limit
    /// grant at once. The waiter arrives at the first poll. A future that is dropped before it is ready takes
    /// nothing.
    pub async fn permit(&self, lanes: &[Lane], cost: NonZeroU32) -> Permit {
        match Permit::take(&self.shared, lanes, cost) {
            Ok(permit) => permit,
            Err(waiting) => waiting.await,
        }
    }

    /// Asks when a message's turn comes on `lanes`. `cost` as for [`Self::permit`].
    ///
    /// [`Booking::Soon`]: its turn comes within `hold_max`; the caller goes on to [`Self::permit`]. While other
    /// messages are put off for one of the lanes, a new message is soon only within a fifteenth of `hold_max`.
    ///
    /// [`Booking::Later`]: the caller records the message in the ledger's backlog, then calls [`Self::put_off`]. The
    /// message asks again as [`Arrival::CalledUp`] after [`Self::call_up`] has named its backlog.
    #[must_use = "a message that is not soon must be put off"]
    pub fn book(
        &self,
        lanes: &[Lane],
        cost: NonZeroU32,
        hold_max: Duration,
        arrival: Arrival,
    ) -> Booking {
        let expectation = self.shared.with(|schedule, now| {
            schedule.table.sweep(now);
            let needs = Needs { lanes, cost };
            backlog::booking::book(schedule, needs, hold_max, arrival, now)
        });
        match expectation {
            Expectation::Soon => Booking::Soon,
            Expectation::In(wait) => Booking::Later(self.later(wait)),
        }
    }

    /// How long a waiter that comes now would wait for `lanes`, behind all that wait there already.
    #[must_use]
    pub fn expected(&self, lanes: &[Lane]) -> Duration {
        let wait = self.shared.with(|schedule, now| {
            backlog::booking::expected(&mut schedule.table, lanes, now) - now
        });
        Duration::from_nanos(wait)
    }

    /// The name of a sender's lanes. It includes `rate`, one of [`quotas::senders::PUBLISHED`], unless the operator
    /// gave the sender one quota for all that it sends.
    #[must_use]
    pub fn sender(&self, address: &str, rate: &str) -> Sender {
        self.senders.named(address, rate)
    }

    fn later(&self, wait: Nanos) -> Timestamp {
        let now = self.shared.clock.now();
        now.checked_add(Duration::from_nanos(wait))
            .unwrap_or(Timestamp::MAX)
    }

    /// Sets a lane's quota; none: no limit. The quota applies to the present waiters too. Slots that were granted stay
    /// charged.
    pub fn set_quota(&self, lane: &Lane, quota: Option<Quota>) {
        self.shared.with(|schedule, now| {
            for id in schedule.table.set_quota(lane, quota, now) {
                schedule.changed(id, now);
            }
        });
    }

    /// Sets the quota of every agent of a campaign, as [`Self::set_quota`] does. A quota that is set for one agent's
    /// lane takes precedence.
    pub fn set_agent_quota(&self, campaign: &str, quota: Option<Quota>) {
        let campaign: Arc<str> = campaign.into();
        self.shared.with(|schedule, now| {
            for id in schedule.table.set_agents(&campaign, quota, now) {
                schedule.changed(id, now);
            }
        });
    }

    /// Sets how many permits of a lane may be held at once; none: no limit.
    pub fn set_concurrency(&self, lane: &Lane, concurrency: Option<u32>) {
        self.shared.with(|schedule, now| {
            let id = schedule.table.set_concurrency(lane, concurrency, now);
            schedule.wake(id, now);
        });
    }

    /// Forgets the quotas of a campaign that is over.
    pub fn forget_campaign(&self, campaign: &str) {
        self.shared
            .with(|schedule, _| schedule.table.forget_campaign(campaign));
    }

    /// Twilio refused a call because of this lane's limit (a 429, or the error code of a full sender queue): the lane
    /// rests for as long as `rules` say.
    /// `retry_after`: the value of the reply's `Retry-After`.
    pub fn throttled(&self, lane: &Lane, rules: CoolDown, retry_after: Option<Duration>) {
        self.shared.with(|schedule, now| {
            let id = schedule.table.throttled(lane, rules, retry_after, now);
            if schedule.table.tracks[id].slices.is_some() {
                schedule.asking.insert(id);
            }
        });
    }

    /// Takes note of Twilio's reply to a call, which its permit's [`Permit::mark`] identifies.
    ///
    /// `is_too_many`: the account has too many calls under way at once (error 20429). Then fewer are granted at once,
    /// until Twilio accepts more again. Returns false if Twilio accepted as many just before: then another limit
    /// refused the call.
    ///
    /// `concurrent`: how many calls of the whole account were under way, as the reply says; it includes calls of other
    /// programs. This consumer's concurrency is lowered as well while the account is full by that number.
    pub fn replied(&self, mark: u64, is_too_many: bool, concurrent: Option<u32>) -> bool {
        self.shared.with(|schedule, now| {
            let account = schedule.table.id(&Lane::Account, now);
            mark != 0 && schedule.replied(account, mark, is_too_many, concurrent, now)
        })
    }

    /// Takes note of a reply on this lane that was no refusal: the next refusal is then the first in its row.
    pub fn answered(&self, lane: &Lane) {
        self.shared
            .with(|schedule, now| schedule.table.answered(lane, now));
    }

    /// How long the store takes to answer: the second slowest of its last answers.
    #[must_use]
    pub fn store_takes(&self) -> Duration {
        let takes = self
            .shared
            .with(|schedule, _| schedule.table.distance.round_trip());
        Duration::from_nanos(takes)
    }

    /// Every lane in use, ordered by lane.
    #[must_use]
    pub fn lanes(&self) -> Vec<LaneView> {
        let mut views = self
            .shared
            .with(|schedule, now| line::view::views(schedule, now));
        views.sort_unstable_by(|a, b| a.lane.cmp(&b.lane));
        views
    }
}

impl fmt::Debug for Pacer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pacer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;
