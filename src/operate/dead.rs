//! Dead letters, and the record of one message.

use crate::ledger::{DeadRow, MessageKey, MessageRecord};
use crate::message::CampaignId;

use super::{OperateError, ReadModels};

impl ReadModels {
    /// The first `limit` dead letters of one campaign, oldest first; or of all campaigns, together with deliveries
    /// that were not messages.
    ///
    /// # Errors
    ///
    /// An error when the ledger cannot be read.
    pub async fn dead_letters(
        &self,
        campaign: Option<&CampaignId>,
        limit: usize,
    ) -> Result<Vec<DeadRow>, OperateError> {
        Ok(self.ledger.dead(campaign, limit).await?)
    }

    /// The record of one message, dead or not: its state, its attempts, its journal.
    ///
    /// # Errors
    ///
    /// [`OperateError::NoMessage`] when there is no such message.
    pub async fn message(&self, key: &MessageKey) -> Result<MessageRecord, OperateError> {
        let record = self.ledger.find(key).await?;
        record.ok_or_else(|| OperateError::NoMessage(key.clone()))
    }
}
