//! Whether a message that was taken may be begun now.

use std::time::Duration;

use jiff::Timestamp;

use crate::message::{DeferReason, SkipReason};
use crate::pacing::{Booking, Lane, Turn};

use super::mine::Mine;
use super::{Active, Shared};

/// The longest a message waits for its own lanes with its delivery in hand; longer waits are the
/// ledger's, and another message gets the place.
const HOLD_MAX: Duration = Duration::from_secs(30);

/// Whether a message may be begun.
pub(super) enum Admission {
    Go,
    Skip(SkipReason),
    Later(DeferReason, Timestamp),
}

pub(super) fn admission(shared: &Shared, active: &Active, mine: &Mine) -> Admission {
    let now = shared.parts.clock.now();
    let begun = !mine.journal.is_empty();
    // What has begun is carried to its end: half a saga helps nobody.
    if begun {
        return Admission::Go;
    }
    if active.cancelled {
        return Admission::Skip(SkipReason::Cancelled);
    }
    if mine.message.expires_at.is_some_and(|end| end <= now) {
        return Admission::Skip(SkipReason::Expired);
    }
    if let Some(begin) = mine.message.not_before.filter(|begin| *begin > now) {
        return Admission::Later(DeferReason::Scheduled, begin);
    }
    Admission::Go
}

/// Whether the message's turn on its own lanes comes soon; it waits for it then.
pub(super) fn turn_comes(shared: &Shared, active: &Active, mine: &Mine) -> Admission {
    let turn = if mine.promised {
        Turn::Returned
    } else {
        Turn::First
    };
    match shared
        .parts
        .pacer
        .book(&own_lanes(active, mine), HOLD_MAX, turn)
    {
        Booking::Soon => Admission::Go,
        Booking::Later(due) => Admission::Later(DeferReason::Pace, due),
    }
}

/// The lanes a message waits for before it begins: its campaign's and its agent's.
pub(super) fn own_lanes(active: &Active, mine: &Mine) -> Vec<Lane> {
    let campaign = active.campaign.id.as_str();
    let mut lanes = vec![Lane::campaign(campaign)];
    if let Some(agent) = &mine.assigned.agent {
        // One agent has one lane, by whichever of their names the messages call them.
        lanes.push(Lane::agent(campaign, &agent.friendly_name));
    }
    lanes
}
