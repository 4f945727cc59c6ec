//! The executor of statements: on one thread, committed in groups, or inline.
//!
//! In: jobs of a few statements each. Out: each job's result, sent after its commit. Always: a job is executed
//! completely or not at all, and a failed job does not affect another.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use crate::queue::{QueueError, Result};
use crate::sqlite_file::SqliteFile;

/// The most jobs in one transaction: the limit bounds the wait of the first one.
const GROUP_MAX: usize = 512;

/// Runs one job's statements; returns the function that sends the result once the commit is known.
type StoreJob = Box<dyn FnOnce(&Connection) -> CommitReply + Send>;
/// Sends the job's result to the caller after the commit, or the error of the commit.
type CommitReply = Box<dyn FnOnce(std::result::Result<(), QueueError>) + Send>;
/// The receiver of a job's result. It may be awaited later, and again after a cancellation.
pub(super) type JobResult<T> = oneshot::Receiver<Result<T>>;

/// A SQLite connection that executes jobs.
pub(super) enum EmbeddedStore {
    /// `None` once closed.
    Thread(Mutex<Option<StoreThread>>),
    /// `None` once closed.
    Inline(Mutex<Option<Connection>>),
}

/// The thread that owns the connection, and the channel to it.
pub(super) struct StoreThread {
    jobs: Sender<StoreJob>,
    thread: JoinHandle<()>,
}

impl StoreThread {
    /// Returns when the thread has executed all jobs and has closed the file.
    fn end(self) {
        let Self { jobs, thread } = self;
        drop(jobs);
        // The last reference to the queue may be dropped by a job on the thread itself.
        if thread.thread().id() != std::thread::current().id() {
            // The panic of the thread has been printed already.
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
    /// Moves the connection to its own thread: no disk write delays a Tokio worker, on which heartbeats and timers
    /// run.
    pub(super) fn on_a_thread(connection: Connection, file: SqliteFile) -> Result<Self> {
        let (jobs, receiver) = channel();
        let thread = std::thread::Builder::new()
            .name("flexcast-queue".to_owned())
            .spawn(move || serve(connection, file, &receiver))
            .map_err(|error| QueueError::Unreachable(format!("no thread for it: {error}")))?;
        Ok(Self::Thread(Mutex::new(Some(StoreThread { jobs, thread }))))
    }

    /// Runs every job in the caller's task, each in its own transaction.
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

    /// Submits a job. It runs even if the result is never awaited.
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
                // Ignores a dropped receiver: the job is done all the same.
                let _ = sender.send(told);
            })
        });
        match self {
            // A dropped job drops its sender; `run` reports that as closed.
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

    /// Ends the thread after the jobs that were submitted, and returns when the file is closed. Later jobs are
    /// refused.
    pub(super) async fn close(&self) {
        match self {
            Self::Thread(thread) => {
                let serving = locked(thread).take();
                if let Some(serving) = serving {
                    // The panic of the thread has been printed already.
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
            // The jobs are dropped together with their senders, as when a transaction does not begin.
            Err(error) => tracing::warn!(%error, "the queue file could not be written"),
        }
        file.after_write(&connection);
    }
    file.close(connection);
}

fn commit(connection: &mut Connection, group: Vec<StoreJob>) {
    let mut told: Vec<CommitReply> = Vec::with_capacity(group.len());
    let committed = connection
        // Immediate: if two processes both read first and then wrote, both would fail.
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .and_then(|transaction| {
            told.extend(group.into_iter().map(|job| job(&transaction)));
            transaction.commit()
        });
    for tell in told {
        tell(committed.as_ref().map_err(unusable).copied());
    }
    // If the transaction did not begin, the jobs were dropped together with their senders.
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
    // A panic cannot leave the value inconsistent: it is only taken or left.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unusable(error: &rusqlite::Error) -> QueueError {
    QueueError::Unreachable(format!("queue file: {error}"))
}

pub(super) fn closed() -> QueueError {
    QueueError::Unreachable("the queue file is closed, or was busy for too long".to_owned())
}
