//! What applying a campaign file would change.

use serde::Serialize;

use crate::campaign::{Campaign, KeyChange, key_changes};
use crate::ledger::CampaignState;
use crate::operate::campaigns::definition;
use crate::operate::{OperateError, ReadModels};

/// The difference between a campaign file and the campaign that the ledger has.
#[derive(Clone, Debug, Serialize)]
pub struct ApplyDifference {
    /// The campaign's state. None: the campaign is new.
    pub state: Option<CampaignState>,
    /// The keys whose values differ, in alphabetical order. Empty for a new campaign.
    pub changes: Vec<KeyChange>,
    /// The number of its open messages.
    pub open: u64,
}

impl ReadModels {
    /// Compares a campaign, filled in from the account, with the campaign of the same id in the ledger.
    ///
    /// # Errors
    ///
    /// [`OperateError::Unreadable`] when this version cannot read the ledger's definition.
    pub async fn apply_difference(
        &self,
        campaign: &Campaign,
    ) -> Result<ApplyDifference, OperateError> {
        let Some(record) = self.ledger.campaign(&campaign.id).await? else {
            return Ok(ApplyDifference {
                state: None,
                changes: Vec::new(),
                open: 0,
            });
        };
        let before = definition(&record)?;
        let mut after = campaign.clone();
        after.keep_flows_of(&before);
        Ok(ApplyDifference {
            state: Some(record.state),
            changes: key_changes(&before, &after),
            open: self.open_messages(&campaign.id).await?,
        })
    }
}
