//! The table of all lanes, and the rules by which a new lane gets its limits.
//!
//! In: lanes by name. Out: their index in the table. Always: a lane that is unused for a while and on which nothing is
//! owed is forgotten. Each access checks a few lanes, so that no access pays for all.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use slab::Slab;

use crate::pacing::cluster::distance::Distance;
use crate::pacing::lane::concurrency::Concurrency;
use crate::pacing::lane::limiter::Limiter;
use crate::pacing::lane::slices::Slices;
use crate::pacing::lane::track::{LaneRef, Track};
use crate::pacing::{CoolDown, Lane, Nanos, PacingSettings, Quota, nanos};

/// How many lanes one access checks: more than it adds, so that the table does not outgrow its use.
const SWEPT_PER_CALL: usize = 4;

/// All lanes, and the quotas that are set for them.
pub(in crate::pacing) struct LaneTable {
    settings: PacingSettings,
    pub(in crate::pacing) tracks: Slab<Track>,
    by_lane: HashMap<Lane, usize>,
    /// Quotas that are set for one lane; none: no limit.
    quotas: HashMap<Lane, Option<Quota>>,
    /// The quota of each agent of a campaign.
    agents: HashMap<Arc<str>, Option<Quota>>,
    /// Concurrency that is set for one lane; none: no limit.
    concurrency: HashMap<Lane, Option<u32>>,
    serials: u64,
    /// The index that is checked next for idleness.
    hand: usize,
    /// How many consumers use the shared lanes.
    pub(in crate::pacing) consumers: u64,
    /// How far away the store of shared lanes is.
    pub(in crate::pacing) distance: Distance,
}

impl LaneTable {
    pub(in crate::pacing) fn new(settings: PacingSettings) -> Self {
        Self {
            settings,
            tracks: Slab::new(),
            by_lane: HashMap::new(),
            quotas: HashMap::new(),
            agents: HashMap::new(),
            concurrency: HashMap::new(),
            serials: 0,
            hand: 0,
            consumers: 1,
            distance: Distance::default(),
        }
    }

    /// The lanes' indices in the table, sorted and without duplicates. A new lane is added with its limits.
    pub(in crate::pacing) fn ids(&mut self, lanes: &[Lane], now: Nanos) -> Vec<usize> {
        let mut ids: Vec<usize> = lanes.iter().map(|lane| self.id(lane, now)).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    pub(in crate::pacing) fn id(&mut self, lane: &Lane, now: Nanos) -> usize {
        if let Some(id) = self.by_lane.get(lane) {
            return *id;
        }
        self.serials += 1;
        let mut track = Track::new(lane.clone(), self.serials, now);
        track.limiter = self.quota_of(lane).map(|quota| self.limiter(quota));
        track.slices = self.settings.shared.then(Slices::default);
        track.concurrency = self.concurrency_of(lane).map(|most| match lane {
            Lane::Account => Concurrency::with_ceiling(most),
            _ => Concurrency::new(most),
        });
        let id = self.tracks.insert(track);
        self.by_lane.insert(lane.clone(), id);
        id
    }

    /// A reference to the lane at an index.
    pub(in crate::pacing) fn lane_ref(&self, id: usize) -> LaneRef {
        self.tracks[id].lane_ref(id)
    }

    /// The lane that `lane` refers to; none: it was forgotten.
    pub(in crate::pacing) fn find(&mut self, lane: LaneRef) -> Option<&mut Track> {
        let track = self.tracks.get_mut(lane.id);
        track.filter(|track| track.serial == lane.serial)
    }

    fn limiter(&self, quota: Quota) -> Limiter {
        if self.settings.shared {
            return Limiter::shared(quota, self.settings.margin);
        }
        let empty = quota.period() <= self.settings.start_empty;
        Limiter::new(quota, self.settings.margin).starting(empty)
    }

    fn quota_of(&self, lane: &Lane) -> Option<Quota> {
        if let Some(quota) = self.quotas.get(lane) {
            return *quota;
        }
        match lane {
            Lane::Endpoint { operation, .. } => self.settings.limits.of(operation),
            Lane::Agent { campaign, .. } => self.agents.get(campaign).copied().flatten(),
            Lane::Sender(sender) | Lane::Entry(sender) => self.settings.senders.of(sender),
            Lane::Account | Lane::Campaign(_) => None,
        }
    }

    fn concurrency_of(&self, lane: &Lane) -> Option<u32> {
        match self.concurrency.get(lane) {
            Some(concurrency) => *concurrency,
            None if *lane == Lane::Account => Some(self.settings.concurrency.get()),
            None => None,
        }
    }

    /// How many calls of the account may be under way at once.
    pub(in crate::pacing) fn concurrency(&self) -> NonZeroU32 {
        self.settings.concurrency
    }

    /// Sets one lane's quota. Returns the lane's index if its limiter changed.
    pub(in crate::pacing) fn set_quota(
        &mut self,
        lane: &Lane,
        quota: Option<Quota>,
        now: Nanos,
    ) -> Vec<usize> {
        self.quotas.insert(lane.clone(), quota);
        let id = self.by_lane.get(lane).copied();
        id.into_iter().filter(|id| self.requota(*id, now)).collect()
    }

    /// Sets the quota of each agent of a campaign, except those for whose lane one is set. Returns the lanes whose
    /// limiter changed.
    pub(in crate::pacing) fn set_agents(
        &mut self,
        campaign: &Arc<str>,
        quota: Option<Quota>,
        now: Nanos,
    ) -> Vec<usize> {
        self.agents.insert(campaign.clone(), quota);
        let is_agent =
            |lane: &Lane| matches!(lane, Lane::Agent { campaign: of, .. } if of == campaign);
        let ids: Vec<usize> = self
            .tracks
            .iter()
            .filter(|(_, track)| is_agent(&track.lane))
            .map(|(id, _)| id)
            .collect();
        ids.into_iter()
            .filter(|id| self.requota(*id, now))
            .collect()
    }

    /// Sets how many permits of a lane may be held at once. Returns the lane's index.
    pub(in crate::pacing) fn set_concurrency(
        &mut self,
        lane: &Lane,
        max: Option<u32>,
        now: Nanos,
    ) -> usize {
        self.concurrency.insert(lane.clone(), max);
        let id = self.id(lane, now);
        let track = &mut self.tracks[id];
        match (&mut track.concurrency, max) {
            (Some(concurrency), Some(max)) => concurrency.allow(max),
            (concurrency, max) => *concurrency = max.map(Concurrency::new),
        }
        id
    }

    /// Begins a lane's rest, since Twilio refused a call because of its limit. Returns the lane's index.
    pub(in crate::pacing) fn throttled(
        &mut self,
        lane: &Lane,
        rules: CoolDown,
        retry_after: Option<Duration>,
        now: Nanos,
    ) -> usize {
        let id = self.id(lane, now);
        let track = &mut self.tracks[id];
        track.rest.refused(rules, retry_after, now);
        track.last_used = now;
        if let Some(slices) = &mut track.slices {
            slices.rest = Some(track.rest.until);
        }
        // The saved burst is spent too: it must not be granted right after the rest.
        if let Some(limiter) = &mut track.limiter {
            limiter.push(track.rest.until);
        }
        id
    }

    /// Takes note of a reply that was no refusal because of the lane's limit.
    pub(in crate::pacing) fn answered(&mut self, lane: &Lane, now: Nanos) {
        if let Some(id) = self.by_lane.get(lane) {
            self.tracks[*id].rest.answered(now);
        }
    }

    /// Forgets the quotas of a campaign that is over. Its lanes are forgotten once nothing is owed on them.
    pub(in crate::pacing) fn forget_campaign(&mut self, campaign: &str) {
        self.agents.remove(campaign);
        self.quotas.retain(|lane, _| match lane {
            Lane::Campaign(id) | Lane::Agent { campaign: id, .. } => &**id != campaign,
            Lane::Account | Lane::Endpoint { .. } | Lane::Sender(_) | Lane::Entry(_) => true,
        });
    }

    /// Gives a lane the quota that is set for it. Returns whether the quota changed.
    fn requota(&mut self, id: usize, now: Nanos) -> bool {
        let quota = self.quota_of(&self.tracks[id].lane);
        let old = self.tracks[id].limiter.take();
        if old.as_ref().map(Limiter::quota) == quota {
            self.tracks[id].limiter = old;
            return false;
        }
        let next = quota.map(|quota| match old {
            Some(mut limiter) => {
                limiter.requota(self.limiter(quota), now);
                limiter
            }
            // The permits that were granted without a limit count as one: the next waits a period.
            None => {
                let mut limiter = self.limiter(quota);
                let used = self.tracks[id].last_used.min(now);
                if self.tracks[id].usage.last_minute(now) > 0 {
                    limiter.push(used.saturating_add(limiter.period()));
                }
                limiter
            }
        });
        let track = &mut self.tracks[id];
        track.limiter = next;
        if let Some(slices) = &mut track.slices {
            slices.forget();
        }
        if let Some(limiter) = &mut track.limiter
            && track.rest.until > now
        {
            limiter.push(track.rest.until);
        }
        true
    }

    /// Checks a few lanes and forgets those that are idle.
    pub(in crate::pacing) fn sweep(&mut self, now: Nanos) {
        for _ in 0..SWEPT_PER_CALL {
            let id = self.hand;
            self.hand = if id < self.tracks.capacity() {
                id + 1
            } else {
                0
            };
            let Some(track) = self.tracks.get_mut(id) else {
                continue;
            };
            let idle = now.saturating_sub(track.last_used) >= nanos(self.settings.idle);
            let rested = track.rest.is_over(now);
            if idle && rested && track.is_forgettable(now) {
                let track = self.tracks.remove(id);
                self.by_lane.remove(&track.lane);
            }
        }
    }
}
