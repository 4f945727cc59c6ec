//! How a part of the program learns that it is to stop: a value handed in, never a global.

use std::future::Future;

use tokio_util::sync::CancellationToken;

/// Tells its holders to stop. Clones share one signal; a child stops with its parent.
#[derive(Clone, Debug, Default)]
pub struct Stopper {
    token: CancellationToken,
}

impl Stopper {
    /// A stopper nobody has stopped yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everyone who holds this stopper, or a child of it, to stop.
    pub fn stop(&self) {
        self.token.cancel();
    }

    /// Whether a stop was asked for.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Returns once a stop was asked for.
    pub async fn stopped(&self) {
        self.token.cancelled().await;
    }

    /// A stopper that stops with this one and can be stopped alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            token: self.token.child_token(),
        }
    }

    /// Runs `work` to its end, or drops it when a stop is asked for: then `None`.
    pub async fn run_until_stopped<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.stopped() => None,
            done = work => Some(done),
        }
    }
}
