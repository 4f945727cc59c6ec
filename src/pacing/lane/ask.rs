//! What a waiter asks of one lane, and why the lane refuses.

use std::num::NonZeroU32;

use crate::pacing::Nanos;

/// The order of arrival: whoever came first has the lower one.
pub(in crate::pacing) type Ticket = u64;

/// No time brings it: a place has to be freed.
pub(in crate::pacing) const FOREVER: Nanos = Nanos::MAX;

/// Who asks, for how much, and when.
#[derive(Clone, Copy, Debug)]
pub(in crate::pacing) struct LaneAsk {
    pub(in crate::pacing) ticket: Ticket,
    /// What the whole permit costs; a lane charges its part.
    pub(in crate::pacing) cost: NonZeroU32,
    /// Since when it waits: a lane that is due since then is charged from its due moment, within what it makes good.
    pub(in crate::pacing) as_of: Nanos,
    pub(in crate::pacing) now: Nanos,
}

/// Why a lane does not let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pacing) enum LaneRefusal {
    /// It lets go then; [`FOREVER`]: when something happens.
    Until(Nanos),
    /// The store that it is shared through said that there is nothing before, which is no promise.
    AskAgain(Nanos),
    /// That store has to be asked for some of it. Its period.
    Ask(Nanos),
}

impl LaneRefusal {
    /// When to ask again.
    pub(in crate::pacing) fn due(self) -> Nanos {
        match self {
            Self::Until(due) | Self::AskAgain(due) => due,
            Self::Ask(_) => FOREVER,
        }
    }

    /// Of the refusals of several lanes the greatest is the one to wait for: a lane that the store has to be
    /// asked for only when the others let go by the time it answers, at `answers`; of such lanes the
    /// slowest.
    pub(in crate::pacing) fn rank(self, answers: Nanos) -> (u8, Nanos) {
        match self {
            Self::Until(due) if due <= answers => (0, due),
            Self::Ask(period) => (1, period),
            Self::Until(due) | Self::AskAgain(due) => (2, due),
        }
    }
}
