//! The ledger on SQLite: one file, nothing to install, one consumer at a time.
//!
//! In: the ledger's calls. Out: their results. Always: in a file, writes share commits on one thread and reads have
//! their own connections; in memory, every statement runs on the caller's thread and nothing waits, so that a paused
//! clock stands still meanwhile.
//!
//! `file` opens, reads, writes, holds and copies a store; `session` runs the statements that are written once for both
//! stores; the other modules have this store's own statements, by subject.

mod file;
mod session;

mod intake;
mod message;
mod take;

mod coming_back;
mod settle;
mod steering;
mod undos;
mod upkeep;

mod errors;
#[cfg(test)]
mod tests;

pub use file::{Hold, SqliteSource, WaitingMessages, has_ledger, hold};
pub(super) use file::{SqliteStore, not_in_memory};

use rusqlite::Connection;

use session::SqliteSession;

/// A session on a call's connection.
pub(super) fn session(conn: &Connection) -> SqliteSession<'_> {
    SqliteSession(conn)
}
