//! How fast we may go: every limit at once, never exceeded, never wasted.
//!
//! In: the lanes a call or a message needs. Out: a [`Permit`] when all of them let go at the same
//! moment. Always: `governor` decides and we do the waiting, in order, on the one clock; nobody holds
//! a lane while waiting for another; who waits for one lane delays nobody who does not need it.
//!
//! A call asks [`Pacer::permit`] for the account's lane and its endpoint's, and one that sends a text
//! for its sender's, just before its bytes leave. A message asks [`Pacer::book`] for its campaign's,
//! its agent's and its sender's entry lane before it begins, then [`Pacer::permit`] for the same, or
//! is put off ([`Pacer::put_off`]) until [`Pacer::call_up`] says that its lanes grant it soon.
//!
//! `schedule` says who goes next and is pure in time; `limiter` is one lane's arithmetic; `driver` is
//! where the clock comes in.

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

/// Nanoseconds since the pacer began, or how many of them.
type Nanos = u64;

fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}

/// Hands out permits. Cheap to copy; all copies share their lanes.
#[derive(Clone)]
pub struct Pacer {
    shared: Arc<PacerState>,
    senders: Arc<Senders>,
    _driver: Arc<AbortOnDropHandle<()>>,
}

impl Pacer {
    /// A pacer whose lanes start now, with nothing saved up.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime: one task of it waits for all who wait.
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

    /// Waits until all lanes let go at the same moment, and takes its turn on each of them.
    ///
    /// `cost` is counted on the lanes of senders, in segments; every other lane counts one. Lanes
    /// without a limit let go at once. Dropped before it is ready, it takes nothing. The first poll
    /// is the place in the line.
    pub async fn permit(&self, lanes: &[Lane], cost: NonZeroU32) -> Permit {
        match Permit::take(&self.shared, lanes, cost) {
            Ok(permit) => permit,
            Err(waiting) => waiting.await,
        }
    }

    /// Asks when a message's turn comes on `lanes`. `cost` as for [`Self::permit`].
    ///
    /// Up to `hold_max` it is [`Booking::Soon`]: the caller goes on to [`Self::permit`]. Beyond it the
    /// message is to be put off, [`Self::put_off`] told when that is recorded, and to ask again as
    /// [`Arrival::CalledUp`] after [`Self::call_up`] has named its backlog.
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

    /// How long somebody who asked now would wait on `lanes`, behind all who wait there already.
    #[must_use]
    pub fn expected(&self, lanes: &[Lane]) -> Duration {
        let wait = self.shared.with(|schedule, now| {
            backlog::booking::expected(&mut schedule.table, lanes, now) - now
        });
        Duration::from_nanos(wait)
    }

    /// The name of a sender's lanes: at `rate`, one of [`quotas::senders::PUBLISHED`], unless the operator gave
    /// it one quota for all it sends.
    #[must_use]
    pub fn sender(&self, address: &str, rate: &str) -> Sender {
        self.senders.named(address, rate)
    }

    fn later(&self, wait: Nanos) -> Timestamp {
        let now = self.shared.clock.now();
        now.checked_add(Duration::from_nanos(wait))
            .unwrap_or(Timestamp::MAX)
    }

    /// Sets a lane's quota, none for no limit, for those who wait too; what is owed stays owed.
    pub fn set_quota(&self, lane: &Lane, quota: Option<Quota>) {
        self.shared.with(|schedule, now| {
            for id in schedule.table.set_quota(lane, quota, now) {
                schedule.changed(id, now);
            }
        });
    }

    /// Sets the quota of every agent of a campaign, as [`Self::set_quota`]; one set for an agent's own
    /// lane goes before it.
    pub fn set_agent_quota(&self, campaign: &str, quota: Option<Quota>) {
        let campaign: Arc<str> = campaign.into();
        self.shared.with(|schedule, now| {
            for id in schedule.table.set_agents(&campaign, quota, now) {
                schedule.changed(id, now);
            }
        });
    }

    /// Sets how many permits of a lane may be held at once, none for no limit.
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

    /// The limit of this lane refused a call: nothing leaves on it for as long as these rules say.
    /// `retry_after`: what the refusal asked for.
    pub fn throttled(&self, lane: &Lane, rules: CoolDown, retry_after: Option<Duration>) {
        self.shared.with(|schedule, now| {
            let id = schedule.table.throttled(lane, rules, retry_after, now);
            if schedule.table.tracks[id].slices.is_some() {
                schedule.asking.insert(id);
            }
        });
    }

    /// Twilio answered a call, known by its permit's [`Permit::mark`]: that the account has too many under
    /// way at once, or anything else. After the first fewer are let go, until more are taken again. False
    /// when as many were taken just now: then it was another limit that refused.
    ///
    /// `concurrent`: how many calls of the whole account were under way, as the reply told; others' too. Fewer of ours
    /// are let go as well while that is as many as may be.
    pub fn replied(&self, mark: u64, is_too_many: bool, concurrent: Option<u32>) -> bool {
        self.shared.with(|schedule, now| {
            let account = schedule.table.id(&Lane::Account, now);
            mark != 0 && schedule.replied(account, mark, is_too_many, concurrent, now)
        })
    }

    /// Twilio answered anything else on this lane: a refusal after it is the first in its row.
    pub fn answered(&self, lane: &Lane) {
        self.shared
            .with(|schedule, now| schedule.table.answered(lane, now));
    }

    /// How long the store takes to answer, by its slower answers of late.
    #[must_use]
    pub fn store_takes(&self) -> Duration {
        let takes = self
            .shared
            .with(|schedule, _| schedule.table.distance.round_trip());
        Duration::from_nanos(takes)
    }

    /// Every lane in use, in the lanes' order.
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
