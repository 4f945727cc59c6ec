//! Accepts the connections of an HTTP server, and limits their number.
//!
//! In: a listener. Out: each accepted stream with its [`OpenConnection`], for the server's own code. Always: a client
//! that sends no request, or does not read its reply, does not keep other clients out: at the limit, the oldest idle
//! connection is closed.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::shutdown::Stopper;

/// How long a stop waits for clients that have not finished their requests.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// The pause after a connection that could not be accepted, such as when the process has no free file handle.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The maximum number of open connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// Limited only by the file handles of the process.
    Unlimited,
    /// At this limit, a new connection closes the oldest idle one.
    Connections(usize),
}

/// Accepts connections until `stop`, and runs `serve` for each one in its own task. After the stop, waits for these
/// tasks for at most five seconds.
///
/// # Errors
///
/// An error of the listener. Errors of one connection and a lack of file handles are logged, and accepting continues.
pub(crate) async fn accept<S, F>(
    listener: TcpListener,
    room: Room,
    clock: Clock,
    stop: Stopper,
    serve: S,
) -> io::Result<()>
where
    S: Fn(TcpStream, OpenConnection) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let (tasks, connections) = (TaskTracker::new(), OpenConnections::default());
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.stopped() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                if let Some(connection) = connections.open(room, &stop) {
                    tasks.spawn(serve(stream, connection));
                }
            }
            Err(error) if is_passing(&error) => {
                tracing::warn!(%error, "connection not accepted");
                if room != Room::Unlimited {
                    connections.close_oldest_idle();
                }
                clock.sleep(ACCEPT_PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
    tasks.close();
    tokio::select! {
        biased;
        () = tasks.wait() => {}
        () = clock.sleep(DRAIN_MAX) => {
            tracing::warn!(open = tasks.len(), "connections are still open after the stop");
        }
    }
    Ok(())
}

/// Whether the error is of one connection, or a lack of file handles: the listener still works.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, WouldBlock};
    // 23 and 24 are ENFILE and EMFILE.
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted | WouldBlock
    ) || matches!(error.raw_os_error(), Some(23 | 24))
}

/// All open connections, the oldest first.
#[derive(Clone, Default)]
struct OpenConnections(Arc<Mutex<Registry>>);

#[derive(Default)]
struct Registry {
    next: u64,
    open: BTreeMap<u64, Registered>,
}

/// An entry of the registry.
struct Registered {
    closing: Stopper,
    /// The number of its requests that are being answered.
    answering: u32,
}

impl OpenConnections {
    /// Registers a new connection, which stops with `stop`. `None` at the limit, when no connection is idle.
    fn open(&self, room: Room, stop: &Stopper) -> Option<OpenConnection> {
        if let Room::Connections(most) = room
            && self.lock().open.len() >= most
            && !self.close_oldest_idle()
        {
            return None;
        }
        let mut registry = self.lock();
        let number = registry.next;
        registry.next += 1;
        let closing = stop.child();
        let registered = Registered {
            closing: closing.clone(),
            answering: 0,
        };
        registry.open.insert(number, registered);
        Some(OpenConnection {
            all: self.clone(),
            number,
            stopping: stop.clone(),
            closing,
        })
    }

    /// Closes the oldest idle connection. Returns whether there was one.
    fn close_oldest_idle(&self) -> bool {
        let mut registry = self.lock();
        let idle = registry.open.iter().find(|(_, one)| one.answering == 0);
        let Some(number) = idle.map(|(number, _)| *number) else {
            return false;
        };
        if let Some(connection) = registry.open.remove(&number) {
            connection.closing.stop();
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        // No change is partial, even if a task panicked while it held the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The server stops: requests that have begun are answered.
    Answered,
    /// Another connection takes its place.
    AtOnce,
}

/// An open connection. Dropping it removes it from the registry.
pub(crate) struct OpenConnection {
    all: OpenConnections,
    number: u64,
    stopping: Stopper,
    closing: Stopper,
}

impl OpenConnection {
    /// Waits until the connection must end, and returns how.
    pub(crate) async fn ends(&self) -> End {
        self.closing.stopped().await;
        match self.stopping.is_stopped() {
            true => End::Answered,
            false => End::AtOnce,
        }
    }

    /// Marks the connection as busy with a request, until the returned guard is dropped.
    pub(crate) fn answering(&self) -> Answering {
        if let Some(connection) = self.all.lock().open.get_mut(&self.number) {
            connection.answering += 1;
        }
        Answering {
            all: self.all.clone(),
            number: self.number,
        }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.all.lock().open.remove(&self.number);
    }
}

/// The guard of a request that is being answered. See [`OpenConnection::answering`].
pub(crate) struct Answering {
    all: OpenConnections,
    number: u64,
}

impl Drop for Answering {
    fn drop(&mut self) {
        if let Some(connection) = self.all.lock().open.get_mut(&self.number) {
            connection.answering = connection.answering.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_idle_connection_makes_room() {
        let (connections, stop) = (OpenConnections::default(), Stopper::new());
        let open = || connections.open(Room::Connections(2), &stop);
        let first = open().expect("there is room");
        let answered = first.answering();
        let second = open().expect("there is room");
        let third = open().expect("the second makes room");
        assert!(second.closing.is_stopped());
        assert!(!first.closing.is_stopped());
        let last = third.answering();
        assert!(open().is_none(), "all are being answered");
        drop(second);
        assert!(open().is_none(), "it was closed before");
        drop((answered, last));
        let _fourth = open().expect("the first makes room");
        assert!(first.closing.is_stopped());
        drop(third);
        assert!(open().is_some());
        assert!(!stop.is_stopped());
    }
}
