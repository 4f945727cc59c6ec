//! The interface of the shared store: what pacing asks of it.

use async_trait::async_trait;
use tokio::time::Instant;

use crate::pacing::{ConcurrencyShare, LaneAnswers, LaneRequest};

/// A reading of the store's clock, and the moments before and after it on this process's clock.
#[derive(Clone, Copy, Debug)]
pub struct ServerTime {
    pub asked: Instant,
    /// Nanoseconds since 1970 on the store's clock.
    pub now: u64,
    pub answered: Instant,
}

/// Why the store did not answer: a sentence without a secret. The store may have carried the request out all the same.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StoreFailure(pub String);

/// A store that divides shared limits among several consumers. Each method changes it in one step, which is durable
/// when the method returns.
#[async_trait]
pub trait SharedStore: Send + Sync {
    /// Returns once the store can be asked.
    async fn back(&self);

    /// Grants what may be had of a request, and tells what the store's clock showed. One answer for each want and each
    /// start, with times on that clock, as the request's are.
    ///
    /// # Errors
    ///
    /// [`StoreFailure`]: nothing was granted, or it is not known whether it was.
    async fn hand_out(
        &self,
        request: &LaneRequest,
    ) -> Result<(LaneAnswers, ServerTime), StoreFailure>;

    /// Gives `holder`, which has `taken` calls under way, its share of `all` concurrent calls, and tells what the
    /// store's clock showed.
    ///
    /// # Errors
    ///
    /// As [`SharedStore::hand_out`].
    async fn share_concurrency(
        &self,
        holder: &str,
        all: u32,
        taken: u32,
    ) -> Result<(ConcurrencyShare, ServerTime), StoreFailure>;
}
