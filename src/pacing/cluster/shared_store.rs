//! What pacing asks of the store that several consumers share.

use async_trait::async_trait;
use tokio::time::Instant;

use crate::pacing::{ConcurrencyShare, LaneAnswers, LaneRequest};

/// What the store's clock showed, between which moments of ours.
#[derive(Clone, Copy, Debug)]
pub struct ServerTime {
    pub asked: Instant,
    /// Nanoseconds since 1970.
    pub now: u64,
    pub answered: Instant,
}

/// Why the store did not answer: a sentence without a secret. It may have done what it was asked all the same.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StoreFailure(pub String);

/// A store that gives each of several consumers its part of the limits that they share. A call changes it in one step,
/// and what was changed is durable when the call returns.
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

    /// Gives `holder`, which has `taken` calls under way, its share of `all` places for calls, and tells what the
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
