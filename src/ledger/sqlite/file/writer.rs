//! Group commit: one writing thread, with many messages' events in one transaction.
//!
//! In: writes, from any task. Out: their results. Always: a write that succeeds is durable; a write that fails is
//! undone alone, wherever in the transaction its error occurs; writes happen in the order in which they were submitted.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::ledger::{LedgerError, Result};
use crate::sqlite_file::SqliteFile;

/// The maximum number of writes in one transaction. Beyond some hundreds the cost of a commit per write is next to
/// nothing, and the first write waits for the last.
const BATCH_MAX: usize = 256;

/// The writing thread. When dropped, it finishes submitted writes and closes the file.
pub(super) struct Writer {
    /// None while it is being dropped.
    writes: Option<Sender<Box<dyn Write>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(conn: Connection, file: SqliteFile) -> Result<Self> {
        let (sender, receiver) = channel();
        let thread = std::thread::Builder::new()
            .name("ledger-writer".to_owned())
            .spawn(move || run(conn, file, &receiver))
            .map_err(|error| {
                LedgerError::Unavailable(format!("the writing thread did not start: {error}"))
            })?;
        Ok(Self {
            writes: Some(sender),
            thread: Some(thread),
        })
    }

    /// Runs `job` within the next transaction and returns when that is durable. Dropping the future does not cancel the
    /// write.
    pub(super) async fn write<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> Result<T> + Send + 'static,
    {
        let gone = || LedgerError::Unavailable("the writing thread has ended".to_owned());
        let (reply, result) = oneshot::channel();
        let write = Box::new(WriteJob {
            job,
            result: None,
            reply,
        });
        let writes = self.writes.as_ref().ok_or_else(gone)?;
        writes.send(write).map_err(|_| gone())?;
        result.await.map_err(|_| gone())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.writes.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed already.
            let _ = thread.join();
        }
    }
}

/// A write whose result type the thread does not know.
trait Write: Send {
    /// Runs it. Returns whether its changes are kept.
    fn run(&mut self, conn: &Connection) -> bool;

    /// Sends its caller the result, or the error of the whole transaction.
    fn reply(self: Box<Self>, failed: Option<&LedgerError>);
}

struct WriteJob<T, F> {
    job: F,
    result: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T, F> Write for WriteJob<T, F>
where
    T: Send,
    F: Fn(&Connection) -> Result<T> + Send,
{
    fn run(&mut self, conn: &Connection) -> bool {
        self.result = Some((self.job)(conn));
        matches!(self.result, Some(Ok(_)))
    }

    fn reply(self: Box<Self>, failed: Option<&LedgerError>) {
        // A failed transaction overrides even the error of a single write: that write may have read what another one
        // wrote, and that is gone.
        let result = match (failed, self.result) {
            (Some(LedgerError::Corrupt(text)), _) => Err(LedgerError::Corrupt(text.clone())),
            (Some(LedgerError::Refused { code, text }), _) => Err(LedgerError::Refused {
                code: code.clone(),
                text: text.clone(),
            }),
            (Some(LedgerError::Unavailable(text)), _) => {
                Err(LedgerError::Unavailable(text.clone()))
            }
            (Some(error), _) => Err(LedgerError::Unavailable(error.to_string())),
            (None, Some(result)) => result,
            (None, None) => Err(LedgerError::Unavailable("the write was not run".to_owned())),
        };
        // The caller may have stopped waiting.
        let _ = self.reply.send(result);
    }
}

fn run(mut conn: Connection, mut file: SqliteFile, writes: &Receiver<Box<dyn Write>>) {
    while let Ok(first) = writes.recv() {
        let mut batch = vec![first];
        batch.extend(writes.try_iter().take(BATCH_MAX - 1));
        let committed = match file.before_write(&conn) {
            Ok(()) => commit(&mut conn, &mut batch),
            Err(error) => Err(error.into()),
        };
        match committed {
            // The whole batch was refused and rolled back; one write may be the cause. Each is tried alone.
            Err(LedgerError::Refused { .. }) if batch.len() > 1 => {
                for write in batch {
                    let mut alone = vec![write];
                    let failed = commit(&mut conn, &mut alone).err();
                    reply(alone, failed.as_ref());
                }
            }
            committed => reply(batch, committed.err().as_ref()),
        }
        file.after_write(&conn);
    }
    file.close(conn);
}

fn reply(batch: Vec<Box<dyn Write>>, failed: Option<&LedgerError>) {
    for write in batch {
        write.reply(failed);
    }
}

/// Runs the batch in one transaction, each write in its own savepoint.
fn commit(conn: &mut Connection, batch: &mut [Box<dyn Write>]) -> Result<()> {
    let transaction = conn.transaction()?;
    // Prepared once: rusqlite's own savepoints are parsed each time.
    let run = |sql| transaction.prepare_cached(sql)?.execute([]);
    for write in batch {
        run("SAVEPOINT write")?;
        let stays = write.run(&transaction);
        // A full or failing disk can make SQLite end the transaction by itself
        // (https://www.sqlite.org/lang_transaction.html, section 3.1): the next write would commit alone, and the
        // earlier ones are lost.
        if transaction.is_autocommit() {
            return Err(LedgerError::Unavailable(
                "the transaction was rolled back: the disk is full or failing".to_owned(),
            ));
        }
        if !stays {
            run("ROLLBACK TO write")?;
        }
        run("RELEASE write")?;
    }
    Ok(transaction.commit()?)
}
