//! Unknown messages, which may or may not have been sent, and how an operator settles them.

use serde::Serialize;

use crate::ledger::{AuditedOperation, MessageKey, OperationName, UnknownRow};
use crate::message::CampaignId;

use super::campaigns::find;
use super::dead::no_message;
use super::{OperateError, Operations, ReadModels};

/// The unknown messages of one campaign, or of all campaigns.
#[derive(Clone, Debug, Serialize)]
pub struct UnknownMessages {
    /// The oldest ones, oldest first.
    pub messages: Vec<UnknownMessage>,
    /// The number of all unknown messages.
    pub total: u64,
    /// The number of later unknown messages that are not in the list.
    pub left_out: u64,
}

/// A message whose outcome is unknown, with the evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnknownMessage {
    #[serde(flatten)]
    pub row: UnknownRow,
    /// Why the outcome is unknown, in a sentence.
    pub meaning: &'static str,
}

/// The finding of an operator about an unknown message, such as from Twilio's console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownFinding {
    /// The message was sent: it counts as done.
    Sent,
    /// The message was not sent: it waits again, and continues with the step whose outcome was unknown.
    NotSent,
}

impl ReadModels {
    /// The first `limit` unknown messages of one campaign or of all, oldest first, with the evidence; without a limit,
    /// all.
    ///
    /// # Errors
    ///
    /// [`OperateError::NoCampaign`] when there is no such campaign.
    pub async fn unknowns(
        &self,
        campaign: Option<&CampaignId>,
        limit: Option<usize>,
    ) -> Result<UnknownMessages, OperateError> {
        if let Some(id) = campaign {
            find(&self.ledger, id).await?;
        }
        let total = self.ledger.books(campaign).await?.unknown;
        let limit = limit.unwrap_or(usize::MAX);
        let rows = self.ledger.unknown(campaign, limit).await?;
        Ok(UnknownMessages {
            left_out: total.saturating_sub(rows.len() as u64),
            messages: rows.into_iter().map(UnknownMessage::of).collect(),
            total,
        })
    }
}

impl UnknownMessage {
    fn of(row: UnknownRow) -> Self {
        let meaning = row.reason.meaning();
        Self { row, meaning }
    }
}

impl Operations {
    /// Settles an unknown message with the finding of an operator. With [`UnknownFinding::NotSent`], a finished
    /// campaign runs again.
    ///
    /// # Errors
    ///
    /// [`OperateError::NotUnknown`] when the message is not unknown; [`OperateError::NoCampaign`] and
    /// [`OperateError::NoMessage`] when there is no such campaign or message. Nothing has changed then.
    pub async fn settle_unknown(
        &self,
        key: &MessageKey,
        finding: UnknownFinding,
    ) -> Result<(), OperateError> {
        let (was_sent, now) = (finding == UnknownFinding::Sent, self.clock.now());
        let finding = serde_json::json!({"was_sent": was_sent});
        let operation = AuditedOperation {
            message: Some(key.id.clone()),
            ..self.on(OperationName::Settle, &key.campaign, finding)
        };
        let settling = self
            .ledger
            .settle_unknown(key, was_sent, Some(&operation), now);
        match settling.await? {
            true => Ok(()),
            false if self.ledger.find(key).await?.is_none() => {
                Err(no_message(&self.ledger, key).await?)
            }
            false => Err(OperateError::NotUnknown(key.clone())),
        }
    }
}
