//! The sign that a consumer lives: an advisory lock on a connection of its own.
//!
//! In: the consumer's name in leases. Out: a lock that `lives` in the schema looks for. Always: it goes
//! when the process does, however it ends, and stays while the process is only stopped.
//!
//! A connection that breaks takes the sign with it, and the next one brings it back: in between a
//! consumer that lives looks dead. Its leases hold all the same; what is lost is the care for a process
//! that stands still at that very moment between its last look at the lease and its call.

use std::time::Duration;

use deadpool_postgres::{ClientWrapper, Object};
use tokio::task::JoinHandle;

use crate::ledger::Result;

use super::connection::Connections;

/// How often the connection is looked at, and made again while it is gone.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Kept for as long as this is.
pub(super) struct Presence(JoinHandle<()>);

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Presence {
    /// Keeps what [`show`] began.
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
                    Err(error) => tracing::debug!(%error, "not shown to be alive yet"),
                }
            }
        }))
    }
}

/// Takes the lock, and the connection out of the pool with it. 1718384739 is "flxc" in ASCII.
pub(super) async fn show(connection: Object, holder: &str) -> Result<ClientWrapper> {
    let connection = Object::take(connection);
    let sql = "SELECT pg_advisory_lock_shared(1718384739, hashtext($1))";
    connection.execute(sql, &[&holder]).await?;
    Ok(connection)
}
