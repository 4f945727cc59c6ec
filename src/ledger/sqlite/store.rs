//! What a ledger on SQLite is made of: a file with its writer and readers, or memory.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;

use crate::ledger::{LedgerError, Result};

use super::connection;
use super::reader::Reader;
use super::writer::Writer;

/// A ledger on SQLite.
pub struct SqliteLedger {
    store: Store,
    /// Where it is: a copy of the file is elsewhere.
    place: String,
}

enum Store {
    /// In the order in which they are dropped: the writer's end finds no reader of this process in its way.
    File {
        reader: Reader,
        writer: Writer,
    },
    Memory(Mutex<Connection>),
}

impl SqliteLedger {
    /// Opens the ledger in this file, and makes it when it is not there; its folder must be.
    /// Several processes may have it open; who consumes also needs the [`super::hold`].
    ///
    /// # Errors
    ///
    /// [`crate::ledger::LedgerError::Unavailable`] when the file cannot be made or written,
    /// [`crate::ledger::LedgerError::Misconfigured`] when a newer program wrote it, it is no ledger, was copied
    /// without its log, or was cut off: then nothing is changed.
    pub fn open(path: &Path) -> Result<Self> {
        let (conn, file) = connection::open_writer(path)?;
        let writer = Writer::start(conn, file)?;
        let reader = Reader::new(path.to_owned());
        Ok(Self {
            store: Store::File { reader, writer },
            place: place(path)?,
        })
    }

    /// A ledger in memory, gone when it is dropped: for the paused clock.
    ///
    /// # Errors
    ///
    /// [`crate::ledger::LedgerError::Unavailable`] when there is no memory for it.
    pub fn in_memory() -> Result<Self> {
        Self::in_memory_as("in-memory")
    }

    /// The same, with an id of its own.
    ///
    /// # Errors
    ///
    /// As [`SqliteLedger::in_memory`].
    pub fn in_memory_as(id: &str) -> Result<Self> {
        let conn = connection::open_in_memory(id)?;
        Ok(Self {
            store: Store::Memory(Mutex::new(conn)),
            place: format!("memory:{:032x}", rand::random::<u128>()),
        })
    }

    /// A copy in memory of a ledger in memory, as it is now.
    ///
    /// # Errors
    ///
    /// [`crate::ledger::LedgerError::Misconfigured`] for one in a file, which is copied by `ledger backup`.
    pub fn copy_in_memory(&self) -> Result<Self> {
        let Store::Memory(conn) = &self.store else {
            let text = "a ledger in a file is copied by: flexcast ledger backup FILE";
            return Err(LedgerError::Misconfigured(text.to_owned()));
        };
        let conn = conn.lock().unwrap_or_else(PoisonError::into_inner);
        let copy = Self::in_memory()?;
        if let Store::Memory(to) = &copy.store {
            let mut to = to.lock().unwrap_or_else(PoisonError::into_inner);
            let backup = rusqlite::backup::Backup::new(&conn, &mut to)?;
            backup.step(-1)?;
        }
        Ok(copy)
    }

    pub(super) fn place_of_file(&self) -> String {
        self.place.clone()
    }

    pub(super) async fn write<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> Result<T> + Send + 'static,
    {
        match &self.store {
            Store::File { writer, .. } => writer.write(job).await,
            Store::Memory(conn) => inline(conn, job),
        }
    }

    pub(super) async fn read<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        match &self.store {
            Store::File { reader, .. } => reader.read(job).await,
            Store::Memory(conn) => inline(conn, job),
        }
    }
}

/// A file's path, device and inode: a file that was copied or restored is another one, also at the same path.
fn place(path: &Path) -> Result<String> {
    let failed =
        |error: std::io::Error| LedgerError::Unavailable(format!("{}: {error}", path.display()));
    let whole = path.canonicalize().map_err(failed)?;
    let about = path.metadata().map_err(failed)?;
    Ok(format!(
        "{}:{}:{}",
        whole.display(),
        about.dev(),
        about.ino()
    ))
}

/// Runs `job` here and now, in a transaction of its own.
fn inline<T>(conn: &Mutex<Connection>, job: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    // Whoever panicked while holding it left a transaction that was rolled back on the way out.
    let mut conn = conn.lock().unwrap_or_else(PoisonError::into_inner);
    let transaction = conn.transaction()?;
    let result = job(&transaction)?;
    transaction.commit()?;
    Ok(result)
}
