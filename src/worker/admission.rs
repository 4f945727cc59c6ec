//! Whether a message that was taken may be begun now.

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::Timestamp;

use crate::engine::{SENDER_WAIT_MAX, Sending};
use crate::message::{DeferReason, Failure, FailureClass, Saga, SkipReason};
use crate::pacing::{Booking, Lane, Permit, PutOff, Turn};

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
    /// Its lanes grant it later, about then.
    PutOff(PutOff, Timestamp),
}

pub(super) fn admission(shared: &Shared, active: &Active, mine: &Mine) -> Admission {
    let now = shared.parts.clock.now();
    let begun = !mine.journal.is_empty();
    // What has begun is carried to its end: half a saga helps nobody. It waits for a sender that rests.
    if begun {
        return match still_sends(shared, active, mine) {
            Some(own) => own.admission(shared, SENDER_WAIT_MAX, mine),
            None => Admission::Go,
        };
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
    Own::of(shared, active, mine).admission(shared, HOLD_MAX, mine)
}

/// Puts off a message whose turn does not come soon. What becomes of its agent until then is not asked:
/// Twilio is not to be asked about ten thousand agents whose turns come later.
pub(super) fn turn_comes_later(
    shared: &Shared,
    active: &Active,
    mine: &Mine,
) -> Option<(PutOff, Timestamp)> {
    let own = Own::of(shared, active, mine);
    let pacer = &shared.parts.pacer;
    match pacer.book_later(&own.lanes, own.cost, HOLD_MAX, turn(mine)) {
        Booking::Soon => None,
        Booking::Later(due) => Some((own.put_off(mine), due)),
    }
}

fn turn(mine: &Mine) -> Turn {
    if mine.called_from.is_some() {
        Turn::CalledUp
    } else {
        Turn::First
    }
}

/// The lanes of a message's own, and what it costs its sender's.
struct Own {
    lanes: Vec<Lane>,
    cost: NonZeroU32,
}

impl Own {
    /// What a message waits for before it begins: its campaign's lane, its agent's, and where it sends a
    /// text itself its sender's entry.
    fn of(shared: &Shared, active: &Active, mine: &Mine) -> Self {
        let campaign = active.campaign.id.as_str();
        let mut lanes = vec![Lane::campaign(campaign)];
        if let Some(agent) = &mine.assigned.agent {
            // One agent has one lane, by whichever of their names the messages call them.
            lanes.push(Lane::agent(campaign, &agent.friendly_name));
        }
        let effects = Saga::default().effects;
        let pacer = &shared.parts.pacer;
        let sending = Sending::of(pacer, &active.campaign, &mine.message, &effects);
        let mut cost = NonZeroU32::MIN;
        if let Some(sending) = sending {
            cost = sending.segments();
            lanes.extend(sending.entry());
        }
        Self { lanes, cost }
    }

    fn admission(self, shared: &Shared, hold_max: Duration, mine: &Mine) -> Admission {
        let pacer = &shared.parts.pacer;
        match pacer.book(&self.lanes, self.cost, hold_max, turn(mine)) {
            Booking::Soon => Admission::Go,
            Booking::Later(due) => Admission::PutOff(self.put_off(mine), due),
        }
    }

    fn put_off(self, mine: &Mine) -> PutOff {
        PutOff {
            lanes: self.lanes,
            cost: self.cost,
            since: mine.accepted_at.as_millisecond(),
        }
    }
}

/// The sender's lane of a message that has begun and whose text is still to be sent.
fn still_sends(shared: &Shared, active: &Active, mine: &Mine) -> Option<Own> {
    let saga = Saga::replay(&mine.journal).ok()?;
    if saga.failure.is_some() || saga.effects.message_sid.is_some() {
        return None;
    }
    let pacer = &shared.parts.pacer;
    let sending = Sending::of(pacer, &active.campaign, &mine.message, &saga.effects)?;
    Some(Own {
        lanes: vec![sending.lane()?],
        cost: sending.segments(),
    })
}

/// Waits for the lanes of a message that is to begin. None when they rest for longer than anybody is held:
/// given back, the message is deferred.
pub(super) async fn own_permit(shared: &Shared, active: &Active, mine: &Mine) -> Option<Permit> {
    let own = Own::of(shared, active, mine);
    let waiting = shared.parts.pacer.permit(&own.lanes, own.cost);
    tokio::select! {
        biased;
        permit = waiting => Some(permit),
        // Expected within the hold, it may come somewhat later: others are older.
        () = shared.parts.clock.sleep(2 * HOLD_MAX) => None,
    }
}

/// Why nothing of a cancelled campaign goes forward.
pub(super) fn cancelled() -> Failure {
    let class = FailureClass::Skip(SkipReason::Cancelled);
    Failure::new(class, "the campaign was cancelled")
}
