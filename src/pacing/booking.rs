//! When a message's turn comes: soon enough to wait for it here, or later, in the ledger.
//!
//! In: the lanes a message needs before it begins, how long we hold one. Out: a promise. Always: a
//! lane's promises are a period apart, so that ten thousand messages of one agent come back at the
//! agent's pace; a message that came back is not sent away again while its lanes keep that pace.

use std::time::Duration;

use jiff::Timestamp;

use super::table::Table;
use super::{Lane, Nanos, nanos};

/// How often the lanes are asked in turn for a moment that suits all. Beyond it the last answer is
/// taken: a promise is a plan, the permit decides.
const ROUNDS_MAX: usize = 64;

/// Whether a message was promised a turn before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It comes for the first time, or what it was promised is void: the pace was changed.
    First,
    /// It was sent away by [`Booking::Later`] and has come back.
    Returned,
}

/// When a message's turn comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Booking {
    /// Soon enough to wait for the permit.
    Soon,
    /// To come back at this time.
    Later(Timestamp),
}

/// The same, in our own time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Promise {
    Soon,
    /// To come back so long from now.
    In(Nanos),
}

pub(super) fn book(
    table: &mut Table,
    lanes: &[Lane],
    hold_max: Duration,
    turn: Turn,
    now: Nanos,
) -> Promise {
    let hold_max = nanos(hold_max);
    let ids = table.ids(lanes, now);
    let queued = ids.iter().map(|id| table.tracks[*id].expected(now));
    let earliest = queued.max().unwrap_or(now);
    let near = now.saturating_add(hold_max);
    if turn == Turn::Returned && earliest <= near {
        return Promise::Soon;
    }
    let at = promise(table, &ids, earliest, now);
    if at <= near {
        return Promise::Soon;
    }
    // Back half a hold early: a lane whose next message is still on its way would stand idle.
    Promise::In(at - now - hold_max / 2)
}

/// Promises the first moment from `earliest` on that is free on all lanes.
pub(super) fn promise(table: &mut Table, ids: &[usize], earliest: Nanos, now: Nanos) -> Nanos {
    let mut at = earliest;
    for _ in 0..ROUNDS_MAX {
        let free = |id: &usize| {
            let track = &table.tracks[*id];
            track.limiter.as_ref().map_or(at, |limiter| {
                track.calendar.first_free(at, limiter.period())
            })
        };
        let next = ids.iter().map(free).max().unwrap_or(at);
        if next == at {
            break;
        }
        at = next;
    }
    for id in ids {
        let track = &mut table.tracks[*id];
        track.last_used = now;
        if let Some(limiter) = &track.limiter {
            track.calendar.prune(now);
            track.calendar.promise(at, limiter.period());
        }
    }
    at
}
