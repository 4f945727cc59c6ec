//! A waiter's request to one lane, and why the lane refuses it.

use std::num::NonZeroU32;

use crate::pacing::Nanos;

/// The order of arrival: an older waiter has a lower ticket.
pub(in crate::pacing) type Ticket = u64;

/// No moment is known: something has to happen first, such as the end of another permit.
pub(in crate::pacing) const FOREVER: Nanos = Nanos::MAX;

/// A waiter's request: which waiter, for which cost, and when.
#[derive(Clone, Copy, Debug)]
pub(in crate::pacing) struct LaneAsk {
    pub(in crate::pacing) ticket: Ticket,
    /// What the whole permit costs; [`crate::pacing::Lane::charge`] says what one lane charges.
    pub(in crate::pacing) cost: NonZeroU32,
    /// Since when it waits. A lane that became due after that is charged from its due moment, within the lateness that
    /// its limiter makes good.
    pub(in crate::pacing) as_of: Nanos,
    pub(in crate::pacing) now: Nanos,
}

/// Why a lane refuses a waiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pacing) enum LaneRefusal {
    /// It may grant at that moment; [`FOREVER`]: once something happens.
    Until(Nanos),
    /// The store of shared lanes grants nothing before that moment; it may refuse again then.
    AskAgain(Nanos),
    /// The store of shared lanes has to be asked first. The lane's period.
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

    /// The refusal of several lanes with the greatest rank is the one to wait for. `answers`: when the store would
    /// answer if it were asked now. A lane that the store has to be asked for is waited for only if the other lanes
    /// grant by `answers`; of several such lanes, the slowest is.
    pub(in crate::pacing) fn rank(self, answers: Nanos) -> (u8, Nanos) {
        match self {
            Self::Until(due) if due <= answers => (0, due),
            Self::Ask(period) => (1, period),
            Self::Until(due) | Self::AskAgain(due) => (2, due),
        }
    }
}
