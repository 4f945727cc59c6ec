//! A message's own limits: those of its campaign, its agent and its sender, and whether they grant it soon.

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::Timestamp;

use crate::engine::{MessageParties, SENDER_WAIT_MAX, Sending};
use crate::message::{SkipReason, WaitReason};
use crate::pacing::{Arrival, Booking, Lane, Permit, PutOff};

use super::leased::Leased;

/// The longest time that a message waits for its own limits with its delivery unacknowledged. For longer waits it is
/// put off, and another message takes its place.
const HOLD_MAX: Duration = Duration::from_secs(30);

/// After how long a message whose sender or agent is paused is checked again, if no consumer has seen the end of the
/// pause.
const PAUSED_FOR: Duration = Duration::from_secs(3_600);

/// Whether a message may begin now.
pub(super) enum Admission {
    Go,
    Skip(SkipReason),
    Later(WaitReason, Timestamp),
    /// Its limits grant it later, at about this time.
    PutOff(PutOff, Timestamp),
}

/// The lanes of a message's own limits, and how much it uses of them.
struct OwnLanes {
    lanes: Vec<Lane>,
    cost: NonZeroU32,
}

impl Leased<'_> {
    /// Whether the message may begin or continue, by its schedule and by the text that it still sends.
    pub(super) fn admission(&self) -> Admission {
        let now = self.session.shared.parts.clock.now();
        if self.is_paused() {
            let due = now.checked_add(PAUSED_FOR).unwrap_or(now);
            return Admission::Later(WaitReason::Paused, due);
        }
        // A message that has begun is carried to its end: half a saga is of no use. It waits while its sender's limit
        // rests.
        if !self.is_new() {
            return match self.lanes_to_send() {
                Some(own) => self.book(own, SENDER_WAIT_MAX),
                None => Admission::Go,
            };
        }
        let ends = [
            self.message().expires_at,
            self.session.active.campaign.end_at,
        ];
        if ends.into_iter().flatten().any(|end| end <= now) {
            return Admission::Skip(SkipReason::Expired);
        }
        if let Some(begin) = self.message().not_before.filter(|begin| *begin > now) {
            return Admission::Later(WaitReason::NotBefore, begin);
        }
        Admission::Go
    }

    /// Whether an operator has paused its sender or its agent. A message that is being undone goes on.
    fn is_paused(&self) -> bool {
        if self.saga.failure.is_some() {
            return false;
        }
        let (shared, active) = (self.session.shared, self.session.active);
        let decided = self.saga.assigned.as_ref();
        let agent = self.assignment.agent.as_deref();
        let number = self.saga.effects.customer_proxy_identifier.as_deref();
        let parties = MessageParties::of(&active.campaign, self.message(), decided, agent);
        let pauses = shared.parts.engine.pauses();
        pauses.covering(&parties.sending_from(number)).is_some()
    }

    /// Whether the message's own limits grant it soon. If so, it waits for them.
    pub(super) fn turn_comes(&self) -> Admission {
        self.book(self.lanes_to_begin(), HOLD_MAX)
    }

    /// Puts off a message that its own limits grant later. Its agent's availability is not read: otherwise Twilio would
    /// be asked about ten thousand agents whose messages are not due.
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

    /// Waits for the limits of a message that is to begin. Returns None when the limits rest for longer than a message
    /// may wait: then the caller releases it, and it is scheduled.
    pub(super) async fn permit(&self) -> Option<Permit> {
        let parts = &self.session.shared.parts;
        let own = self.lanes_to_begin();
        tokio::select! {
            biased;
            permit = parts.pacer.permit(&own.lanes, own.cost) => Some(permit),
            // It was expected within `HOLD_MAX` and may take longer, because older messages are served first.
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

    /// The lanes that a message waits for before it begins: its campaign's, its agent's, and the entry lane of its
    /// sender if it sends a text itself.
    fn lanes_to_begin(&self) -> OwnLanes {
        let campaign = self.session.active.campaign.id.as_str();
        let mut lanes = vec![Lane::campaign(campaign)];
        if let Some(agent) = &self.assignment.agent {
            // An agent has one lane, whichever of their names the messages use.
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

    /// The sender's lane, if the message has begun and its text is still to be sent.
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
