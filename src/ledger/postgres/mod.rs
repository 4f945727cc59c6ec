//! The ledger on PostgreSQL (13 or later): several consumers at once, on several machines.
//!
//! In: the ledger's calls. Out: their results. Always: a call is one transaction, most of them one statement; commits
//! that wait at the same time share one write to the server's log, whichever consumers they come from; leases are given
//! and compared by the server's clock, so that machines with different clocks agree on the holder of a message.
//!
//! A lease has two end times. The row stores the end by the server's clock. The holder is given the end by its own
//! clock: the lease's length after the moment before the holder asked, which is never later than the row's end. All
//! other times (stamps, due times) are the caller's: a machine whose clock is wrong wakes its messages early or late by
//! as much.
//!
//! `server` connects to a store; `session` runs the statements that are written once for both stores; the other modules
//! have this store's own statements, by subject.

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

/// Runs a future on a connection of the pool, within the time limit of a call.
macro_rules! on_client {
    ($store:expr, |$client:ident| $work:expr) => {
        $store.connections.bounded(async {
            #[allow(unused_mut, reason = "a transaction changes the client")]
            let mut $client = $store.connections.get().await?;
            $work.await
        })
    };
}

/// The same with a session. Each statement is its own transaction.
macro_rules! in_session {
    ($store:expr, |$session:ident| $work:expr) => {
        $store.connections.bounded(async {
            let client = $store.connections.get().await?;
            let $session = &$crate::ledger::postgres::PostgresSession(&client);
            $work.await
        })
    };
}

/// The same in one transaction, which is committed if the future succeeds.
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

/// The same for reads. All statements see the same moment.
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

/// The isolation level at which all statements of a transaction see the same moment.
pub(super) const SNAPSHOT: tokio_postgres::IsolationLevel =
    tokio_postgres::IsolationLevel::RepeatableRead;
