//! Change how fast a campaign goes, while it goes.

use serde::Serialize;

use crate::campaign::Pace;
use crate::message::CampaignId;
use crate::operate::campaigns::{definition, find};
use crate::operate::{OperateError, Operations};
use crate::pacing::Quota;

/// How often it is tried when somebody else writes the campaign at the same time.
const TRIES: u32 = 5;

/// What becomes of one quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QuotaChange {
    /// It stays as it is.
    #[default]
    Stays,
    /// The pace is not limited any more.
    Lifted,
    Becomes(Quota),
}

impl QuotaChange {
    fn of(self, quota: Option<Quota>) -> Option<Quota> {
        match self {
            Self::Stays => quota,
            Self::Lifted => None,
            Self::Becomes(quota) => Some(quota),
        }
    }
}

/// What becomes of a campaign's pace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PaceChange {
    /// Messages begun over the whole campaign.
    pub campaign: QuotaChange,
    /// Messages begun for each agent.
    pub agent: QuotaChange,
}

/// A campaign's pace after the change.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Paced {
    pub campaign: CampaignId,
    pub pace: Pace,
}

impl Operations {
    /// Changes a campaign's pace; consumers follow within a second. It stays until the campaign is applied again.
    ///
    /// # Errors
    ///
    /// [`OperateError::NoCampaign`] when there is none of this id; [`OperateError::Unreadable`] when its definition is
    /// not one of this program's; [`OperateError::ChangedMeanwhile`] when somebody else kept changing it.
    pub async fn set_pace(
        &self,
        campaign: &CampaignId,
        change: PaceChange,
    ) -> Result<Paced, OperateError> {
        for _ in 0..TRIES {
            let record = find(&self.ledger, campaign).await?;
            let mut pace = definition(&record)?.pace;
            pace.campaign = change.campaign.of(pace.campaign);
            pace.agent = change.agent.of(pace.agent);
            // Only this key: whatever else the definition has stays as it was written.
            let mut to = record.definition.clone();
            to["pace"] = serde_json::to_value(&pace).map_err(|error| OperateError::Unreadable {
                id: record.id.clone(),
                detail: error.to_string(),
            })?;
            let now = self.clock.now();
            let replacing = self
                .ledger
                .redefine(&record.id, &record.definition, &to, now);
            if replacing.await? {
                let campaign = record.id;
                return Ok(Paced { campaign, pace });
            }
        }
        Err(OperateError::ChangedMeanwhile(campaign.clone()))
    }
}
