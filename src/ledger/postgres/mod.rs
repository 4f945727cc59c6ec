//! The ledger on PostgreSQL (13 or later): several consumers at once, on several machines.
//!
//! In: the ledger's calls. Out: what they say. Always: a call is one transaction, most of them one
//! statement; commits that wait at the same time share one write to the server's log, whichever
//! consumers they come from; leases are given and compared by the server's clock, so that machines
//! whose clocks differ agree on who has a message.
//!
//! Two times meet in a lease. The row says when it ends by the server's clock. Its holder is told
//! when it ends by the holder's own: so long after the moment before it asked, never later than the
//! row. All other times (stamps, due times) are the caller's: a machine whose clock is off wakes its
//! messages early or late by as much.
//!
//! `server` is how a store is reached; `session` carries the statements that are written once for both stores; the other
//! modules are this store's own statements, by subject.

mod server;
mod session;

mod imports;
mod intake;
mod take;

mod coming_back;
mod fenced;
mod settle;
mod steering;
mod undos;
mod upkeep;

mod agents;
mod lanes;

mod errors;

pub use server::LeaseClock;
pub(super) use server::PostgresStore;
pub(super) use session::PostgresSession;

/// Does work on a connection of the pool, within the time that a call may take.
macro_rules! on_client {
    ($store:expr, |$client:ident| $work:expr) => {
        $store.connections.bounded(async {
            #[allow(unused_mut, reason = "a transaction changes the client")]
            let mut $client = $store.connections.get().await?;
            $work.await
        })
    };
}

/// The same with a session: each statement is a transaction of its own.
macro_rules! in_session {
    ($store:expr, |$session:ident| $work:expr) => {
        $store.connections.bounded(async {
            let client = $store.connections.get().await?;
            let $session = &$crate::ledger::postgres::PostgresSession(&client);
            $work.await
        })
    };
}

/// The same in one transaction, which is committed where the work succeeds.
macro_rules! in_transaction {
    ($store:expr, |$session:ident| $work:expr) => {
        $store.connections.bounded(async {
            let mut client = $store.connections.get().await?;
            let transaction = client.transaction().await?;
            let result = {
                let $session = &$crate::ledger::postgres::PostgresSession(&transaction);
                $work.await?
            };
            transaction.commit().await?;
            Ok(result)
        })
    };
}

/// The same for reading alone: all statements see the same moment.
macro_rules! in_snapshot {
    ($store:expr, |$session:ident| $work:expr) => {
        $store.connections.bounded(async {
            let mut client = $store.connections.get().await?;
            let snapshot = client
                .build_transaction()
                .isolation_level($crate::ledger::postgres::SNAPSHOT)
                .read_only(true)
                .start()
                .await?;
            let $session = &$crate::ledger::postgres::PostgresSession(&snapshot);
            $work.await
        })
    };
}

use on_client;
pub(super) use {in_session, in_snapshot, in_transaction};

/// All statements of such a transaction see the same moment.
pub(super) const SNAPSHOT: tokio_postgres::IsolationLevel =
    tokio_postgres::IsolationLevel::RepeatableRead;
