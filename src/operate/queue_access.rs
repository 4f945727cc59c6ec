//! How an operation comes to the queue: a command opens one for its question, a server has one already.

use std::sync::Arc;

use async_trait::async_trait;

use super::OperateError;
use crate::queue::{Inspection, Queue};

/// The way to the queue of a ledger.
#[async_trait]
pub trait QueueAccess: Send + Sync {
    /// The queue, to be asked how much it holds. Nothing is published to it.
    ///
    /// # Errors
    ///
    /// When the queue is not reachable, or belongs to another ledger.
    async fn open(&self) -> Result<Arc<dyn Queue>, OperateError>;

    /// Gives back what [`QueueAccess::open`] gave: a queue that was opened for the question is closed.
    async fn close(&self, queue: &dyn Queue);

    /// What the broker tells now of its policies, alarms and queues. `None` for a queue without a broker.
    async fn inspection(&self) -> Option<Arc<Inspection>>;
}

/// A queue that is open, and stays open.
#[async_trait]
impl QueueAccess for Arc<dyn Queue> {
    async fn open(&self) -> Result<Arc<dyn Queue>, OperateError> {
        Ok(Arc::clone(self))
    }

    async fn close(&self, _queue: &dyn Queue) {}

    async fn inspection(&self) -> Option<Arc<Inspection>> {
        Queue::inspection(&**self)
    }
}
