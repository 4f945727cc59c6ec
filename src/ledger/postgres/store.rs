//! What a ledger on PostgreSQL is made of, and how one is come by.

use std::sync::Mutex;
use std::time::Duration;

use deadpool_postgres::Object;
use jiff::Timestamp;

use crate::ledger::Result;
use crate::ledger::columns::ms;

use super::begun::BegunForAgents;
use super::connection::Connections;
use super::lanes::SharedLanes;
use super::presence::Presence;
use super::tail::Written;
use super::take::Taker;

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

/// A ledger on PostgreSQL.
pub struct PostgresLedger {
    pub(super) connections: Connections,
    pub(super) clock: LeaseClock,
    /// This process's name where it lists what it is going to publish.
    pub(super) lister: String,
    /// What shows others that this consumer lives.
    pub(super) presence: Mutex<Option<Presence>>,
    /// The connection on which the right to start calls is renewed.
    pub(super) for_rights: tokio::sync::Mutex<Option<Object>>,
}

impl PostgresLedger {
    /// Connects to the database of this URL (`postgres://user:password@host:5432/database`, options
    /// and `sslmode` as libpq reads them) and brings the schema `flexcast` in it up to date. Several
    /// processes may do so at once. Behind a pooler it needs one that pools sessions.
    ///
    /// # Errors
    ///
    /// [`crate::ledger::LedgerError::LoginRefused`] when the server does not take the login,
    /// [`crate::ledger::LedgerError::Unavailable`] when it does not answer,
    /// [`crate::ledger::LedgerError::Misconfigured`] when it is no such URL, there is no such database, or a newer
    /// program wrote it.
    /// None shows the password.
    pub async fn connect(url: &str) -> Result<Self> {
        Self::connect_with(url, LeaseClock::Server).await
    }

    /// As [`PostgresLedger::connect`], with another clock for leases.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn connect_with(url: &str, clock: LeaseClock) -> Result<Self> {
        Ok(Self {
            connections: Connections::open(url).await?,
            clock,
            lister: format!("{:016x}", rand::random::<u64>()),
            presence: Mutex::default(),
            for_rights: tokio::sync::Mutex::default(),
        })
    }
}

impl PostgresLedger {
    /// Who takes, in the server's run of now.
    pub(super) fn taker<'a>(
        &self,
        holder: &'a str,
        now: Timestamp,
        lease_for: Duration,
    ) -> Taker<'a> {
        Taker {
            holder,
            now,
            lease_for,
            clock: self.clock,
            run: self.connections.runs.current(),
        }
    }

    /// Takes note of what a call has committed to a journal, if it has.
    pub(super) fn committed(&self, written: Option<Written>) {
        if let Some(written) = written {
            self.connections.tail.note(written);
        }
    }

    /// What this ledger's consumers share beside it: lanes and places.
    #[must_use]
    pub fn lanes(&self) -> SharedLanes {
        SharedLanes::new(self.connections.clone())
    }

    /// What this ledger's consumers have begun for agents.
    #[must_use]
    pub fn begun(&self) -> BegunForAgents {
        BegunForAgents::new(self.connections.clone())
    }
}
