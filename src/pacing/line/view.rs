//! What `status` and the metrics show of a lane.

use std::time::Duration;

use super::Schedule;
use crate::pacing::lane::limiter::Limiter;
use crate::pacing::{Lane, Nanos, Quota};

/// A lane as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneView {
    pub lane: Lane,
    /// None: no limit.
    pub quota: Option<Quota>,
    /// How many permits may be held at once, and how many are.
    pub concurrency: Option<(u32, u32)>,
    /// Permits of the last minute (55 to 60 s of it), in segments for a sender.
    pub used_last_minute: u32,
    /// How many wait for a permit that needs this lane.
    pub waiting: u32,
    /// How long the lane rests still after a 429.
    pub resting: Option<Duration>,
    /// How long somebody has been waiting in vain for the lane's part that is ours, where other consumers use it too
    /// and their store does not hand it out as its pace allows.
    pub unserved: Option<Duration>,
}

pub(in crate::pacing) fn views<W>(schedule: &Schedule<W>, now: Nanos) -> Vec<LaneView> {
    let view = |(id, track): (usize, &crate::pacing::lane::track::Track)| LaneView {
        lane: track.lane.clone(),
        quota: track.limiter.as_ref().map(Limiter::quota),
        concurrency: track
            .concurrency
            .map(|concurrency| (concurrency.most(), concurrency.taken())),
        used_last_minute: track.usage.last_minute(now),
        waiting: track.waiting,
        resting: (track.rest.until > now).then(|| Duration::from_nanos(track.rest.until - now)),
        unserved: schedule.unserved(id, now).map(Duration::from_nanos),
    };
    schedule.table.tracks.iter().map(view).collect()
}
