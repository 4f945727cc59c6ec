//! When a message's turn comes: soon enough to wait for it here, or later, in the ledger.
//!
//! In: the lanes a message needs before it begins, how long we hold one. Out: whether it waits here. Always: no
//! message holds time of a lane that it cannot use soon; who comes for the first time does not go before those
//! that are put off, unless a lane would stand idle.

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::Timestamp;

use crate::pacing::line::Schedule;
use crate::pacing::line::table::LaneTable;
use crate::pacing::{Lane, LaneKind, Nanos, nanos};

/// A new message waits here while others are put off only if its lanes grant it within this part of a hold, a
/// fifteenth: so a lane is not idle between two calls of a backlog, which come half a second apart.
const NEAR: u64 = 15;

/// How a message comes to ask for its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// For the first time, or after a delay that its pace was not the reason of.
    First,
    /// As [`Arrival::First`], for a message that may not be able to begin when its turn comes: nothing is counted for
    /// its campaign yet.
    Tentative,
    /// Its backlog was called up.
    CalledUp,
}

/// When a message's turn comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Booking {
    /// Soon enough to wait for the permit.
    Soon,
    /// Later: it is put off. About then its turn comes, as far as is known by now.
    Later(Timestamp),
}

/// The same, in our own time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pacing) enum Expectation {
    Soon,
    /// So long from now.
    In(Nanos),
}

/// What a message needs before it begins.
#[derive(Clone, Copy, Debug)]
pub(in crate::pacing) struct Needs<'a> {
    pub(in crate::pacing) lanes: &'a [Lane],
    /// As a permit's.
    pub(in crate::pacing) cost: NonZeroU32,
}

/// The moment at which somebody who comes now is let go by `lanes`, after all who wait there.
pub(in crate::pacing) fn expected(table: &mut LaneTable, lanes: &[Lane], now: Nanos) -> Nanos {
    let ids = table.ids(lanes, now);
    let consumers = table.consumers;
    let queued = ids
        .iter()
        .map(|id| table.tracks[*id].expected(now, consumers));
    queued.max().unwrap_or(now)
}

/// Says whether a message waits here.
pub(in crate::pacing) fn book<W>(
    schedule: &mut Schedule<W>,
    needs: Needs<'_>,
    hold_max: Duration,
    arrival: Arrival,
    now: Nanos,
) -> Expectation {
    let table = &mut schedule.table;
    let (ids, consumers) = (table.ids(needs.lanes, now), table.consumers);
    let latest = |of: &dyn Fn(usize) -> Nanos| ids.iter().map(|id| of(*id)).max().unwrap_or(now);
    let has_backlog = |id: &usize| table.tracks[*id].coming.has_backlog();
    let hold = nanos(hold_max);
    let (comes, within) = match arrival {
        Arrival::CalledUp => (
            latest(&|id| table.tracks[id].expected(now, consumers)),
            hold,
        ),
        Arrival::First | Arrival::Tentative => (
            latest(&|id| table.tracks[id].expected_after_called(now, consumers)),
            if ids.iter().any(has_backlog) {
                hold / NEAR
            } else {
                hold
            },
        ),
    };
    if comes > now.saturating_add(within) {
        let expected = latest(&|id| table.tracks[id].expected_after_all(now, consumers));
        return Expectation::In(expected - now);
    }
    if arrival == Arrival::First {
        charge(table, needs, &ids, now);
    }
    Expectation::Soon
}

/// Counts what the message's campaign has of the lanes that it shares with others: of what was called up, that
/// was counted when it was.
fn charge(table: &mut LaneTable, needs: Needs<'_>, ids: &[usize], now: Nanos) {
    let campaign = needs.lanes.iter().find_map(|lane| match lane {
        Lane::Campaign(id) => Some(id),
        _ => None,
    });
    for id in ids {
        let track = &mut table.tracks[*id];
        track.last_used = now;
        if let Some(campaign) = campaign.filter(|_| track.lane.kind() == LaneKind::Sender) {
            let cost = u64::from(track.lane.charge(needs.cost).get());
            track.coming.portions.charge(campaign, cost);
        }
    }
}
