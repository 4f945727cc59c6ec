//! The view of a lane that `status` and the metrics show.

use std::time::Duration;

use super::Schedule;
use crate::pacing::lane::limiter::Limiter;
use crate::pacing::lane::track::Track;
use crate::pacing::{Lane, Nanos, Quota};

/// A lane as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneView {
    pub lane: Lane,
    /// None: no limit.
    pub quota: Option<Quota>,
    /// How many permits may be held at once, and how many are held; none: no limit.
    pub concurrency: Option<(u32, u32)>,
    /// Permits of the last minute (55 to 60 s of it), in segments for a sender.
    pub used_last_minute: u32,
    /// How many waiters need this lane.
    pub waiting: u32,
    /// How much longer the lane rests after a 429; none: it does not rest.
    pub resting: Option<Duration>,
    /// How long the oldest waiter of a shared lane has been waiting, if the store grants the lane's time slices or
    /// starts more slowly than its quota allows.
    pub unserved: Option<Duration>,
}

pub(in crate::pacing) fn views<W>(schedule: &Schedule<W>, now: Nanos) -> Vec<LaneView> {
    let view = |(id, track): (usize, &Track)| LaneView {
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
