//! The durable record of every message: one type over two stores, SQLite and PostgreSQL.
//!
//! In: acceptances, leases, journal events, settlements. Out: the work that is due, and the books. Always: what a
//! method reports is durable when it returns; times are arguments, so that both stores answer alike and tests choose
//! the time; each term of the books is counted from its own records (accepted: `messages`; the open states:
//! `turns`; the rest: `outcomes`), in one snapshot. The column `state` of `turns` has older words: `waiting` is queued,
//! and `deferred` is scheduled, retrying or held, by the column `reason`.
//!
//! In reading order: `facts` has the types; `calls` has the methods of [`Ledger`] by subject, with the statements that
//! are written once for both stores (by way of `session`); `sqlite` and `postgres` have the statements that each store
//! needs for itself, those of a message's turn; `watch` detects that the store is lost.

mod facts;

mod calls;
mod session;

mod backup;
mod columns;
mod error;
mod interceptor;
mod probe;
mod watch;

mod postgres;
pub mod sqlite;

pub use backup::BackupSource;
pub use error::{LedgerError, Result};
pub use facts::*;
pub use interceptor::{Interceptor, LedgerCall, MadeCall};
pub use postgres::LeaseClock;
pub use watch::Loss;

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use postgres::PostgresStore;
use sqlite::SqliteStore;
use watch::Watch;

/// All messages, journals and outcomes, in a store that may be lost. The commands `import`, `campaign` and `work` share
/// it.
pub struct Ledger {
    store: Arc<Store>,
    watch: Arc<Watch>,
    interceptor: Option<Arc<dyn Interceptor>>,
}

/// The store of a ledger.
enum Store {
    /// A file, or memory. One consumer at a time.
    Sqlite(Box<SqliteStore>),
    /// A server. Several consumers at once.
    Postgres(Box<PostgresStore>),
}

impl Ledger {
    /// Opens the ledger in this file, or creates it in its folder, which must exist. Several processes may have it
    /// open. A consumer also needs the [`sqlite::hold`].
    ///
    /// # Errors
    ///
    /// [`LedgerError::Unavailable`] when the file cannot be created or written. [`LedgerError::Misconfigured`] when a
    /// newer program wrote it, it is no ledger, it was copied without its log, or it was truncated; then the file is
    /// not changed.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self::over(Store::Sqlite(Box::new(SqliteStore::open(
            path,
        )?))))
    }

    /// A ledger in memory, for a paused clock. It is lost when it is dropped.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Unavailable`] when there is not enough memory.
    pub fn in_memory() -> Result<Self> {
        Self::in_memory_as("in-memory")
    }

    /// A ledger in memory, with this id.
    ///
    /// # Errors
    ///
    /// As [`Ledger::in_memory`].
    pub fn in_memory_as(id: &str) -> Result<Self> {
        Ok(Self::over(Store::Sqlite(Box::new(
            SqliteStore::in_memory_as(id)?,
        ))))
    }

    /// Connects to the database of this URL (`postgres://user:password@host:5432/database`, with options and `sslmode`
    /// as libpq reads them) and brings the schema `flexcast` in it up to date. Several processes may do so at once. A
    /// connection pooler must give each connection a session of its own.
    ///
    /// # Errors
    ///
    /// [`LedgerError::LoginRefused`] when the server refuses the login, [`LedgerError::Unavailable`] when it does not
    /// answer, [`LedgerError::Misconfigured`] when the URL is invalid, the database does not exist, or a newer program
    /// wrote the schema. No error contains the password.
    pub async fn connect(url: &str) -> Result<Self> {
        Self::connect_with(url, LeaseClock::Server).await
    }

    /// Connects like [`Ledger::connect`], with another clock for leases.
    ///
    /// # Errors
    ///
    /// As [`Ledger::connect`].
    pub async fn connect_with(url: &str, clock: LeaseClock) -> Result<Self> {
        let store = PostgresStore::connect(url, clock).await?;
        Ok(Self::over(Store::Postgres(Box::new(store))))
    }

    fn over(store: Store) -> Self {
        Self {
            store: Arc::new(store),
            watch: Arc::default(),
            interceptor: None,
        }
    }

    /// The same store as a second process sees it: with its own watch, which has not seen a loss.
    #[must_use]
    pub fn as_another_process(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            watch: Arc::default(),
            interceptor: None,
        }
    }

    /// The same ledger, with an interceptor that may delay its calls or make them fail.
    #[must_use]
    pub fn intercepted_by(self, interceptor: Arc<dyn Interceptor>) -> Self {
        Self {
            interceptor: Some(interceptor),
            ..self
        }
    }

    /// A copy, in memory, of the current state of a ledger in memory.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Misconfigured`] for any other ledger: `ledger backup` or the database's own tool copies those.
    pub fn copy_in_memory(&self) -> Result<Self> {
        match &*self.store {
            Store::Sqlite(store) => {
                Ok(Self::over(Store::Sqlite(Box::new(store.copy_in_memory()?))))
            }
            Store::Postgres(_) => Err(sqlite::not_in_memory()),
        }
    }

    /// Replaces the contents of this ledger in memory by those of another one, as restoring a backup does.
    ///
    /// # Errors
    ///
    /// As [`Ledger::copy_in_memory`].
    pub fn restore_in_memory(&self, from: &Self) -> Result<()> {
        match (&*self.store, &*from.store) {
            (Store::Sqlite(store), Store::Sqlite(from)) => store.restore_in_memory(from),
            _ => Err(sqlite::not_in_memory()),
        }
    }

    /// The time that the function `lease_clock` is given. NULL selects the store's own clock.
    fn chosen(&self, now: Timestamp) -> Option<i64> {
        match &*self.store {
            Store::Sqlite(_) => Some(columns::ms(now)),
            Store::Postgres(store) => store.clock.chosen(now),
        }
    }

    /// The database server and the database, without user and password. `None` for a file.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        match &*self.store {
            Store::Sqlite(_) => None,
            Store::Postgres(store) => Some(store.connections.place()),
        }
    }

    /// Whether several consumers may work on it at once, and so share limits and agents.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        matches!(&*self.store, Store::Postgres(_))
    }
}
