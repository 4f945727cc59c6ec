//! Values that all modules of this folder share.

use crate::ledger::LedgerError;

/// The first key of the lock by which a consumer shows that it is alive: "flxc" in ASCII.
/// The function `lives` of the migrations has the same number.
pub(super) const LIVING: i32 = 1_718_384_739;

/// The schema that holds the ledger, so that it shares no names with others in the same database.
pub(super) const SCHEMA: &str = "flexcast";

/// The connections of one process. The server groups commits that wait at the same time, so that with a commit in some
/// milliseconds these connections make thousands a second. Several consumers and an import stay below the server's
/// default of 100 (`max_connections`). One connection is kept for the renewal of a consumer's right.
pub(super) const CONNECTIONS_MAX: usize = 17;

/// The error for an unusable `DATABASE_URL`.
pub(super) fn invalid(why: &str) -> LedgerError {
    LedgerError::Misconfigured(format!("DATABASE_URL is not usable: {why}"))
}
