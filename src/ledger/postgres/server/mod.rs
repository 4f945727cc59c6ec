//! The storage of a ledger on PostgreSQL: its connections and their state.

mod connection;
mod limits;
mod migrate;
mod presence;
mod server_runs;
mod tail;
mod tls;

pub(super) use connection::Connections;
pub(super) use tail::CommittedEvent;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use deadpool_postgres::{ClientWrapper, Object};
use jiff::Timestamp;

use super::on_client;
use crate::ledger::columns::ms;
use crate::ledger::{Incarnation, Result, StoreRun};
use presence::Presence;

/// The clock by which leases are given and compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LeaseClock {
    /// The server's clock.
    #[default]
    Server,
    /// The caller's `now`, for tests that choose the time.
    Caller,
}

impl LeaseClock {
    /// The time that the function `lease_clock` is given. NULL selects the server's own time.
    pub(in crate::ledger) fn chosen(self, now: Timestamp) -> Option<i64> {
        match self {
            Self::Server => None,
            Self::Caller => Some(ms(now)),
        }
    }
}

/// A connection that is used by one call at a time.
pub(in crate::ledger::postgres) type OwnConnection = tokio::sync::Mutex<Option<ClientWrapper>>;

/// The connections of the calls for shared limits (`lanes`).
#[derive(Default)]
pub(in crate::ledger::postgres) struct OwnConnections {
    pub(in crate::ledger::postgres) for_lanes: OwnConnection,
    pub(in crate::ledger::postgres) for_places: OwnConnection,
}

/// A ledger's store on PostgreSQL.
pub(in crate::ledger) struct PostgresStore {
    pub(in crate::ledger) connections: Connections,
    pub(in crate::ledger) clock: LeaseClock,
    /// This process's random name in the lists of messages that it is about to publish.
    pub(super) lister: String,
    /// The sign for other processes that this consumer is alive.
    presence: Mutex<Option<Presence>>,
    /// The connection for renewals of the right to start calls.
    pub(super) for_rights: tokio::sync::Mutex<Option<Object>>,
    /// The connections for shared limits.
    pub(super) for_limits: OwnConnections,
}

impl PostgresStore {
    pub(in crate::ledger) async fn connect(url: &str, clock: LeaseClock) -> Result<Self> {
        Ok(Self {
            connections: Connections::open(url).await?,
            clock,
            lister: format!("{:016x}", rand::random::<u64>()),
            presence: Mutex::default(),
            for_rights: tokio::sync::Mutex::default(),
            for_limits: OwnConnections::default(),
        })
    }

    /// The identifiers of the server and the database. A base backup has the same ones; a dump that was restored
    /// elsewhere does not.
    pub(in crate::ledger) async fn place(&self) -> Result<String> {
        let sql = "SELECT system_identifier::text || ':' ||
                       (SELECT oid FROM pg_database WHERE datname = current_database())::text
                   FROM pg_control_system()";
        let place = on_client!(self, |client| async {
            let statement = client.prepare_cached(sql).await?;
            Ok(client.query_one(&statement, &[]).await?.try_get(0)?)
        });
        place.await
    }

    /// Does nothing: a server has no file to check.
    pub(in crate::ledger) async fn look_at_place(&self) -> Result<()> {
        Ok(())
    }

    pub(in crate::ledger) async fn show_alive(&self, holder: &str) -> Result<()> {
        let showing = on_client!(self, |client| presence::show(client, holder));
        let shown = Presence::kept(showing.await?, self.connections.clone(), holder);
        let mut presence = self.presence.lock().unwrap_or_else(PoisonError::into_inner);
        *presence = Some(shown);
        Ok(())
    }

    pub(in crate::ledger) fn losses(&self) -> u64 {
        self.connections.tail.losses()
    }

    pub(in crate::ledger) fn run(&self) -> StoreRun {
        self.connections.runs.current()
    }

    pub(in crate::ledger) fn gives_no_lease_for(&self) -> Option<Duration> {
        self.connections.runs.rest()
    }

    pub(in crate::ledger) fn note_beat(&self, beat: &Incarnation) {
        self.connections.tail.note_beat(beat);
    }

    /// Records what a call has committed to a journal, if anything.
    pub(super) fn committed(&self, written: Option<CommittedEvent>) {
        if let Some(written) = written {
            self.connections.tail.note(written);
        }
    }
}
