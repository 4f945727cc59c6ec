//! What we know happened: one type over two stores.
//!
//! In: acceptances, leases, journal events, settlements. Out: what to do next, and the books.
//! Always: what a method reports is durable when it returns; times are arguments, so that two stores
//! answer alike and tests choose the time; each term of the books is counted from its own records
//! (accepted: `messages`; waiting, deferred, in flight: `turns`; the rest: `outcomes`), in one
//! snapshot.
//!
//! In reading order: `facts` are the types; `calls` are the methods of [`Ledger`], by subject, with the statements that
//! are written once for both stores (by `session`); `sqlite` and `postgres` have the statements that each store has
//! for itself, those of a message's turn; `watch` finds out whether the store is lost.

mod facts;

mod calls;
mod session;

mod columns;
mod error;
mod interceptor;
mod probe;
mod watch;

mod postgres;
pub mod sqlite;

pub use calls::BackupSource;
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

/// The store of all messages, journals and outcomes, and whether that store is lost. Shared by `import`, `campaign`
/// and `work`.
pub struct Ledger {
    store: Arc<Store>,
    watch: Arc<Watch>,
    interceptor: Option<Arc<dyn Interceptor>>,
}

/// Where a ledger is.
enum Store {
    /// A file, or memory: one consumer at a time.
    Sqlite(Box<SqliteStore>),
    /// A server: several consumers at once.
    Postgres(Box<PostgresStore>),
}

impl Ledger {
    /// Opens the ledger in this file, and makes it when it is not there; its folder must be.
    /// Several processes may have it open; a consumer also needs the [`sqlite::hold`].
    ///
    /// # Errors
    ///
    /// [`LedgerError::Unavailable`] when the file cannot be made or written, [`LedgerError::Misconfigured`] when a
    /// newer program wrote it, it is no ledger, was copied without its log, or was cut off: then nothing is changed.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self::over(Store::Sqlite(Box::new(SqliteStore::open(
            path,
        )?))))
    }

    /// A ledger in memory, which is gone when it is dropped: for a paused clock.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Unavailable`] when there is no memory for it.
    pub fn in_memory() -> Result<Self> {
        Self::in_memory_as("in-memory")
    }

    /// The same, with an id of its own.
    ///
    /// # Errors
    ///
    /// As [`Ledger::in_memory`].
    pub fn in_memory_as(id: &str) -> Result<Self> {
        Ok(Self::over(Store::Sqlite(Box::new(
            SqliteStore::in_memory_as(id)?,
        ))))
    }

    /// Connects to the database of this URL (`postgres://user:password@host:5432/database`, options
    /// and `sslmode` as libpq reads them) and brings the schema `flexcast` in it up to date. Several
    /// processes may do so at once. Behind a pooler it needs one that pools sessions.
    ///
    /// # Errors
    ///
    /// [`LedgerError::LoginRefused`] when the server does not take the login, [`LedgerError::Unavailable`] when it does
    /// not answer, [`LedgerError::Misconfigured`] when it is no such URL, there is no such database, or a newer program
    /// wrote it. None shows the password.
    pub async fn connect(url: &str) -> Result<Self> {
        Self::connect_with(url, LeaseClock::Server).await
    }

    /// As [`Ledger::connect`], with another clock for leases.
    ///
    /// # Errors
    ///
    /// As there.
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

    /// The same store as another process has it: whether it is lost is found out anew.
    #[must_use]
    pub fn as_another_process(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            watch: Arc::default(),
            interceptor: None,
        }
    }

    /// The same ledger, whose calls an interceptor may delay, or make fail.
    #[must_use]
    pub fn intercepted_by(self, interceptor: Arc<dyn Interceptor>) -> Self {
        Self {
            interceptor: Some(interceptor),
            ..self
        }
    }

    /// A copy in memory of a ledger in memory, as it is now.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Misconfigured`] for any other, which `ledger backup` or the database's own program copies.
    pub fn copy_in_memory(&self) -> Result<Self> {
        match &*self.store {
            Store::Sqlite(store) => {
                Ok(Self::over(Store::Sqlite(Box::new(store.copy_in_memory()?))))
            }
            Store::Postgres(_) => Err(sqlite::not_in_memory()),
        }
    }

    /// Puts what another ledger in memory holds in place of what this one does, as the restoring of a backup does.
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

    /// What the store's clock is told to show; NULL is its own time.
    fn chosen(&self, now: Timestamp) -> Option<i64> {
        match &*self.store {
            Store::Sqlite(_) => Some(columns::ms(now)),
            Store::Postgres(store) => store.clock.chosen(now),
        }
    }

    /// Whether several consumers may work on it at once, and so share limits and agents.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        matches!(&*self.store, Store::Postgres(_))
    }
}
