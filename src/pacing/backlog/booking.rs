//! Booking: whether a message's turn comes soon enough to wait for it, or later, in the ledger's backlog.
//!
//! In: the lanes that a message needs before it begins, and how long a message may wait in hand. Out: whether it waits.
//! Always: no message takes time of a lane that it cannot use soon; a new message does not pass messages that are put
//! off, unless a lane would be idle.

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::Timestamp;

use crate::pacing::line::Schedule;
use crate::pacing::line::table::LaneTable;
use crate::pacing::{Lane, LaneKind, Nanos, nanos};

/// While other messages are put off, a new message waits only if its lanes grant it within a fifteenth of a hold. This
/// fills a lane between two calls of a backlog, which come half a second apart.
const NEAR: u64 = 15;

/// Why a message asks for its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It asks for the first time, or after a delay with another reason than its pace.
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
    /// Later: the message is to be put off. Its turn comes at about this time, as estimated now.
    Later(Timestamp),
}

/// As [`Booking`], with a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pacing) enum Expectation {
    Soon,
    /// After this time from now.
    In(Nanos),
}

/// The lanes that a message needs before it begins, and its cost.
#[derive(Clone, Copy, Debug)]
pub(in crate::pacing) struct Needs<'a> {
    pub(in crate::pacing) lanes: &'a [Lane],
    /// As a permit's.
    pub(in crate::pacing) cost: NonZeroU32,
}

/// The moment at which all `lanes` grant a waiter that comes now, after all that wait there.
pub(in crate::pacing) fn expected(table: &mut LaneTable, lanes: &[Lane], now: Nanos) -> Nanos {
    let ids = table.ids(lanes, now);
    let consumers = table.consumers;
    let queued = ids
        .iter()
        .map(|id| table.tracks[*id].expected(now, consumers));
    queued.max().unwrap_or(now)
}

/// Decides whether a message waits for its permit or is put off.
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

/// Counts a message that was not called up towards its campaign's portion of a sender's lanes. A message that was
/// called up was counted then.
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
