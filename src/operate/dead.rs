//! Dead letters, and all that is known of one message.

use crate::ledger::{DeadRow, MessageKey, MessageRecord};
use crate::message::CampaignId;

use super::{OperateError, ReadModels};

impl ReadModels {
    /// The first `limit` dead letters, oldest first: of one campaign, or of all with the deliveries that were no
    /// messages.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub async fn dead_letters(
        &self,
        campaign: Option<&CampaignId>,
        limit: usize,
    ) -> Result<Vec<DeadRow>, OperateError> {
        Ok(self.ledger.dead(campaign, limit).await?)
    }

    /// All that is known of one message, dead or not: where it is, its attempts, its journal.
    ///
    /// # Errors
    ///
    /// [`OperateError::NoMessage`] when there is no such message.
    pub async fn message(&self, key: &MessageKey) -> Result<MessageRecord, OperateError> {
        let record = self.ledger.find(key).await?;
        record.ok_or_else(|| OperateError::NoMessage(key.clone()))
    }
}
