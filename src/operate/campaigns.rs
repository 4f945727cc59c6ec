//! Reads campaigns: one by its id, or all; and their applied definitions.

use serde::Serialize;

use crate::campaign::Campaign;
use crate::ledger::{Actor, CampaignRecord, CampaignState, Ledger};
use crate::message::CampaignId;

use super::{OperateError, ReadModels};

/// A campaign in a list, with the numbers of its messages by state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CampaignRow {
    pub campaign: CampaignId,
    pub state: CampaignState,
    pub accepted: u64,
    /// Messages that are not over.
    pub open: u64,
    pub done: u64,
    pub dead: u64,
    pub unknown: u64,
}

impl ReadModels {
    /// The record of a campaign.
    ///
    /// # Errors
    ///
    /// [`OperateError::NoCampaign`] when there is none of this id.
    pub async fn campaign(&self, id: &CampaignId) -> Result<CampaignRecord, OperateError> {
        find(&self.ledger, id).await
    }

    /// The records of all campaigns, in the order in which they were first applied.
    ///
    /// # Errors
    ///
    /// An error when the ledger cannot be read.
    pub async fn campaigns(&self) -> Result<Vec<CampaignRecord>, OperateError> {
        Ok(self.ledger.campaigns().await?)
    }

    /// All campaigns with their books, in the order in which they were first applied.
    ///
    /// # Errors
    ///
    /// An error when the ledger cannot be read.
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

    /// The number of open messages of a campaign.
    ///
    /// # Errors
    ///
    /// An error when the ledger cannot be read.
    pub async fn open_messages(&self, id: &CampaignId) -> Result<u64, OperateError> {
        Ok(self.ledger.books(Some(id)).await?.open())
    }
}

/// Finds a campaign by its id.
pub(super) async fn find(ledger: &Ledger, id: &CampaignId) -> Result<CampaignRecord, OperateError> {
    let record = ledger.campaign(id).await?;
    record.ok_or_else(|| OperateError::NoCampaign(id.clone()))
}

/// The applied definition of a campaign, with the discovered SIDs.
///
/// # Errors
///
/// [`OperateError::Unreadable`] when this version cannot read the record.
pub fn definition(record: &CampaignRecord) -> Result<Campaign, OperateError> {
    serde_json::from_value(record.definition.clone()).map_err(|error| OperateError::Unreadable {
        id: record.id.clone(),
        detail: error.to_string(),
    })
}

/// The notices of a campaign for the operator: who paused it and how it can be resumed, and whether another ledger
/// may have sent some of its messages. One sentence each, wherever the campaign is shown.
#[must_use]
pub fn notices(record: &CampaignRecord) -> Vec<String> {
    let notices = [paused_notice(record), distrust_notice(record)];
    notices.into_iter().flatten().collect()
}

/// The notice of a paused campaign, in a sentence: who paused it, since when and why, and how it can be resumed.
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

/// The notice that another ledger may have sent messages of the campaign. `None` if that cannot be.
#[must_use]
pub fn distrust_notice(record: &CampaignRecord) -> Option<String> {
    let since = record.distrusted_from?.strftime("%Y-%m-%d %H:%M:%S UTC");
    Some(format!(
        "Campaign {}: since {since}, messages of it may have been sent that this ledger does not know: another \
         ledger ran the campaign, or the database lost transactions. Each message is looked for at Twilio before it is \
         sent (docs/ownership.md).",
        record.id
    ))
}
