//! What all of this folder keeps to.

use crate::ledger::LedgerError;

/// The schema that holds the ledger: a database that others use too has no names in common with it.
pub(super) const SCHEMA: &str = "flexcast";

/// Connections of one process. The server groups the commits that wait at the same time, and with a
/// commit in some milliseconds these make thousands of them a second; several consumers and an import
/// stay below the 100 that a server takes by default (`max_connections`). One of them is kept for the renewal of a
/// consumer's right.
pub(super) const CONNECTIONS_MAX: usize = 17;

/// Why `DATABASE_URL` is refused.
pub(super) fn invalid(why: &str) -> LedgerError {
    LedgerError::Misconfigured(format!("DATABASE_URL is not usable: {why}"))
}
