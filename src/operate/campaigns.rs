//! Reads campaigns: one by its id, or all; and their applied definitions.

use jiff::Timestamp;
use serde::Serialize;

use crate::campaign::Campaign;
use crate::ledger::{Actor, CampaignRecord, CampaignState, Ledger, LedgerError};
use crate::message::CampaignId;

use super::wording::near;
use super::{OperateError, ReadModels};

/// The latest campaigns.
#[derive(Clone, Debug, Serialize)]
pub struct CampaignList {
    /// In the order in which they were first applied.
    pub campaigns: Vec<CampaignRow>,
    /// The number of all campaigns.
    pub total: u64,
    /// The number of earlier campaigns that are not in the list.
    pub left_out: u64,
}

/// A campaign in a list, with the numbers of its messages by state.
#[derive(Clone, Debug, Serialize)]
pub struct CampaignRow {
    #[serde(flatten)]
    pub record: CampaignRecord,
    pub accepted: u64,
    /// Messages without an outcome.
    pub open: u64,
    pub done: u64,
    pub skipped: u64,
    pub dead: u64,
    pub unknown: u64,
    /// Publishers' messages that were refused.
    pub refused: u64,
}

impl ReadModels {
    /// The record of a campaign.
    ///
    /// # Errors
    ///
    /// [`OperateError::NoCampaign`] when there is none of this id.
    pub async fn campaign(&self, id: &CampaignId) -> Result<CampaignRecord, OperateError> {
        Ok(find(&self.ledger, id).await?.as_of(self.clock.now()))
    }

    /// Checks that all of these campaigns exist.
    ///
    /// # Errors
    ///
    /// [`OperateError::NoCampaign`] for the first one that does not exist.
    pub async fn all_exist(&self, ids: &[CampaignId]) -> Result<(), OperateError> {
        for id in ids {
            find(&self.ledger, id).await?;
        }
        Ok(())
    }

    /// The latest `limit` campaigns with their books; without a limit, all campaigns.
    ///
    /// # Errors
    ///
    /// An error when the ledger cannot be read.
    pub async fn campaign_list(&self, limit: Option<usize>) -> Result<CampaignList, OperateError> {
        let mut records = self.ledger.campaigns().await?;
        let total = records.len();
        let left_out = total.saturating_sub(limit.unwrap_or(total));
        let mut books = self.ledger.books_of_each().await?;
        let now = self.clock.now();
        let rows = records.drain(left_out..).map(|record| {
            // A campaign without a message has no books.
            let books = books.remove(&record.id).unwrap_or_default();
            CampaignRow {
                record: record.as_of(now),
                accepted: books.accepted,
                open: books.open(),
                done: books.done,
                skipped: books.skipped_total(),
                dead: books.dead_total(),
                unknown: books.unknown,
                refused: books.refused_total(),
            }
        });
        Ok(CampaignList {
            campaigns: rows.collect(),
            total: total as u64,
            left_out: left_out as u64,
        })
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
    match ledger.campaign(id).await? {
        Some(record) => Ok(record),
        None => Err(with_near(ledger, LedgerError::NoCampaign(id.clone())).await),
    }
}

/// An error of the ledger. If a campaign does not exist, it has the ids of similar campaigns.
pub(super) async fn with_near(ledger: &Ledger, error: LedgerError) -> OperateError {
    let LedgerError::NoCampaign(id) = error else {
        return error.into();
    };
    let records = match ledger.campaigns().await {
        Ok(records) => records,
        Err(error) => return error.into(),
    };
    let ids = records.iter().map(|record| record.id.as_str());
    let similar = near(id.as_str(), ids).into_iter();
    let near = similar.filter_map(|name| CampaignId::parse(name).ok());
    OperateError::NoCampaign {
        near: near.collect(),
        id,
    }
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

/// The notice of a campaign's start or end, while it is not over: when it starts, or until when its messages may begin.
#[must_use]
pub(super) fn calendar_notice(record: &CampaignRecord, now: Timestamp) -> Option<String> {
    let id = &record.id;
    let time = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M:%S UTC");
    match (record.state, record.starts_at(), record.ends_at()) {
        (CampaignState::Scheduled, Some(start), _) => Some(format!(
            "Campaign {id} starts at {}: until then, no message of it begins.",
            time(start)
        )),
        (CampaignState::Running | CampaignState::Paused, _, Some(end)) if end > now => {
            Some(format!(
                "Campaign {id} ends at {}: messages that have not begun by then are skipped.",
                time(end)
            ))
        }
        (CampaignState::Running | CampaignState::Paused, _, Some(end)) => Some(format!(
            "Campaign {id} has ended, at {}: messages that have not begun are skipped.",
            time(end)
        )),
        _ => None,
    }
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
