//! Errors that end the worker's run.

use crate::intake::EnqueueError;
use crate::ledger::LedgerError;
use crate::message::CampaignId;
use crate::outcomes::FinishError;
use crate::queue::QueueError;

/// An error that ends the worker's run.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Enqueue(#[from] EnqueueError),
    /// The run was to end by itself, but nothing moved for 20 minutes while messages were open.
    #[error("{0}")]
    StandsStill(String),
    #[error("campaign {0} cannot be read from the ledger: {1}; apply it again")]
    Campaign(CampaignId, String),
}

impl From<FinishError> for WorkError {
    fn from(error: FinishError) -> Self {
        match error {
            FinishError::Ledger(error) => error.into(),
            FinishError::Queue(error) => error.into(),
        }
    }
}
