//! The sign that a consumer is alive: an advisory lock on its own connection.
//!
//! In: the consumer's name in leases. Out: a lock that the schema's function `lives` checks. Always: the lock is
//! released when the process ends in any way, and is held while the process is only suspended.
//!
//! If the connection breaks, the lock is lost until the next connection takes it: meanwhile a living consumer looks
//! dead. Its leases are valid all the same. In that time other consumers do not wait for a process that is suspended
//! between its last check of the lease and its call.

use std::time::Duration;

use deadpool_postgres::{ClientWrapper, Object};
use tokio::task::JoinHandle;

use crate::ledger::Result;

use super::connection::Connections;
use super::limits::LIVING;

/// How often the connection is checked, and retried while it is lost.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Holds the lock until it is dropped.
pub(super) struct Presence(JoinHandle<()>);

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Presence {
    /// Keeps the lock that [`show`] has taken.
    pub(super) fn kept(first: ClientWrapper, connections: Connections, holder: &str) -> Self {
        let holder = holder.to_owned();
        Self(tokio::spawn(async move {
            let mut connection = first;
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                if !connection.is_closed() {
                    continue;
                }
                let again = async { show(connections.get().await?, &holder).await };
                match connections.bounded(again).await {
                    Ok(shown) => connection = shown,
                    Err(error) => tracing::debug!(%error, "not shown as alive yet"),
                }
            }
        }))
    }
}

/// Takes the lock, and removes its connection from the pool.
pub(super) async fn show(connection: Object, holder: &str) -> Result<ClientWrapper> {
    let connection = Object::take(connection);
    let sql = format!("SELECT pg_advisory_lock_shared({LIVING}, hashtext($1))");
    connection.execute(&sql, &[&holder]).await?;
    Ok(connection)
}
