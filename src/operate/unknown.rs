//! Unknowns: messages of which nobody can say whether they went out, and what an operator found out about them.

use crate::ledger::{MessageKey, UnknownRow};
use crate::message::CampaignId;

use super::{OperateError, Operations, ReadModels};

/// What an operator found out about an unknown, such as in Twilio's console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownFinding {
    /// It was sent: it counts as done.
    Sent,
    /// It was not sent: it waits again, and goes on at the step that was in question.
    NotSent,
}

impl ReadModels {
    /// The first `limit` unknowns, oldest first, with the evidence: of one campaign, or of all.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub async fn unknowns(
        &self,
        campaign: Option<&CampaignId>,
        limit: usize,
    ) -> Result<Vec<UnknownRow>, OperateError> {
        Ok(self.ledger.unknown(campaign, limit).await?)
    }
}

impl Operations {
    /// Records what an operator found out about an unknown. With [`UnknownFinding::NotSent`] a campaign that was finished
    /// runs again.
    ///
    /// # Errors
    ///
    /// [`OperateError::NotUnknown`] when the message is not unknown: then nothing has changed.
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
