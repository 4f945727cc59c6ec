//! A lane that several consumers share, as their store keeps it: who gets how much of its time.
//!
//! In: lanes' rows, what one consumer wants of them. Out: stretches of their time that are its alone,
//! or when to ask again. Always: pure, on the store's clock; what is handed out never overlaps, so
//! that the lane's limit holds for all together, whatever becomes of any of them; nothing is handed out
//! for a time that is over when the answer arrives.
//!
//! A fast lane is handed out in stretches of a quarter of a second, one behind the other, a little
//! ahead of time, both longer the farther away the store is (`distance`): a consumer that dies takes one with it. A
//! slow lane is lent whole, to one consumer at a time and until it was used: what waits for two slow lanes could never
//! meet both in a stretch.
//!
//! PostgreSQL's function `hand_out` (edition 10 of the schema) does the same in one round trip, and holds no lock over
//! the network; `tests/it/shared_lanes.rs` holds the two against each other.

use std::collections::BTreeMap;

use super::Nanos;

/// From this period on a lane is slow, in nanoseconds.
const SLOW: Nanos = 500_000_000;

/// How long a slow lane is lent at most; then it counts as used at that very moment.
const LENT_FOR: Nanos = 5_000_000_000;

/// When to ask again for a lane that somebody else has: they give it back as soon as it was used.
const LENT_AGAIN: Nanos = 150_000_000;

/// A lane whose period is at most this starts empty: who used it before may have lost the record.
const START_EMPTY: Nanos = 1_000_000_000;

/// Whether a lane of this period is lent whole.
pub(super) fn is_slow(period: Nanos) -> bool {
    period > SLOW
}

/// One lane's row. Times are nanoseconds since 1970 on the store's clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneTime {
    /// From when on the lane is free: the end of what was handed out (GCRA's theoretical arrival
    /// time). 0: the lane is new.
    pub free_at: Nanos,
    /// From one to the next, the margin included; what is owed is owed in these.
    pub period: Nanos,
    /// Who has borrowed the lane, and until when.
    pub lent: Option<(String, Nanos)>,
}

/// What a consumer wants of one lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// The lane's name in the store.
    pub lane: String,
    pub period: Nanos,
    /// How many slots, side by side.
    pub slots: u64,
    /// Up to when it is to last at least: another lane of the same waiter lets go then.
    pub until: Nanos,
}

/// Everything a consumer tells and asks at once.
///
/// Times are nanoseconds: on the consumer's clock, or since 1970 on the store's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// How long the answer is on its way at most: nothing that is given begins earlier.
    pub way: Nanos,
    /// How far ahead of its time a lane is handed out.
    pub ahead: Nanos,
    pub wants: Vec<Want>,
    /// Wants, by their place, that are of no use without each other.
    pub groups: Vec<Vec<usize>>,
    /// Lanes that are given back, free from then on.
    pub returns: Vec<(String, Nanos)>,
    /// Lanes on which Twilio answered 429, shut until then.
    pub rests: Vec<(String, Nanos)>,
}

/// What becomes of a want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The lane is the consumer's from here to there.
    Stretch { from: Nanos, to: Nanos },
    /// Not now; to be asked for again then.
    Later(Nanos),
    /// It could be had, but another lane of its group could not.
    Open,
}

impl Want {
    /// How long its slots take, as far as a stretch goes: a slow lane's are no stretch.
    fn lasts(&self) -> Nanos {
        let lasts = self.slots.saturating_mul(self.period);
        if is_slow(self.period) { 0 } else { lasts }
    }
}

impl Request {
    /// Whether there is nothing to tell and nothing to ask.
    pub(super) fn is_empty(&self) -> bool {
        self.wants.is_empty() && self.returns.is_empty() && self.rests.is_empty()
    }

    /// Every lane it is about, in order.
    #[must_use]
    pub fn lanes(&self) -> Vec<&str> {
        let wanted = self.wants.iter().map(|want| &want.lane);
        let told = self.returns.iter().chain(&self.rests).map(|(lane, _)| lane);
        let mut lanes: Vec<&str> = wanted.chain(told).map(String::as_str).collect();
        lanes.sort_unstable();
        lanes.dedup();
        lanes
    }

    /// The same request with its times on another clock.
    pub(super) fn shifted(mut self, by: impl Fn(Nanos) -> Nanos) -> Self {
        for want in &mut self.wants {
            want.until = by(want.until);
        }
        for (_, at) in self.returns.iter_mut().chain(&mut self.rests) {
            *at = by(*at);
        }
        self
    }
}

impl Answer {
    /// The same answer with its times on another clock.
    pub(super) fn shifted(self, by: impl Fn(Nanos) -> Nanos) -> Self {
        match self {
            Self::Stretch { from, to } => Self::Stretch {
                from: by(from),
                to: by(to),
            },
            Self::Later(at) => Self::Later(by(at)),
            Self::Open => Self::Open,
        }
    }
}

/// Hands out to `holder` what it may have at `now`, and changes the rows to say so. One answer a want.
///
/// Times are nanoseconds since 1970 on the store's clock. Every lane of the request needs no row yet.
pub fn hand_out(
    request: &Request,
    rows: &mut BTreeMap<String, LaneTime>,
    holder: &str,
    now: Nanos,
) -> Vec<Answer> {
    for (lane, free_at) in &request.returns {
        if let Some(row) = rows.get_mut(lane)
            && row.lent.as_ref().is_some_and(|(by, _)| by == holder)
        {
            row.lent = None;
            row.free_at = row.free_at.max(*free_at);
        }
    }
    for (lane, until) in &request.rests {
        if let Some(row) = rows.get_mut(lane) {
            row.free_at = row.free_at.max(*until);
        }
    }
    for want in &request.wants {
        rows.entry(want.lane.clone()).or_default().adapt(want, now);
    }
    let mut answers = vec![Answer::Open; request.wants.len()];
    for group in &request.groups {
        // When all lanes of the group let go, if they do.
        let mut begins = Some(now);
        for n in group {
            let want = &request.wants[*n];
            let offer = match answers[*n] {
                Answer::Stretch { from, .. } => Ok(from),
                _ => rows[&want.lane].offers(holder, request, now),
            };
            match offer {
                Ok(from) => begins = begins.map(|begins| begins.max(from).max(want.until)),
                Err(later) => {
                    answers[*n] = Answer::Later(later);
                    begins = None;
                }
            }
        }
        let Some(begins) = begins else { continue };
        // Lanes that are needed together are given for the same time: the slowest says how long.
        let lasts = group.iter().map(|n| request.wants[*n].lasts());
        let until = begins + lasts.max().unwrap_or(0);
        for n in group {
            let want = &request.wants[*n];
            if !matches!(answers[*n], Answer::Stretch { .. })
                && let Some(row) = rows.get_mut(&want.lane)
            {
                answers[*n] = row.give(want, holder, until, now + request.way);
            }
        }
    }
    answers
}

impl LaneTime {
    /// Takes note of a lane's period, and of a loan that ran out.
    fn adapt(&mut self, want: &Want, now: Nanos) {
        let period = want.period.max(1);
        if self.free_at == 0 {
            self.free_at = now + if period <= START_EMPTY { period } else { 0 };
        } else if self.period != period {
            let owed = u128::from(self.free_at.saturating_sub(now)) * u128::from(period);
            let owed = owed.div_ceil(u128::from(self.period.max(1)));
            self.free_at = now.saturating_add(u64::try_from(owed).unwrap_or(u64::MAX / 4));
        }
        self.period = period;
        if let Some((_, until)) = &self.lent
            && *until <= now
        {
            // Whoever had it is gone, and may have used it in the last moment.
            self.free_at = self.free_at.max(until + period);
            self.lent = None;
        }
    }

    /// From when on it could be had; else when to ask again.
    fn offers(&self, holder: &str, request: &Request, now: Nanos) -> Result<Nanos, Nanos> {
        if self.lent.as_ref().is_some_and(|(by, _)| by != holder) {
            return Err(now + LENT_AGAIN);
        }
        if self.free_at > now + request.ahead {
            return Err(self.free_at - request.ahead);
        }
        Ok(self.free_at.max(now + request.way))
    }

    /// Gives a stretch that begins at `arrives` at the earliest, and lasts until `until` at least.
    fn give(&mut self, want: &Want, holder: &str, until: Nanos, arrives: Nanos) -> Answer {
        let from = self.free_at.max(arrives);
        if is_slow(self.period) {
            let last = from + LENT_FOR;
            self.lent = Some((holder.to_owned(), last));
            let to = last.saturating_add(want.slots.saturating_mul(self.period));
            return Answer::Stretch { from, to };
        }
        let lasts = until.saturating_sub(from).div_ceil(self.period);
        let slots = want.slots.max(lasts);
        self.free_at = from.saturating_add(slots.saturating_mul(self.period));
        let to = self.free_at;
        Answer::Stretch { from, to }
    }
}
