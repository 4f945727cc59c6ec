//! The limits of a message's own: whether its turn on them has come.

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::Timestamp;

use crate::engine::{SENDER_WAIT_MAX, Sending};
use crate::message::{DeferReason, SkipReason};
use crate::pacing::{Arrival, Booking, Lane, Permit, PutOff};

use super::leased::Leased;

/// The longest a message waits for its own limits with its delivery in hand; longer waits are the
/// ledger's, and another message gets the place.
const HOLD_MAX: Duration = Duration::from_secs(30);

/// Whether a message may be begun.
pub(super) enum Admission {
    Go,
    Skip(SkipReason),
    Later(DeferReason, Timestamp),
    /// Its limits grant it later, about then.
    PutOff(PutOff, Timestamp),
}

/// The lanes of a message's own, and what it costs its sender's.
struct OwnLanes {
    lanes: Vec<Lane>,
    cost: NonZeroU32,
}

impl Leased<'_> {
    /// Whether the message may be begun, or gone on with, by its times and by what it still sends.
    pub(super) fn admission(&self) -> Admission {
        // What has begun is carried to its end: half a saga helps nobody. It waits for a sender that rests.
        if !self.is_new() {
            return match self.lanes_to_send() {
                Some(own) => self.book(own, SENDER_WAIT_MAX),
                None => Admission::Go,
            };
        }
        let now = self.session.shared.parts.clock.now();
        if self.message().expires_at.is_some_and(|end| end <= now) {
            return Admission::Skip(SkipReason::Expired);
        }
        if let Some(begin) = self.message().not_before.filter(|begin| *begin > now) {
            return Admission::Later(DeferReason::Scheduled, begin);
        }
        Admission::Go
    }

    /// Whether the message's turn on its own limits comes soon; it waits for it then.
    pub(super) fn turn_comes(&self) -> Admission {
        self.book(self.lanes_to_begin(), HOLD_MAX)
    }

    /// Puts off a message whose turn does not come soon. What becomes of its agent until then is not asked:
    /// Twilio is not to be asked about ten thousand agents whose turns come later.
    pub(super) fn turn_comes_later(&self) -> Option<(PutOff, Timestamp)> {
        let own = self.lanes_to_begin();
        let pacer = &self.session.shared.parts.pacer;
        let arrival = match self.arrival() {
            Arrival::CalledUp => Arrival::CalledUp,
            Arrival::First | Arrival::Tentative => Arrival::Tentative,
        };
        match pacer.book(&own.lanes, own.cost, HOLD_MAX, arrival) {
            Booking::Soon => None,
            Booking::Later(due) => Some((self.until_granted(own), due)),
        }
    }

    /// Waits for the limits of a message that is to begin. None when they rest for longer than anybody is held:
    /// given back, the message is deferred.
    pub(super) async fn permit(&self) -> Option<Permit> {
        let parts = &self.session.shared.parts;
        let own = self.lanes_to_begin();
        tokio::select! {
            biased;
            permit = parts.pacer.permit(&own.lanes, own.cost) => Some(permit),
            // Expected within the hold, it may come somewhat later: others are older.
            () = parts.clock.sleep(2 * HOLD_MAX) => None,
        }
    }

    fn book(&self, own: OwnLanes, hold_max: Duration) -> Admission {
        let pacer = &self.session.shared.parts.pacer;
        match pacer.book(&own.lanes, own.cost, hold_max, self.arrival()) {
            Booking::Soon => Admission::Go,
            Booking::Later(due) => Admission::PutOff(self.until_granted(own), due),
        }
    }

    fn arrival(&self) -> Arrival {
        if self.taken.called_from.is_some() {
            Arrival::CalledUp
        } else {
            Arrival::First
        }
    }

    /// What a message waits for before it begins: its campaign's lane, its agent's, and where it sends a
    /// text itself its sender's entry.
    fn lanes_to_begin(&self) -> OwnLanes {
        let campaign = self.session.active.campaign.id.as_str();
        let mut lanes = vec![Lane::campaign(campaign)];
        if let Some(agent) = &self.assignment.agent {
            // One agent has one lane, by whichever of their names the messages call them.
            lanes.push(Lane::agent(campaign, &agent.friendly_name));
        }
        lanes.extend(self.sending.as_ref().and_then(Sending::entry));
        OwnLanes {
            lanes,
            cost: self
                .sending
                .as_ref()
                .map_or(NonZeroU32::MIN, Sending::segments),
        }
    }

    /// The sender's lane of a message that has begun and whose text is still to be sent.
    fn lanes_to_send(&self) -> Option<OwnLanes> {
        if self.saga.failure.is_some() || self.saga.effects.message_sid.is_some() {
            return None;
        }
        let sending = self.sending.as_ref()?;
        Some(OwnLanes {
            lanes: vec![sending.lane()?],
            cost: sending.segments(),
        })
    }

    fn until_granted(&self, own: OwnLanes) -> PutOff {
        PutOff {
            lanes: own.lanes,
            cost: own.cost,
            since: self.taken.accepted_at.as_millisecond(),
        }
    }
}
