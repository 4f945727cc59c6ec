//! Where the statements run: on one thread, committed in groups, or inline.
//!
//! In: jobs, each a few statements. Out: each job's result, told after its commit. Always: a job is
//! done whole or not at all, and one that fails takes no other with it.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use crate::queue::{QueueError, Result};
use crate::sqlite_file::SqliteFile;

/// The most jobs in one transaction, so that the first of them is not kept waiting for the last.
const GROUP_MAX: usize = 512;

/// Runs one job's statements; gives what tells its caller once the commit is known.
type StoreJob = Box<dyn FnOnce(&Connection) -> CommitReply + Send>;
/// Tells the caller the result after a commit, or why there was none.
type CommitReply = Box<dyn FnOnce(std::result::Result<(), QueueError>) + Send>;
/// Where a job's result arrives. It may be awaited later and across cancellations.
pub(super) type JobResult<T> = oneshot::Receiver<Result<T>>;

/// A SQLite connection that takes jobs.
pub(super) enum EmbeddedStore {
    /// `None` once closed.
    Thread(Mutex<Option<StoreThread>>),
    /// `None` once closed.
    Inline(Mutex<Option<Connection>>),
}

/// The thread with the connection, and the way to it.
pub(super) struct StoreThread {
    jobs: Sender<StoreJob>,
    thread: JoinHandle<()>,
}

impl StoreThread {
    /// Returns once the thread has done what it was given and has closed the file.
    fn end(self) {
        let Self { jobs, thread } = self;
        drop(jobs);
        // The last to use the queue may be a job on the thread itself.
        if thread.thread().id() != std::thread::current().id() {
            // A panic there has been printed there.
            let _ = thread.join();
        }
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        if let Self::Thread(thread) = self
            && let Some(serving) = locked(thread).take()
        {
            serving.end();
        }
    }
}

impl EmbeddedStore {
    /// Moves the connection to a thread of its own, so that no disk write holds up a Tokio worker:
    /// heartbeats and timers run there.
    pub(super) fn on_a_thread(connection: Connection, file: SqliteFile) -> Result<Self> {
        let (jobs, receiver) = channel();
        let thread = std::thread::Builder::new()
            .name("flexcast-queue".to_owned())
            .spawn(move || serve(connection, file, &receiver))
            .map_err(|error| QueueError::Unreachable(format!("no thread for it: {error}")))?;
        Ok(Self::Thread(Mutex::new(Some(StoreThread { jobs, thread }))))
    }

    /// Runs every job where it is called, each in a transaction of its own.
    pub(super) fn inline(connection: Connection) -> Self {
        Self::Inline(Mutex::new(Some(connection)))
    }

    /// Runs a job and waits for its commit.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        self.submit(job).await.unwrap_or_else(|_| Err(closed()))
    }

    /// Hands in a job. It is done even if nobody waits for the answer.
    pub(super) fn submit<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> JobResult<T> {
        let (sender, answer) = oneshot::channel();
        let job: StoreJob = Box::new(move |db| {
            let done = in_savepoint(db, job);
            Box::new(move |committed| {
                let told = match (committed, done) {
                    (Err(error), _) => Err(error),
                    (Ok(()), done) => done.map_err(|error| unusable(&error)),
                };
                // Nobody waits any more: the work is done all the same.
                let _ = sender.send(told);
            })
        });
        match self {
            // A dropped job drops its sender, which `run` takes for closed.
            Self::Thread(thread) => {
                if let Some(serving) = locked(thread).as_ref() {
                    let _ = serving.jobs.send(job);
                }
            }
            Self::Inline(connection) => {
                if let Some(connection) = locked(connection).as_mut() {
                    commit(connection, vec![job]);
                }
            }
        }
        answer
    }

    /// Whether [`EmbeddedStore::close`] was called.
    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::Thread(thread) => locked(thread).is_none(),
            Self::Inline(connection) => locked(connection).is_none(),
        }
    }

    /// Ends the thread after what it has been given, and returns once the file is closed; later jobs are
    /// refused.
    pub(super) async fn close(&self) {
        match self {
            Self::Thread(thread) => {
                let serving = locked(thread).take();
                if let Some(serving) = serving {
                    // A panic there has been printed there.
                    let _ = tokio::task::spawn_blocking(|| serving.end()).await;
                }
            }
            Self::Inline(connection) => drop(locked(connection).take()),
        }
    }
}

fn serve(mut connection: Connection, mut file: SqliteFile, jobs: &Receiver<StoreJob>) {
    while let Ok(first) = jobs.recv() {
        let mut group = vec![first];
        group.extend(jobs.try_iter().take(GROUP_MAX - 1));
        match file.before_write(&connection) {
            Ok(()) => commit(&mut connection, group),
            // The jobs are dropped, and with them their senders, as where a transaction does not begin.
            Err(error) => tracing::warn!(%error, "queue file not written"),
        }
        file.after_write(&connection);
    }
    file.close(connection);
}

fn commit(connection: &mut Connection, group: Vec<StoreJob>) {
    let mut told: Vec<CommitReply> = Vec::with_capacity(group.len());
    let committed = connection
        // Immediate: two processes that both read first and write then would both fail.
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .and_then(|transaction| {
            told.extend(group.into_iter().map(|job| job(&transaction)));
            transaction.commit()
        });
    for tell in told {
        tell(committed.as_ref().map_err(unusable).copied());
    }
    // Where not even the transaction began, the jobs were dropped and with them their senders.
}

fn in_savepoint<T>(
    db: &Connection,
    job: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let run = |sql| db.prepare_cached(sql)?.execute([]);
    run("SAVEPOINT job")?;
    let done = job(db);
    if done.is_err() {
        run("ROLLBACK TO job")?;
    }
    run("RELEASE job")?;
    done
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind the lock is taken or left whole: a panic cannot have broken it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unusable(error: &rusqlite::Error) -> QueueError {
    QueueError::Unreachable(format!("queue file: {error}"))
}

pub(super) fn closed() -> QueueError {
    QueueError::Unreachable("the queue file is closed, or was busy for too long".to_owned())
}
