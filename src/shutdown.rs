//! The stop signal of a part of the program: a value that is passed in, never a global.

use std::future::Future;

use tokio_util::sync::CancellationToken;

/// A stop signal. Clones share one signal; a child stops with its parent.
#[derive(Clone, Debug, Default)]
pub struct Stopper {
    token: CancellationToken,
}

impl Stopper {
    /// Creates a stopper that is not stopped.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends the stop signal to all holders of this stopper and of its children.
    pub fn stop(&self) {
        self.token.cancel();
    }

    /// Whether the stop signal was sent.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits for the stop signal.
    pub async fn stopped(&self) {
        self.token.cancelled().await;
    }

    /// Creates a stopper that stops with this one and can also be stopped alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            token: self.token.child_token(),
        }
    }

    /// Runs `work` to its end. At the stop signal, drops it and returns `None`.
    pub async fn run_until_stopped<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.stopped() => None,
            done = work => Some(done),
        }
    }
}
