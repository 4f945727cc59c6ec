//! Dead letters, and the record of one message.
//!
//! In: a campaign, a limit, a message's key. Out: counts by reason and the latest dead letters; a record. Always:
//! refused publishers' messages are among the dead letters of their campaign.

use serde::Serialize;

use crate::ledger::{DeadCount, DeadRow, Ledger, MessageKey, MessageRecord};
use crate::message::{CampaignId, DeadReason, MessageId};
use crate::twilio::codes::known;

use super::campaigns::find;
use super::wording::near;
use super::{OperateError, ReadModels};

/// How many ids before and after a wanted id are compared with it.
const IDS_BESIDE: usize = 20;

/// The dead letters of one campaign, or of all campaigns.
#[derive(Clone, Debug, Serialize)]
pub struct DeadLetters {
    /// All dead letters by reason, step and code, the most frequent first.
    pub groups: Vec<DeadGroup>,
    /// The latest dead letters, latest first.
    pub letters: Vec<DeadRow>,
    /// The number of all dead letters.
    pub total: u64,
    /// The number of older dead letters that are not in the list.
    pub left_out: u64,
}

/// The dead letters that failed in the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeadGroup {
    #[serde(flatten)]
    pub count: DeadCount,
    /// What happened, in sentences: from the table of Twilio's error codes, if there is a code.
    pub meaning: String,
    /// What an operator can do, if the table of codes says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<&'static str>,
}

impl DeadGroup {
    fn of(count: DeadCount) -> Self {
        let reason = count.reason;
        let code = count.code.and_then(known);
        // Of these reasons, the code is only a part: it does not say why the message is dead.
        let is_wider = matches!(reason, DeadReason::Exhausted | DeadReason::Stuck);
        let (meaning, action) = match code {
            Some(code) if is_wider => {
                let meaning = format!("{} Error {}: {}", reason.meaning(), code.code, code.meaning);
                (meaning, None)
            }
            Some(code) => (code.meaning.to_owned(), Some(code.action())),
            None => (reason.meaning().to_owned(), None),
        };
        Self {
            count,
            meaning,
            action,
        }
    }
}

impl ReadModels {
    /// Counts the dead letters of one campaign or of all by reason, and reads the latest `limit` of them; without a
    /// limit, all.
    ///
    /// # Errors
    ///
    /// [`OperateError::NoCampaign`] when there is no such campaign.
    pub async fn dead_letters(
        &self,
        campaign: Option<&CampaignId>,
        limit: Option<usize>,
    ) -> Result<DeadLetters, OperateError> {
        if let Some(id) = campaign {
            find(&self.ledger, id).await?;
        }
        let counts = self.ledger.dead_counts(campaign).await?;
        let total = counts.iter().map(|count| count.letters).sum();
        let limit = limit.unwrap_or(usize::MAX);
        let letters = self.ledger.dead(campaign, limit).await?;
        Ok(DeadLetters {
            groups: counts.into_iter().map(DeadGroup::of).collect(),
            left_out: u64::saturating_sub(total, letters.len() as u64),
            letters,
            total,
        })
    }

    /// The record of one message, dead or not: its state, its attempts, its journal.
    ///
    /// # Errors
    ///
    /// [`OperateError::NoCampaign`] and [`OperateError::NoMessage`] when there is no such campaign or message.
    pub async fn message(&self, key: &MessageKey) -> Result<MessageRecord, OperateError> {
        match self.ledger.find(key).await? {
            Some(record) => Ok(record),
            None => Err(no_message(&self.ledger, key).await?),
        }
    }
}

/// The error of a message that does not exist, with the ids of similar messages.
///
/// # Errors
///
/// [`OperateError::NoCampaign`] when its campaign does not exist either.
pub(super) async fn no_message(
    ledger: &Ledger,
    key: &MessageKey,
) -> Result<OperateError, OperateError> {
    find(ledger, &key.campaign).await?;
    let beside = ledger.ids_beside(key, IDS_BESIDE).await?;
    // An error contains no phone number.
    let shown = beside.iter().filter(|id| id.in_log() == id.as_str());
    let similar = near(key.id.as_str(), shown.map(MessageId::as_str));
    let near = similar.into_iter();
    Ok(OperateError::NoMessage {
        key: key.clone(),
        near: near.filter_map(|id| MessageId::parse(id).ok()).collect(),
    })
}
