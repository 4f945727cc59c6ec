//! The clock that leases go by: the server's, or a test's.

use jiff::Timestamp;

use crate::ledger::columns::ms;

/// What leases are given and compared by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LeaseClock {
    /// The server's clock.
    #[default]
    Server,
    /// The caller's `now`, for tests that choose the time.
    Caller,
}

impl LeaseClock {
    /// What the store's clock is told to show; NULL is its own time.
    pub(super) fn chosen(self, now: Timestamp) -> Option<i64> {
        match self {
            Self::Server => None,
            Self::Caller => Some(ms(now)),
        }
    }
}
