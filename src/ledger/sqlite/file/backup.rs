//! Backs up the ledger's file: SQLite makes the copy in one read transaction.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use rusqlite::{Connection, OpenFlags};

use crate::ledger::{BackupSource, LedgerError, Result};
use crate::sqlite_file::{SqliteFile, is_there, look_after, neighbours, set_whole};

use super::connection::{KIND, refuse_newer, wait_for_lock};

/// What happens to the waiting messages of a copy when the copy is used as a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitingMessages {
    /// A broker still has them: the copy keeps them as queued.
    OnBroker,
    /// The queue's file may be missing there: the copy publishes them again. A message that is on the queue too is then
    /// there twice, and is carried out once.
    PublishedAgain,
}

/// The file of a ledger, to be copied.
#[derive(Debug)]
pub struct SqliteSource {
    ledger: PathBuf,
    queue: PathBuf,
    waiting: WaitingMessages,
}

impl SqliteSource {
    /// The ledger in the file `ledger`, and the queue in the file `queue`, which may be missing.
    #[must_use]
    pub fn new(ledger: PathBuf, queue: PathBuf, waiting: WaitingMessages) -> Self {
        Self {
            ledger,
            queue,
            waiting,
        }
    }
}

/// Whether the file of a ledger is at this path: the database, or its log alone.
#[must_use]
pub fn has_ledger(path: &Path) -> bool {
    is_there(path)
}

#[async_trait]
impl BackupSource for SqliteSource {
    fn own_files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for file in [&self.ledger, &self.queue] {
            files.push(file.clone());
            files.extend(neighbours(file));
        }
        files
    }

    async fn copy_to(&self, file: &Path) -> Result<u64> {
        let (ledger, file, waiting) = (self.ledger.clone(), file.to_owned(), self.waiting);
        tokio::task::spawn_blocking(move || copy(&ledger, &file, waiting))
            .await
            .map_err(|error| {
                LedgerError::Unavailable(format!("the copy was interrupted: {error}"))
            })?
    }
}

/// Changes nothing in the ledger, not even its schema: a backup may be wanted before a migration.
fn copy(ledger: &Path, file: &Path, waiting: WaitingMessages) -> Result<u64> {
    let source = SqliteFile::open_existing(ledger, &KIND)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(ledger, flags)?;
    look_after(&conn)?;
    let copied = conn
        .busy_handler(Some(wait_for_lock))
        .map_err(LedgerError::from)
        .and_then(|()| copy_from(&conn, file));
    source.close(conn);
    copied?;
    finish(file, waiting)
}

fn copy_from(conn: &Connection, file: &Path) -> Result<()> {
    refuse_newer(conn)?;
    let Some(name) = file.to_str() else {
        let text = format!("{}: its name is not UTF-8", file.display());
        return Err(LedgerError::Misconfigured(text));
    };
    // One read transaction of one statement: https://www.sqlite.org/lang_vacuum.html, section 4.
    conn.execute("VACUUM INTO ?1", [name])
        .map_err(|error| match error.into() {
            LedgerError::Unavailable(text) => {
                LedgerError::Unavailable(format!("{}: {text}", file.display()))
            }
            error => error,
        })?;
    Ok(())
}

/// Marks the copy as not in use, and counts its messages.
fn finish(file: &Path, waiting: WaitingMessages) -> Result<u64> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut copy = Connection::open_with_flags(file, flags)?;
    // The copy is useless until it is finished, and is then made durable as a whole.
    copy.pragma_update(None, "journal_mode", "MEMORY")?;
    copy.pragma_update(None, "synchronous", "OFF")?;
    let transaction = copy.transaction()?;
    if waiting == WaitingMessages::PublishedAgain {
        publish_again(&transaction)?;
    }
    set_whole(&transaction)?;
    transaction.commit()?;
    let count = copy.query_row("SELECT count(*) FROM messages", [], |row| {
        row.get::<_, i64>(0)
    })?;
    copy.close().map_err(|(_, error)| error)?;
    Ok(count.unsigned_abs())
}

/// Marks waiting messages and those in flight to be published by the copy's user, like those that an interrupted import
/// had accepted.
fn publish_again(conn: &Connection) -> Result<()> {
    // An earlier version's ledger does not have this column.
    let has_doubts = "SELECT count(*) FROM pragma_table_info('turns') WHERE name = 'doubtful'";
    let has_doubts: bool = conn.query_row(has_doubts, [], |row| row.get(0))?;
    let doubtful = if has_doubts { ", doubtful = 1" } else { "" };
    conn.execute_batch(&format!(
        "UPDATE turns SET queued = 0, queue_after = 0 WHERE state = 'waiting';
         UPDATE turns SET state = 'waiting', queued = 0, queue_after = 0, holder = NULL, lease_until = NULL{doubtful}
         WHERE state = 'in_flight';"
    ))?;
    Ok(())
}
