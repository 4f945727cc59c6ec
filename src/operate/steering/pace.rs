//! Changes the pace of a running campaign.

use serde::Serialize;

use crate::campaign::Pace;
use crate::ledger::OperationName;
use crate::message::CampaignId;
use crate::operate::campaigns::{definition, find};
use crate::operate::{OperateError, Operations};
use crate::pacing::Quota;

/// The number of attempts when another operator changes the campaign at the same time.
const TRIES: u32 = 5;

/// A change of one quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QuotaChange {
    /// The quota does not change.
    #[default]
    Stays,
    /// The quota is removed.
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

/// A change of a campaign's pace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PaceChange {
    /// The limit of messages started in the whole campaign.
    pub campaign: QuotaChange,
    /// The limit of messages started for each agent.
    pub agent: QuotaChange,
}

/// A campaign's pace after the change.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Paced {
    pub campaign: CampaignId,
    pub pace: Pace,
}

impl Operations {
    /// Changes a campaign's pace; consumers follow within a second. The change holds until the campaign is applied
    /// again.
    ///
    /// # Errors
    ///
    /// [`OperateError::NoCampaign`] when there is none of this id; [`OperateError::Unreadable`] when this version
    /// cannot read its definition; [`OperateError::ChangedMeanwhile`] when another operator changed it during every
    /// attempt.
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
            // Only this key changes: the rest of the definition stays as it was written.
            let mut to = record.definition.clone();
            to["pace"] = serde_json::to_value(&pace).map_err(|error| OperateError::Unreadable {
                id: record.id.clone(),
                detail: error.to_string(),
            })?;
            let arguments =
                serde_json::json!({"from": record.definition["pace"], "to": to["pace"]});
            let operation = self.on(OperationName::Pace, &record.id, arguments);
            let (from, now) = (&record.definition, self.clock.now());
            let replacing = self
                .ledger
                .redefine(&record.id, from, &to, Some(&operation), now);
            if replacing.await? {
                let campaign = record.id;
                return Ok(Paced { campaign, pace });
            }
        }
        Err(OperateError::ChangedMeanwhile(campaign.clone()))
    }
}
