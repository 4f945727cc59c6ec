//! The way to the simulator, with a trap on it: the world stops at a call, as a killed process's does.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use flexcast::simulator::Simulator;
use flexcast::twilio::{Dropped, InProcess};
use tokio::sync::{Notify, watch};

/// On which side of the effect the world stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The bytes have not left.
    Before,
    /// The effect stands, and nobody has read the reply.
    After,
}

/// Counts calls, and never answers the one it is set to.
#[derive(Debug)]
pub(crate) struct Trap {
    simulator: Simulator,
    state: Mutex<(u64, Option<(u64, Side)>)>,
    sprung: Notify,
    go_on: Notify,
    /// While it is set no call leaves: the process is stopped.
    frozen: watch::Sender<bool>,
}

impl Trap {
    pub(crate) fn new(simulator: Simulator) -> Arc<Self> {
        Arc::new(Self {
            simulator,
            state: Mutex::new((0, None)),
            sprung: Notify::new(),
            go_on: Notify::new(),
            frozen: watch::Sender::new(false),
        })
    }

    /// Stops the world at the `nth` call from now, counted from 1.
    pub(crate) fn set(&self, nth: u64, side: Side) {
        *self.state.lock().expect("no panic holds it") = (0, Some((nth, side)));
    }

    pub(crate) fn clear(&self) {
        *self.state.lock().expect("no panic holds it") = (0, None);
    }

    /// Returns once a call has run into it.
    pub(crate) async fn sprung(&self) {
        self.sprung.notified().await;
    }

    /// Lets no call leave, or lets those that waited leave now.
    pub(crate) fn freeze(&self, frozen: bool) {
        self.frozen.send_replace(frozen);
    }

    /// Does this, unless it is where the world stops.
    pub(crate) async fn around<T>(&self, doing: impl Future<Output = T>) -> T {
        let side = self.side();
        if side == Some(Side::Before) {
            self.stop().await;
        }
        let done = doing.await;
        if side == Some(Side::After) {
            self.stop().await;
        }
        done
    }

    fn side(&self) -> Option<Side> {
        let mut state = self.state.lock().expect("no panic holds it");
        state.0 += 1;
        let count = state.0;
        state
            .1
            .filter(|(nth, _)| *nth == count)
            .map(|(_, side)| side)
    }

    async fn stop(&self) {
        self.sprung.notify_one();
        self.go_on.notified().await;
    }

    /// Lets go what ran into it: the process was only stopped.
    pub(crate) fn go_on(&self) {
        self.go_on.notify_waiters();
    }
}

#[async_trait]
impl InProcess for Trap {
    async fn call(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, Dropped> {
        let mut frozen = self.frozen.subscribe();
        // The sender lives in `self`: it cannot be gone.
        let _ = frozen.wait_for(|frozen| !frozen).await;
        self.around(self.simulator.call(request)).await
    }
}
