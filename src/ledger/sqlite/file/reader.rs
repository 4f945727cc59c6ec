//! Reads on separate connections, so that a long read does not delay writes.
//!
//! Always: each read sees one snapshot of durable data, in one read transaction.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, TransactionBehavior};

use crate::ledger::{LedgerError, Result};

use super::connection::open_reader;

/// The number of idle connections kept: one for `work`, one for an operator's command.
const IDLE_MAX: usize = 2;

/// Connections for reading, opened when they are needed.
#[derive(Clone)]
pub(super) struct Reader {
    path: Arc<PathBuf>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Reader {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path: Arc::new(path),
            idle: Arc::default(),
        }
    }

    /// Runs `job` on a blocking thread, in a read transaction.
    pub(super) async fn read<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let reader = self.clone();
        tokio::task::spawn_blocking(move || reader.look(job))
            .await
            .map_err(|error| LedgerError::Unavailable(format!("a read was interrupted: {error}")))?
    }

    fn look<T>(&self, job: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let mut conn = match self.idle().pop() {
            Some(conn) => conn,
            None => open_reader(&self.path)?,
        };
        let transaction = conn.transaction_with_behavior(TransactionBehavior::Deferred)?;
        let seen = job(&transaction);
        drop(transaction);
        let mut idle = self.idle();
        if idle.len() < IDLE_MAX {
            idle.push(conn);
        }
        seen
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        // A panic leaves no half-changed list.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
