//! Unknown messages, which may or may not have been sent, and how an operator settles them.

use crate::ledger::{MessageKey, UnknownRow};
use crate::message::CampaignId;

use super::{OperateError, Operations, ReadModels};

/// The finding of an operator about an unknown message, such as from Twilio's console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownFinding {
    /// The message was sent: it counts as done.
    Sent,
    /// The message was not sent: it waits again, and continues with the step whose outcome was unknown.
    NotSent,
}

impl ReadModels {
    /// The first `limit` unknown messages of one campaign or of all, oldest first, with the evidence.
    ///
    /// # Errors
    ///
    /// An error when the ledger cannot be read.
    pub async fn unknowns(
        &self,
        campaign: Option<&CampaignId>,
        limit: usize,
    ) -> Result<Vec<UnknownRow>, OperateError> {
        Ok(self.ledger.unknown(campaign, limit).await?)
    }
}

impl Operations {
    /// Settles an unknown message with the finding of an operator. With [`UnknownFinding::NotSent`], a finished
    /// campaign runs again.
    ///
    /// # Errors
    ///
    /// [`OperateError::NotUnknown`] when the message is not unknown: nothing has changed then.
    pub async fn settle_unknown(
        &self,
        key: &MessageKey,
        finding: UnknownFinding,
    ) -> Result<(), OperateError> {
        let (was_sent, now) = (finding == UnknownFinding::Sent, self.clock.now());
        match self.ledger.settle_unknown(key, was_sent, now).await? {
            true => Ok(()),
            false => Err(OperateError::NotUnknown(key.clone())),
        }
    }
}
