//! The access of operations to the queue: a command opens the queue for one operation, a server has an open one.

use std::sync::Arc;

use async_trait::async_trait;

use super::OperateError;
use crate::queue::{Inspection, Queue};

/// Gives access to the queue of a ledger.
#[async_trait]
pub trait QueueAccess: Send + Sync {
    /// Opens the queue for reading its depth. Nothing is published to it.
    ///
    /// # Errors
    ///
    /// An error when the queue is not reachable or is bound to another ledger.
    async fn open(&self) -> Result<Arc<dyn Queue>, OperateError>;

    /// Returns the queue of [`QueueAccess::open`]: a queue that was opened for one operation is closed.
    async fn close(&self, queue: &dyn Queue);

    /// Inspects the broker's policies, alarms and queues. `None` for a queue without a broker.
    async fn inspection(&self) -> Option<Arc<Inspection>>;
}

/// A queue that is already open and stays open.
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
