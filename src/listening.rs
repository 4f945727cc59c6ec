//! Accepts the connections of an HTTP server, and bounds how many there are.
//!
//! In: a listener. Out: each accepted stream with its [`OpenConnection`], handed to the server's own code. Always: a client that
//! connects and sends no request, or does not read the reply, keeps no other client out: where there is no room, the
//! oldest connection that no request is answered on is closed.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::shutdown::Stopper;

/// How long a stop waits for clients that do not finish their requests.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// The pause after a connection that could not be accepted because the process has no file handle left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How many connections may be open at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// As many as the process has file handles for.
    Unlimited,
    /// This many. A new connection beyond it closes the oldest one that is idle.
    Connections(usize),
}

/// Accepts connections until stopped, and runs `serve` for each in a task of its own; then waits for these tasks, at most
/// five seconds.
///
/// # Errors
///
/// The listener's own. Errors of one connection, and a lack of file handles, are passed over.
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
            tracing::warn!(open = tasks.len(), "connections left open");
        }
    }
    Ok(())
}

/// Errors of one connection, or of a process that has no file handle left; the listener is well.
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

/// What is known of an open connection.
struct Registered {
    closing: Stopper,
    /// How many of its requests are being answered.
    answering: u32,
}

impl OpenConnections {
    /// Registers a new connection, which stops with `stop`. None: there is no room, and requests are answered on all others.
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

    /// Closes the oldest connection that no request is answered on; whether there was one.
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
        // Each change is whole, whichever task panicked while it held the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a connection is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The server stops: a request that has begun is answered.
    Answered,
    /// Another connection needs its room.
    AtOnce,
}

/// One open connection, until it is dropped.
pub(crate) struct OpenConnection {
    all: OpenConnections,
    number: u64,
    stopping: Stopper,
    closing: Stopper,
}

impl OpenConnection {
    /// Returns once the connection is to end, and how.
    pub(crate) async fn ends(&self) -> End {
        self.closing.stopped().await;
        match self.stopping.is_stopped() {
            true => End::Answered,
            false => End::AtOnce,
        }
    }

    /// A request is answered until what is returned is dropped.
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

/// A request that is being answered. See [`OpenConnection::answering`].
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
