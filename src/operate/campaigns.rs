//! Campaigns: found by their ids, listed, and read as they were applied.

use serde::Serialize;

use crate::campaign::Campaign;
use crate::ledger::{Actor, CampaignRecord, CampaignState, Ledger};
use crate::message::CampaignId;

use super::{OperateError, ReadModels};

/// A campaign in a list, with where its messages are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CampaignRow {
    pub campaign: CampaignId,
    pub state: CampaignState,
    pub accepted: u64,
    /// Messages whose turn is not over.
    pub open: u64,
    pub done: u64,
    pub dead: u64,
    pub unknown: u64,
}

impl ReadModels {
    /// A campaign as it was recorded.
    ///
    /// # Errors
    ///
    /// [`OperateError::NoCampaign`] when there is none of this id.
    pub async fn campaign(&self, id: &CampaignId) -> Result<CampaignRecord, OperateError> {
        find(&self.ledger, id).await
    }

    /// All campaigns as they were recorded, in the order in which they were first applied.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub async fn campaigns(&self) -> Result<Vec<CampaignRecord>, OperateError> {
        Ok(self.ledger.campaigns().await?)
    }

    /// All campaigns with their books, in the order in which they were first applied.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub async fn campaign_rows(&self) -> Result<Vec<CampaignRow>, OperateError> {
        let mut rows = Vec::new();
        for record in self.ledger.campaigns().await? {
            let books = self.ledger.books(Some(&record.id)).await?;
            rows.push(CampaignRow {
                campaign: record.id,
                state: record.state,
                accepted: books.accepted,
                open: books.open(),
                done: books.done,
                dead: books.dead_total(),
                unknown: books.unknown,
            });
        }
        Ok(rows)
    }

    /// How many messages of a campaign are open.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub async fn open_messages(&self, id: &CampaignId) -> Result<u64, OperateError> {
        Ok(self.ledger.books(Some(id)).await?.open())
    }
}

/// A campaign by its id.
pub(super) async fn find(ledger: &Ledger, id: &CampaignId) -> Result<CampaignRecord, OperateError> {
    let record = ledger.campaign(id).await?;
    record.ok_or_else(|| OperateError::NoCampaign(id.clone()))
}

/// The campaign as it was applied, with everything discovered filled in.
///
/// # Errors
///
/// [`OperateError::Unreadable`] when the record is not one of this program's.
pub fn definition(record: &CampaignRecord) -> Result<Campaign, OperateError> {
    serde_json::from_value(record.definition.clone()).map_err(|error| OperateError::Unreadable {
        id: record.id.clone(),
        detail: error.to_string(),
    })
}

/// What an operator should know about a campaign: who paused it and how it goes on, and whether another ledger may
/// have carried out messages of it. One sentence each, wherever the campaign is shown.
#[must_use]
pub fn notices(record: &CampaignRecord) -> Vec<String> {
    let notices = [paused_notice(record), distrust_notice(record)];
    notices.into_iter().flatten().collect()
}

/// Who paused a campaign, since when and why, and how it goes on: one sentence wherever a paused campaign is
/// shown.
#[must_use]
pub fn paused_notice(record: &CampaignRecord) -> Option<String> {
    let by = record.paused_by.as_ref()?;
    let id = &record.id;
    let since = record.state_since.strftime("%Y-%m-%d %H:%M:%S UTC");
    let reason = record.reason.as_deref();
    let reason = reason.map_or(String::new(), |reason| format!(": {reason}"));
    let resume = format!("flexcast campaign resume {id}");
    Some(match by {
        Actor::Operator { .. } => {
            format!("Campaign {id} was paused by {by} at {since}{reason}. Resume it with: {resume}")
        }
        Actor::Program { .. } => format!(
            "Campaign {id} was paused by {by} at {since}{reason}. A consumer resumes it when Twilio accepts its \
             messages again, or you do with: {resume}"
        ),
    })
}

/// That another ledger may have carried out messages of a campaign, and what that means; none where none may.
#[must_use]
pub fn distrust_notice(record: &CampaignRecord) -> Option<String> {
    let since = record.distrusted_from?.strftime("%Y-%m-%d %H:%M:%S UTC");
    Some(format!(
        "Campaign {}: messages of it may have been sent since {since} that this ledger does not know of: another ledger \
         ran it, or the database lost transactions. Each message is looked for at Twilio before it is sent \
         (docs/ownership.md).",
        record.id
    ))
}
