//! How the store divides the time of shared lanes among consumers.
//!
//! In: lanes' rows, one consumer's request. Out: time slices and starts that are granted to that consumer alone, or
//! when to ask again. Always: pure, on the store's clock; slices and starts of a lane never overlap, so that the lane's
//! limit holds for all consumers together, even if one of them dies; nothing is granted for a time that is over when
//! the answer arrives.
//!
//! A fast lane is granted in slices of a quarter of a second, one after another, a little ahead of time. Both are
//! longer the farther away the store is (`distance`). A consumer that dies wastes one slice.
//!
//! A call or message that needs a slow lane asks for a start instead: one moment on all of its lanes, so that none of
//! them waits for another. Starts are granted in the order of their moments; for the same moment, the oldest is first.
//!
//! PostgreSQL's function `hand_out` (edition 14 of the schema) does the same in one round trip, and holds no lock
//! across the network; `tests/it/shared_lanes.rs` compares the two.

use std::collections::BTreeMap;

use crate::pacing::Nanos;

/// A lane with a longer period is slow.
const SLOW: Nanos = 500_000_000;

/// A lane with at most this period starts without a free slot: its previous use may not be recorded.
const START_EMPTY: Nanos = 1_000_000_000;

/// Whether a lane of this period is slow: it is granted in starts, not in slices.
pub(in crate::pacing) fn is_slow(period: Nanos) -> bool {
    period > SLOW
}

/// One lane's row. Times are nanoseconds since 1970 on the store's clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneTime {
    /// When the lane is free: the end of all that was granted (GCRA's theoretical arrival time). 0: the lane is new.
    pub free_at: Nanos,
    /// The duration of one slot, the margin included.
    pub period: Nanos,
}

/// A consumer's request for a slice of one fast lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SliceWant {
    /// The lane's name in the store.
    pub lane: String,
    pub period: Nanos,
    /// How many consecutive slots.
    pub slots: u64,
    /// Until when the slice has to last at least: another lane of the same waiter grants then.
    pub until: Nanos,
}

/// One lane of a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartLane {
    /// The lane's name in the store.
    pub lane: String,
    pub period: Nanos,
    /// How many consecutive slots.
    pub slots: u64,
    /// How long before the start the lane is charged from at most, if it is free by then: it makes good what the lane
    /// loses while it waits for the other lanes. At most half a period.
    pub credit: Nanos,
}

/// A consumer's request for a start of one call or message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartWant {
    pub lanes: Vec<StartLane>,
    /// The earliest moment at which the start is of use.
    pub not_before: Nanos,
}

/// A start that was not used. Its slots come back unless something was granted after them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnusedStart {
    pub lane: String,
    pub slots: u64,
    /// When its last slot ends, exact to a quarter of a period.
    pub end: Nanos,
}

/// Everything that a consumer tells and asks the store at once.
///
/// Times are nanoseconds: since the pacer began on the consumer's clock, or since 1970 on the store's. All parts name
/// the same period for a lane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneRequest {
    /// How long the answer is on its way at most: no grant begins before now plus `way`.
    pub way: Nanos,
    /// How far ahead of its time a lane is granted.
    pub ahead: Nanos,
    /// The oldest first.
    pub starts: Vec<StartWant>,
    pub wants: Vec<SliceWant>,
    /// Indices of wants that are of no use without each other.
    pub groups: Vec<Vec<usize>>,
    pub unused: Vec<UnusedStart>,
    /// Lanes that rest after a 429, and until when.
    pub rests: Vec<(String, Nanos)>,
}

/// The answer to a want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SliceAnswer {
    /// The lane's time from `from` to `to` is granted to the consumer.
    Slice { from: Nanos, to: Nanos },
    /// Not granted; to be asked for again at this moment.
    Later(Nanos),
    /// Not granted, since another lane of its group is not.
    Open,
}

/// The answer to a request for a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAnswer {
    /// Granted at this moment.
    At(Nanos),
    /// Not granted; to be asked for again at `at`. `lane`: the index of the start's lane that is free last.
    Later { lane: usize, at: Nanos },
}

/// One answer for each want and one for each start, in the request's order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneAnswers {
    pub wants: Vec<SliceAnswer>,
    pub starts: Vec<StartAnswer>,
}

impl SliceWant {
    fn lasts(&self) -> Nanos {
        self.slots.saturating_mul(self.period)
    }
}

impl LaneRequest {
    /// Whether the request tells and asks nothing.
    pub(in crate::pacing) fn is_empty(&self) -> bool {
        self.wants.is_empty()
            && self.starts.is_empty()
            && self.unused.is_empty()
            && self.rests.is_empty()
    }

    /// Every lane that the request names, sorted, and its period; 0: the request asks nothing of the lane.
    #[must_use]
    pub fn lanes(&self) -> Vec<(&str, Nanos)> {
        let starts = self.starts.iter().flat_map(|start| &start.lanes);
        let starts = starts.map(|it| (it.lane.as_str(), it.period.max(1)));
        let wants = self.wants.iter();
        let wants = wants.map(|it| (it.lane.as_str(), it.period.max(1)));
        let unused = self.unused.iter().map(|it| (it.lane.as_str(), 0));
        let rests = self.rests.iter().map(|(lane, _)| (lane.as_str(), 0));
        let mut lanes = BTreeMap::new();
        for (lane, period) in unused.chain(rests).chain(wants).chain(starts) {
            let known: &mut Nanos = lanes.entry(lane).or_default();
            *known = period.max(*known);
        }
        lanes.into_iter().collect()
    }

    /// The same request with its times on another clock.
    pub(super) fn shifted(mut self, by: impl Fn(Nanos) -> Nanos) -> Self {
        let untils = self.wants.iter_mut().map(|want| &mut want.until);
        let rests = self.rests.iter_mut().map(|(_, until)| until);
        let unused = self.unused.iter_mut().map(|unused| &mut unused.end);
        let starts = self.starts.iter_mut().map(|start| &mut start.not_before);
        for at in untils.chain(rests).chain(unused).chain(starts) {
            *at = by(*at);
        }
        self
    }
}

impl LaneAnswers {
    /// The same answers with their times on another clock.
    pub(super) fn shifted(&self, by: impl Fn(Nanos) -> Nanos) -> Self {
        let want = |answer: &SliceAnswer| match *answer {
            SliceAnswer::Slice { from, to } => SliceAnswer::Slice {
                from: by(from),
                to: by(to),
            },
            SliceAnswer::Later(at) => SliceAnswer::Later(by(at)),
            SliceAnswer::Open => SliceAnswer::Open,
        };
        let start = |answer: &StartAnswer| match *answer {
            StartAnswer::At(at) => StartAnswer::At(by(at)),
            StartAnswer::Later { lane, at } => StartAnswer::Later { lane, at: by(at) },
        };
        Self {
            wants: self.wants.iter().map(want).collect(),
            starts: self.starts.iter().map(start).collect(),
        }
    }
}

/// Grants the slices and starts that are free at `now`, and records them in the rows.
///
/// Times are nanoseconds since 1970 on the store's clock. A lane without a row gets one.
pub fn hand_out(
    request: &LaneRequest,
    rows: &mut BTreeMap<String, LaneTime>,
    now: Nanos,
) -> LaneAnswers {
    for (lane, period) in request.lanes() {
        let row = rows.entry(lane.to_owned()).or_insert(LaneTime {
            free_at: 0,
            period: 1,
        });
        if period > 0 {
            row.adapt(period, now);
        }
    }
    for UnusedStart { lane, slots, end } in &request.unused {
        if let Some(row) = rows.get_mut(lane)
            && row.free_at <= end.saturating_add(row.period / 4)
        {
            row.free_at -= slots.saturating_mul(row.period).min(row.free_at);
        }
    }
    for (lane, until) in &request.rests {
        if let Some(row) = rows.get_mut(lane) {
            row.free_at = row.free_at.max(*until);
        }
    }
    let starts = starts(request, rows, now);
    let wants = slices(request, rows, now);
    LaneAnswers { wants, starts }
}

/// Grants starts in the order of the moments at which their lanes are free; for the same moment, in the request's
/// order.
fn starts(
    request: &LaneRequest,
    rows: &mut BTreeMap<String, LaneTime>,
    now: Nanos,
) -> Vec<StartAnswer> {
    let free = |start: &StartWant, rows: &BTreeMap<String, LaneTime>| {
        let free = start.lanes.iter().map(|it| rows[&it.lane].free_at).max();
        free.unwrap_or(0)
            .max(now + request.way)
            .max(start.not_before)
    };
    let mut order: Vec<(Nanos, usize)> = request
        .starts
        .iter()
        .enumerate()
        .map(|(n, start)| (free(start, rows), n))
        .collect();
    order.sort_unstable();
    let mut answers = vec![StartAnswer::At(0); request.starts.len()];
    for (_, n) in order {
        let start = &request.starts[n];
        let lanes = start.lanes.iter().enumerate();
        let last = lanes.map(|(n, it)| (rows[&it.lane].free_at, n)).max();
        answers[n] = match last {
            Some((free_at, lane)) if free_at > now + request.ahead => StartAnswer::Later {
                lane,
                at: free_at - request.ahead,
            },
            _ => StartAnswer::At(free(start, rows)),
        };
        if let StartAnswer::At(at) = answers[n] {
            for it in &start.lanes {
                if let Some(row) = rows.get_mut(&it.lane) {
                    let from = row.free_at.max(at.saturating_sub(it.credit));
                    row.free_at = from.saturating_add(it.slots.saturating_mul(row.period));
                }
            }
        }
    }
    answers
}

/// Grants slices, group by group.
fn slices(
    request: &LaneRequest,
    rows: &mut BTreeMap<String, LaneTime>,
    now: Nanos,
) -> Vec<SliceAnswer> {
    let mut answers = vec![SliceAnswer::Open; request.wants.len()];
    for group in &request.groups {
        // When all lanes of the group grant; none: one of them does not.
        let mut begins = Some(now);
        for n in group {
            let want = &request.wants[*n];
            let offer = match answers[*n] {
                SliceAnswer::Slice { from, .. } => Ok(from),
                _ => rows[&want.lane].offers(request, now),
            };
            match offer {
                Ok(from) => begins = begins.map(|begins| begins.max(from).max(want.until)),
                Err(later) => {
                    answers[*n] = SliceAnswer::Later(later);
                    begins = None;
                }
            }
        }
        let Some(begins) = begins else { continue };
        // Lanes that are needed together are granted for the same time: the slowest decides how long.
        let lasts = group.iter().map(|n| request.wants[*n].lasts());
        let until = begins + lasts.max().unwrap_or(0);
        for n in group {
            let want = &request.wants[*n];
            if !matches!(answers[*n], SliceAnswer::Slice { .. })
                && let Some(row) = rows.get_mut(&want.lane)
            {
                answers[*n] = row.grant(want, until, now + request.way);
            }
        }
    }
    answers
}

impl LaneTime {
    /// Sets the lane's period. The slots that are owed stay owed, each for the new period.
    fn adapt(&mut self, period: Nanos, now: Nanos) {
        if self.free_at == 0 {
            self.free_at = now + if period <= START_EMPTY { period } else { 0 };
        } else if self.period != period {
            let owed = u128::from(self.free_at.saturating_sub(now)) * u128::from(period);
            let owed = owed.div_ceil(u128::from(self.period.max(1)));
            self.free_at = now.saturating_add(u64::try_from(owed).unwrap_or(u64::MAX / 4));
        }
        self.period = period;
    }

    /// When a slice could begin; an error is the moment to ask again.
    fn offers(&self, request: &LaneRequest, now: Nanos) -> Result<Nanos, Nanos> {
        if self.free_at > now + request.ahead {
            return Err(self.free_at - request.ahead);
        }
        Ok(self.free_at.max(now + request.way))
    }

    /// Grants a slice that begins at `arrives` at the earliest and lasts until `until` at least.
    fn grant(&mut self, want: &SliceWant, until: Nanos, arrives: Nanos) -> SliceAnswer {
        let from = self.free_at.max(arrives);
        let lasts = until.saturating_sub(from).div_ceil(self.period);
        let slots = want.slots.max(lasts);
        self.free_at = from.saturating_add(slots.saturating_mul(self.period));
        let to = self.free_at;
        SliceAnswer::Slice { from, to }
    }
}
