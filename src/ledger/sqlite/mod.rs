//! The ledger on SQLite: one file, nothing to install, one consumer at a time.
//!
//! In: the ledger's calls. Out: what they say. Always: in a file, writes share commits on one
//! thread and looks have connections of their own; in memory, every statement runs on the caller's
//! thread and nothing waits, so that a paused clock stands still meanwhile.
//!
//! `file` is how a store is opened, read, written, held and copied; `session` carries the statements that are written
//! once for both stores; the other modules are this store's own statements, by subject.

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

/// A session on the connection of a call.
pub(super) fn session(conn: &Connection) -> SqliteSession<'_> {
    SqliteSession(conn)
}
