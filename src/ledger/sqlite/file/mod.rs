//! The storage of a ledger on SQLite: a file with its writer and readers, or memory.

mod backup;
mod connection;
mod hold;
mod reader;
mod writer;

pub use backup::{SqliteSource, WaitingMessages, has_ledger};
pub use hold::{Hold, hold};

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;

use crate::ledger::{LedgerError, Result};
use crate::sqlite_file::{FileError, FilePlace};

use reader::Reader;
use writer::Writer;

/// A ledger's store on SQLite.
pub(in crate::ledger) struct SqliteStore {
    storage: Storage,
}

/// The storage of a store.
enum Storage {
    /// Dropped in this order: when the writer closes, no reader of this process blocks it.
    File {
        reader: Reader,
        writer: Writer,
        file: FilePlace,
    },
    Memory {
        conn: Mutex<Connection>,
        place: Mutex<String>,
    },
}

impl SqliteStore {
    /// Opens the ledger in this file, or creates it.
    pub(in crate::ledger) fn open(path: &Path) -> Result<Self> {
        let (conn, file) = connection::open_writer(path)?;
        let place = file.place().clone();
        let writer = Writer::start(conn, file)?;
        let reader = Reader::new(path.to_owned());
        Ok(Self {
            storage: Storage::File {
                reader,
                writer,
                file: place,
            },
        })
    }

    /// A ledger in memory, with this id.
    pub(in crate::ledger) fn in_memory_as(id: &str) -> Result<Self> {
        let conn = connection::open_in_memory(id)?;
        Ok(Self {
            storage: Storage::Memory {
                conn: Mutex::new(conn),
                place: Mutex::new(somewhere()),
            },
        })
    }

    /// A copy, in memory, of a ledger in memory.
    pub(in crate::ledger) fn copy_in_memory(&self) -> Result<Self> {
        let Storage::Memory { conn, .. } = &self.storage else {
            return Err(not_in_memory());
        };
        let copy = Self::in_memory_as("in-memory")?;
        if let Storage::Memory { conn: to, .. } = &copy.storage {
            copy_all(conn, to)?;
        }
        Ok(copy)
    }

    /// Replaces the contents of this ledger in memory by those of another one.
    pub(in crate::ledger) fn restore_in_memory(&self, from: &Self) -> Result<()> {
        if let (Storage::Memory { conn: from, .. }, Storage::Memory { conn: to, place }) =
            (&from.storage, &self.storage)
        {
            copy_all(from, to)?;
            *place.lock().unwrap_or_else(PoisonError::into_inner) = somewhere();
        }
        Ok(())
    }

    /// The place of the storage. A copy has another one.
    pub(in crate::ledger) async fn place(&self) -> Result<String> {
        Ok(match &self.storage {
            Storage::File { file, .. } => file.text(),
            Storage::Memory { place, .. } => {
                let place = place.lock().unwrap_or_else(PoisonError::into_inner);
                place.clone()
            }
        })
    }

    /// Checks that the open file is the one at its path.
    pub(in crate::ledger) async fn look_at_place(&self) -> Result<()> {
        self.check_place()
    }

    fn check_place(&self) -> Result<()> {
        let Storage::File { file, .. } = &self.storage else {
            return Ok(());
        };
        file.look().map_err(|error| match error {
            FileError::Refused(text) => LedgerError::Corrupt(text),
            FileError::Unusable(text) => LedgerError::Unavailable(text),
        })
    }

    /// If a file seems to be corrupt, checks first whether another file is in its place.
    fn explained<T>(&self, result: Result<T>) -> Result<T> {
        if let Err(LedgerError::Corrupt(_)) = &result {
            self.check_place()?;
        }
        result
    }

    pub(in crate::ledger) async fn write<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> Result<T> + Send + 'static,
    {
        match &self.storage {
            Storage::File { writer, .. } => self.explained(writer.write(job).await),
            Storage::Memory { conn, .. } => inline(conn, job),
        }
    }

    pub(in crate::ledger) async fn read<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        match &self.storage {
            Storage::File { reader, .. } => self.explained(reader.read(job).await),
            Storage::Memory { conn, .. } => inline(conn, job),
        }
    }
}

/// The error for copying a ledger that is not in memory.
pub(in crate::ledger) fn not_in_memory() -> LedgerError {
    let text = "the ledger is not in memory: flexcast ledger backup FILE copies one in a file";
    LedgerError::Misconfigured(text.to_owned())
}

/// A place in memory that is unique to this ledger.
fn somewhere() -> String {
    format!("memory:{:032x}", rand::random::<u128>())
}

fn copy_all(from: &Mutex<Connection>, to: &Mutex<Connection>) -> Result<()> {
    let from = from.lock().unwrap_or_else(PoisonError::into_inner);
    let mut to = to.lock().unwrap_or_else(PoisonError::into_inner);
    rusqlite::backup::Backup::new(&from, &mut to)?.step(-1)?;
    Ok(())
}

/// Runs `job` on this thread, in its own transaction.
fn inline<T>(conn: &Mutex<Connection>, job: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    // After a panic the transaction was rolled back.
    let mut conn = conn.lock().unwrap_or_else(PoisonError::into_inner);
    let transaction = conn.transaction()?;
    let result = job(&transaction)?;
    transaction.commit()?;
    Ok(result)
}
