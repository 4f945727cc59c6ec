//! One lane's limiter: `governor` decides; the decision is applied only once all lanes of a waiter agree.
//!
//! In: a moment and a cost. Out: the charge of a permit, or the moment to ask again. Always: asking changes nothing;
//! any window of the quota's unit holds at most its count, plus the burst beyond one.
//!
//! GCRA's state is one number, the theoretical arrival time (`tat`). The limiter keeps it and shows it to `governor`
//! for each decision. Other changes are made to it directly, since `governor` has no operation for them: a slot that
//! comes back, a rest, another quota, a cost above the burst, a start that the store granted.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos as GovernorNanos;
use governor::state::{NotKeyed, StateStore};
use governor::{Quota as GovernorQuota, RateLimiter};

use crate::pacing::quotas::settings::Margin;
use crate::pacing::{Nanos, Quota, Unit, nanos};

/// The longest lateness of a timer that a lane makes good: Tokio's timer wheel turns once per millisecond, and a busy
/// machine adds a few.
const LATENESS_MAX: Nanos = 5_000_000;

/// The same for a lane that several consumers share.
const SHARED_LATENESS_MAX: Nanos = 200_000_000;

/// The longest wait for another lane that a lane makes good whose quota is counted by the minute or longer.
const CREDIT_MAX: Nanos = 1_000_000_000;

/// The clock that `governor` reads: the moment that a decision is about.
#[derive(Clone, Debug, Default)]
struct Moment(Cell<Nanos>);

impl Clock for Moment {
    type Instant = GovernorNanos;

    fn now(&self) -> GovernorNanos {
        self.0.get().into()
    }
}

/// The state that `governor` reads and writes. A new state is only proposed: a lane is charged once all lanes of the
/// waiter grant.
struct LaneState {
    tat: Option<Nanos>,
    proposed: Cell<Nanos>,
}

impl StateStore for LaneState {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _key: &NotKeyed, f: F) -> Result<T, E>
    where
        F: Fn(Option<GovernorNanos>) -> Result<(T, GovernorNanos), E>,
    {
        let (outcome, next) = f(self.tat.map(Into::into))?;
        self.proposed.set(next.into());
        Ok(outcome)
    }
}

/// The change that a permit makes to a lane's `tat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pacing) struct Charge {
    before: Option<Nanos>,
    after: Nanos,
}

impl Charge {
    /// When the lane is free for the next permit.
    pub(in crate::pacing) fn end(self) -> Nanos {
        self.after
    }
}

/// One lane's limiter.
#[derive(Clone, Debug)]
pub(in crate::pacing) struct Limiter {
    quota: Quota,
    /// How many slots may be granted at once.
    burst: NonZeroU32,
    /// The duration of one slot, the margin included.
    period: Nanos,
    /// How late a permit may be granted without delaying the next one.
    lateness: Nanos,
    /// The same for a start that the store of shared lanes grants, which waited for another lane.
    credit: Nanos,
    /// GCRA's theoretical arrival time: when the next permit is due if no burst is saved.
    tat: Option<Nanos>,
}

impl Limiter {
    /// A limiter with its whole burst saved.
    pub(in crate::pacing) fn new(quota: Quota, margin: Margin) -> Self {
        let unit = nanos(quota.unit().duration());
        let kept_back = unit / 1_000_000 * u64::from(margin.ppm());
        let period = nanos(quota.period_with_margin(margin.ppm()));
        // A part of the time that the margin keeps back may be spent on late permits: a window then still holds no more
        // than the quota. With a quota per second, a quarter is for late timers, and three quarters are left for jitter
        // on the way. With a longer unit, half is for waits at other lanes too.
        let credit = match quota.unit() {
            Unit::Second => 0,
            Unit::Minute | Unit::Hour | Unit::Day => (kept_back / 2).min(CREDIT_MAX),
        };
        Self {
            quota,
            burst: quota.burst(),
            period,
            lateness: (kept_back / 4).min(LATENESS_MAX).max(credit),
            // Half a period at most, so that the store knows a start that is given back by its end.
            credit: credit.min(period / 2),
            tat: None,
        }
    }

    /// The limiter at moment zero, when the process starts: without a free slot, or with exactly one.
    pub(in crate::pacing) fn starting(mut self, empty: bool) -> Self {
        let burst = u64::from(self.burst.get());
        let owed = if empty { burst } else { burst - 1 };
        self.tat = Some(owed * self.period);
        self
    }

    /// A limiter of a lane that other consumers use too: burst 1, and half of the margin for late timers, since a later
    /// permit is lost. With a unit longer than a second it is a sixth, since waits at other lanes have half.
    pub(in crate::pacing) fn shared(quota: Quota, margin: Margin) -> Self {
        let unit = nanos(quota.unit().duration());
        let kept_back = unit / 1_000_000 * u64::from(margin.ppm());
        let part = match quota.unit() {
            Unit::Second => kept_back / 2,
            Unit::Minute | Unit::Hour | Unit::Day => kept_back / 6,
        };
        Self {
            burst: NonZeroU32::MIN,
            lateness: part.min(SHARED_LATENESS_MAX),
            ..Self::new(quota, margin)
        }
    }

    /// How long before a start the lane is charged from at most, if another lane delayed the start.
    pub(in crate::pacing) fn credit(&self) -> Nanos {
        self.credit
    }

    /// The earliest moment from which a permit granted at `now` is charged.
    pub(super) fn credited(&self, now: Nanos) -> Nanos {
        now.saturating_sub(self.lateness)
    }

    pub(in crate::pacing) fn quota(&self) -> Quota {
        self.quota
    }

    pub(in crate::pacing) fn period(&self) -> Nanos {
        self.period
    }

    /// Asks `governor` whether the lane grants `cost` at `now`, charged from `as_of`, when the slot was due: a late
    /// timer or a wait for another lane then costs the lane nothing. The limiter bounds how far back `as_of` counts.
    ///
    /// A cost above the burst is granted when a whole burst is free, and the remaining slots are charged beyond it;
    /// otherwise it could never be granted.
    ///
    /// # Errors
    ///
    /// The moment to ask again; later than `now`, unless `as_of` is before [`Self::due`].
    pub(in crate::pacing) fn ask(
        &self,
        cost: NonZeroU32,
        as_of: Nanos,
        now: Nanos,
    ) -> Result<Charge, Nanos> {
        let at_once = cost.min(self.burst);
        let moment = as_of.max(self.credited(now)).min(now);
        let governor = self.governor(moment);
        let decision = governor
            .check_n(at_once)
            .expect("no more than the burst is asked at once");
        match decision {
            Ok(()) => {
                let rest = u64::from(cost.get() - at_once.get()).saturating_mul(self.period);
                let proposed = governor.into_state_store().proposed.get();
                Ok(Charge {
                    before: self.tat,
                    after: proposed.saturating_add(rest),
                })
            }
            Err(not_until) => Err(not_until.earliest_possible().into()),
        }
    }

    /// The charge of a start at `at`. The store of shared lanes has decided; `governor` is not asked.
    pub(in crate::pacing) fn start(&self, cost: NonZeroU32, at: Nanos) -> Charge {
        let lasts = self.period.saturating_mul(cost.get().into());
        let after = at.saturating_add(lasts).max(self.free_at());
        let before = self.tat;
        Charge { before, after }
    }

    fn governor(
        &self,
        moment: Nanos,
    ) -> RateLimiter<NotKeyed, LaneState, Moment, NoOpMiddleware<GovernorNanos>> {
        let quota = GovernorQuota::with_period(Duration::from_nanos(self.period))
            .expect("a period is above zero: a quota's count is bounded")
            .allow_burst(self.burst);
        let probe = LaneState {
            tat: self.tat,
            proposed: Cell::new(0),
        };
        // Built at moment zero, from which `governor` counts: its times are nanoseconds since the pacer began.
        let governor = RateLimiter::new(quota, probe, Moment::default());
        governor.clock().0.set(moment);
        governor
    }

    /// When the lane grants `cost` if nothing else is granted before; 0 when nothing was ever charged. The same moment
    /// as in a refusal of `governor`, which names it only then.
    pub(in crate::pacing) fn due(&self, cost: NonZeroU32) -> Nanos {
        let at_once = cost.min(self.burst).get();
        let spare = u64::from(self.burst.get() - at_once) * self.period;
        self.tat.unwrap_or(0).saturating_sub(spare)
    }

    /// Applies a charge that [`Self::ask`] or [`Self::start`] returned.
    pub(in crate::pacing) fn charge(&mut self, charge: Charge) {
        self.tat = Some(charge.after);
    }

    /// Gives an unused charge back, unless a later one builds on it: that permit was granted as early as the limit
    /// allows after this one. Returns whether it came back.
    pub(in crate::pacing) fn give_back(&mut self, charge: Charge) -> bool {
        let last = self.tat == Some(charge.after);
        if last {
            self.tat = charge.before;
        }
        last
    }

    /// Grants nothing before `until`, and then one slot at a time.
    pub(in crate::pacing) fn push(&mut self, until: Nanos) {
        let saved = u64::from(self.burst.get() - 1) * self.period;
        self.tat = Some(self.tat.unwrap_or(0).max(until.saturating_add(saved)));
    }

    /// Goes on with another quota. The slots that are owed stay owed, each for the new period.
    pub(in crate::pacing) fn requota(&mut self, mut next: Self, now: Nanos) {
        next.tat = self.tat.map(|tat| {
            let owed = u128::from(tat.saturating_sub(now)) * u128::from(next.period);
            let owed = owed.div_ceil(u128::from(self.period));
            now.saturating_add(u64::try_from(owed).unwrap_or(u64::MAX / 2))
        });
        *self = next;
    }

    /// When all charged slots are over; 0 when nothing was ever charged.
    pub(in crate::pacing) fn free_at(&self) -> Nanos {
        self.tat.unwrap_or(0)
    }

    /// Whether nothing is owed: the whole burst is saved.
    pub(super) fn is_fresh(&self, now: Nanos) -> bool {
        self.tat.is_none_or(|tat| tat <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Nanos = 1_000_000;
    const ONE: NonZeroU32 = NonZeroU32::MIN;

    fn limiter(quota: &str, margin_percent: f64) -> Limiter {
        let margin = Margin::percent(margin_percent).expect("a margin");
        Limiter::new(quota.parse().expect("a quota"), margin)
    }

    fn cost(n: u32) -> NonZeroU32 {
        NonZeroU32::new(n).expect("not zero")
    }

    #[test]
    fn asking_takes_nothing() {
        let mut lane = limiter("10/s", 0.0);
        let first = lane.ask(ONE, MS, MS).expect("free");
        assert_eq!(lane.ask(ONE, MS, MS), Ok(first));
        lane.charge(first);
        assert_eq!(lane.ask(ONE, MS, MS), Err(101 * MS));
        assert!(lane.ask(ONE, MS, 101 * MS).is_ok());
    }

    #[test]
    fn a_burst_is_granted_at_once_and_then_one_by_one() {
        let mut lane = limiter("10/s, burst 3", 0.0);
        for _ in 0..3 {
            let charge = lane.ask(ONE, 0, 0).expect("within the burst");
            lane.charge(charge);
        }
        assert_eq!(lane.ask(ONE, 0, 0), Err(100 * MS));
    }

    #[test]
    fn a_cost_above_the_burst_is_charged_beyond_it() {
        let mut lane = limiter("1/s", 0.0);
        let segments = lane.ask(cost(3), 0, 0).expect("free");
        lane.charge(segments);
        assert_eq!(lane.ask(ONE, 0, 1), Err(3_000 * MS));
        let mut bursting = limiter("10/s, burst 4", 0.0);
        let charge = bursting.ask(cost(3), 0, 0).expect("within the burst");
        bursting.charge(charge);
        assert_eq!(bursting.ask(cost(4), 0, 1), Err(300 * MS));
        assert!(bursting.ask(ONE, 0, 1).is_ok());
    }

    #[test]
    fn a_new_process_has_no_saved_burst_for_a_previous_one_may_have_used_it() {
        let empty = limiter("10/s, burst 5", 0.0).starting(true);
        assert_eq!(empty.ask(ONE, 0, 0), Err(100 * MS));
        let mut slow = limiter("1/min, burst 5", 0.0).starting(false);
        let first = slow.ask(ONE, 0, 0).expect("one permit");
        slow.charge(first);
        assert_eq!(slow.ask(ONE, 0, 0), Err(60_000 * MS));
    }

    #[test]
    fn a_late_timer_costs_the_lane_nothing_within_the_margin() {
        let mut lane = limiter("100/s", 2.0);
        let mut now = 0;
        for _ in 0..1_000 {
            let charge = lane.ask(ONE, lane.due(ONE), now).expect("due");
            lane.charge(charge);
            // Every timer is 1.3 ms late.
            now = lane.due(ONE) + 13 * MS / 10;
        }
        assert!(now < 10_210 * MS, "{now}");
    }

    #[test]
    fn however_late_the_timers_are_no_second_holds_more_than_the_quota() {
        for (text, most) in [("10/s", 10), ("100/s", 100), ("1,000/s", 1_000)] {
            let mut lane = limiter(text, 2.0);
            let mut times: Vec<Nanos> = Vec::new();
            let (mut now, mut random) = (0, 7_u64);
            while times.len() < 4_000 {
                // Permits are granted whenever the timer fires, sometimes after a long stall.
                while let Ok(charge) = lane.ask(ONE, lane.due(ONE), now) {
                    lane.charge(charge);
                    times.push(now);
                }
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let stall = if random >> 60 == 0 { 700 * MS } else { 3 * MS };
                now = lane.due(ONE).max(now) + (random >> 33) % stall;
            }
            let second = |from: &Nanos| times.partition_point(|at| *at < from + 1_000 * MS);
            let worst = (0..times.len()).map(|n| second(&times[n]) - n).max();
            assert!(worst <= Some(most), "{text}: {worst:?}");
        }
    }

    #[test]
    fn a_waiter_that_did_not_wait_gets_no_credit_for_lateness() {
        let mut lane = limiter("100/s", 2.0);
        let first = lane.ask(ONE, 0, 0).expect("free");
        lane.charge(first);
        let at = 500 * MS;
        let second = lane.ask(ONE, at, at).expect("free");
        lane.charge(second);
        assert_eq!(lane.ask(ONE, at, at), Err(at + 10_200_000));
    }

    #[test]
    fn an_unused_slot_comes_back_unless_another_builds_on_it() {
        let mut lane = limiter("10/s", 0.0);
        let first = lane.ask(ONE, 0, 0).expect("free");
        lane.charge(first);
        assert!(lane.give_back(first));
        let again = lane.ask(ONE, 0, 0).expect("free again");
        lane.charge(again);
        let second = lane.ask(ONE, 0, 100 * MS).expect("due");
        lane.charge(second);
        assert!(!lane.give_back(again));
    }

    #[test]
    fn another_quota_acts_on_what_is_owed() {
        let mut lane = limiter("1/hr", 0.0);
        let first = lane.ask(ONE, 0, 0).expect("free");
        lane.charge(first);
        lane.requota(limiter("10/s", 0.0), 1_800_000 * MS);
        assert_eq!(lane.due(ONE), 1_800_050 * MS);
        lane.requota(limiter("1/min", 0.0), 1_800_000 * MS);
        assert_eq!(lane.due(ONE), 1_830_000 * MS);
    }

    #[test]
    fn a_push_delays_the_lane_and_spends_its_burst() {
        let mut lane = limiter("10/s, burst 5", 0.0);
        lane.push(1_000 * MS);
        assert_eq!(lane.ask(ONE, 0, MS), Err(1_000 * MS));
        let first = lane.ask(ONE, 0, 1_000 * MS).expect("due");
        lane.charge(first);
        assert_eq!(lane.ask(ONE, 0, 1_000 * MS), Err(1_100 * MS));
    }
}
