//! Accepts the connections of an HTTP server, and bounds how many there are.
//!
//! In: a listener. Out: each accepted stream with its [`Place`], handed to the server's own code. Always: a client that
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
    S: Fn(TcpStream, Place) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let (tasks, places) = (TaskTracker::new(), Places::default());
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.stopped() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                if let Some(place) = places.take(room, &stop) {
                    tasks.spawn(serve(stream, place));
                }
            }
            Err(error) if is_passing(&error) => {
                tracing::warn!(%error, "connection not accepted");
                if room != Room::Unlimited {
                    places.close_oldest_idle();
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

/// The places of all open connections, the oldest first.
#[derive(Clone, Default)]
struct Places(Arc<Mutex<Taken>>);

#[derive(Default)]
struct Taken {
    next: u64,
    open: BTreeMap<u64, Connection>,
}

/// What is known of an open connection.
struct Connection {
    closing: Stopper,
    /// How many of its requests are being answered.
    answering: u32,
}

impl Places {
    /// A place for a new connection, which stops with `stop`. None: all others are being answered.
    fn take(&self, room: Room, stop: &Stopper) -> Option<Place> {
        if let Room::Connections(most) = room
            && self.lock().open.len() >= most
            && !self.close_oldest_idle()
        {
            return None;
        }
        let mut taken = self.lock();
        let number = taken.next;
        taken.next += 1;
        let closing = stop.child();
        let connection = Connection {
            closing: closing.clone(),
            answering: 0,
        };
        taken.open.insert(number, connection);
        Some(Place {
            places: self.clone(),
            number,
            stopping: stop.clone(),
            closing,
        })
    }

    /// Closes the oldest connection that no request is answered on; whether there was one.
    fn close_oldest_idle(&self) -> bool {
        let mut taken = self.lock();
        let idle = taken.open.iter().find(|(_, one)| one.answering == 0);
        let Some(number) = idle.map(|(number, _)| *number) else {
            return false;
        };
        if let Some(connection) = taken.open.remove(&number) {
            connection.closing.stop();
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        // Each change is whole, whichever task panicked while it held the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a connection is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The server stops: a request that has begun is answered.
    Answered,
    /// Another connection needs the place.
    AtOnce,
}

/// The place of one open connection, until it is dropped.
pub(crate) struct Place {
    places: Places,
    number: u64,
    stopping: Stopper,
    closing: Stopper,
}

impl Place {
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
        if let Some(connection) = self.places.lock().open.get_mut(&self.number) {
            connection.answering += 1;
        }
        Answering {
            places: self.places.clone(),
            number: self.number,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().open.remove(&self.number);
    }
}

/// A request that is being answered. See [`Place::answering`].
pub(crate) struct Answering {
    places: Places,
    number: u64,
}

impl Drop for Answering {
    fn drop(&mut self) {
        if let Some(connection) = self.places.lock().open.get_mut(&self.number) {
            connection.answering = connection.answering.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_idle_connection_makes_room() {
        let (places, stop) = (Places::default(), Stopper::new());
        let take = || places.take(Room::Connections(2), &stop);
        let first = take().expect("there is room");
        let answered = first.answering();
        let second = take().expect("there is room");
        let third = take().expect("the second makes room");
        assert!(second.closing.is_stopped());
        assert!(!first.closing.is_stopped());
        let last = third.answering();
        assert!(take().is_none(), "all are being answered");
        drop(second);
        assert!(take().is_none(), "it had no place any more");
        drop((answered, last));
        let _fourth = take().expect("the first makes room");
        assert!(first.closing.is_stopped());
        drop(third);
        assert!(take().is_some());
        assert!(!stop.is_stopped());
    }
}
