//! What a ledger on SQLite is made of: a file with its writer and readers, or memory.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;

use crate::ledger::{LedgerError, Result};
use crate::sqlite_file::{FileError, FilePlace};

use super::connection;
use super::reader::Reader;
use super::writer::Writer;

/// A ledger on SQLite.
pub struct SqliteLedger {
    store: Store,
}

enum Store {
    /// In the order in which they are dropped: the writer's end finds no reader of this process in its way.
    File {
        reader: Reader,
        writer: Writer,
        place: FilePlace,
    },
    Memory {
        conn: Mutex<Connection>,
        place: Mutex<String>,
    },
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
        let place = file.place().clone();
        let writer = Writer::start(conn, file)?;
        let reader = Reader::new(path.to_owned());
        Ok(Self {
            store: Store::File {
                reader,
                writer,
                place,
            },
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
            store: Store::Memory {
                conn: Mutex::new(conn),
                place: Mutex::new(somewhere()),
            },
        })
    }

    /// A copy in memory of a ledger in memory, as it is now.
    ///
    /// # Errors
    ///
    /// [`crate::ledger::LedgerError::Misconfigured`] for one in a file, which is copied by `ledger backup`.
    pub fn copy_in_memory(&self) -> Result<Self> {
        let Store::Memory { conn, .. } = &self.store else {
            let text = "a ledger in a file is copied by: flexcast ledger backup FILE";
            return Err(LedgerError::Misconfigured(text.to_owned()));
        };
        let copy = Self::in_memory()?;
        if let Store::Memory { conn: to, .. } = &copy.store {
            copy_all(conn, to)?;
        }
        Ok(copy)
    }

    /// Puts what another ledger in memory holds in place of what this one does, as the restoring of a backup does.
    ///
    /// # Errors
    ///
    /// [`crate::ledger::LedgerError::Unavailable`] when it cannot be copied.
    pub fn restore_in_memory(&self, from: &Self) -> Result<()> {
        if let (Store::Memory { conn: from, .. }, Store::Memory { conn: to, place }) =
            (&from.store, &self.store)
        {
            copy_all(from, to)?;
            *place.lock().unwrap_or_else(PoisonError::into_inner) = somewhere();
        }
        Ok(())
    }

    /// Where it is: a copy is elsewhere.
    pub(super) fn place_text(&self) -> String {
        match &self.store {
            Store::File { place, .. } => place.text(),
            Store::Memory { place, .. } => {
                let place = place.lock().unwrap_or_else(PoisonError::into_inner);
                place.clone()
            }
        }
    }

    /// Whether the file that is written is the one at its path.
    pub(super) fn look_at_place(&self) -> Result<()> {
        let Store::File { place, .. } = &self.store else {
            return Ok(());
        };
        place.look().map_err(|error| match error {
            FileError::Refused(text) => LedgerError::Corrupt(text),
            FileError::Unusable(text) => LedgerError::Unavailable(text),
        })
    }

    /// Of a file that seems to be corrupt, whether another one stands in its place.
    fn explained<T>(&self, result: Result<T>) -> Result<T> {
        if let Err(LedgerError::Corrupt(_)) = &result {
            self.look_at_place()?;
        }
        result
    }

    pub(super) async fn write<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> Result<T> + Send + 'static,
    {
        match &self.store {
            Store::File { writer, .. } => self.explained(writer.write(job).await),
            Store::Memory { conn, .. } => inline(conn, job),
        }
    }

    pub(super) async fn read<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        match &self.store {
            Store::File { reader, .. } => self.explained(reader.read(job).await),
            Store::Memory { conn, .. } => inline(conn, job),
        }
    }
}

/// A place in memory that no other ledger has.
fn somewhere() -> String {
    format!("memory:{:032x}", rand::random::<u128>())
}

fn copy_all(from: &Mutex<Connection>, to: &Mutex<Connection>) -> Result<()> {
    let from = from.lock().unwrap_or_else(PoisonError::into_inner);
    let mut to = to.lock().unwrap_or_else(PoisonError::into_inner);
    rusqlite::backup::Backup::new(&from, &mut to)?.step(-1)?;
    Ok(())
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
