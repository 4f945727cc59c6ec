//! The consumers of a ledger: which are at work, and what a new one would carry out.

use std::time::Duration;

use crate::ledger::{CampaignState, ConsumerRow};
use crate::message::CampaignId;
use crate::operate::{OperateError, ReadModels};

/// How long ago a consumer that is at work has renewed its right at most: it does so every second.
const AT_WORK_WITHIN: Duration = Duration::from_secs(10);

/// The campaigns that a consumer has to do with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerCampaigns {
    /// The campaigns whose messages it carries out.
    pub carried_out: Vec<CampaignId>,
    /// The campaigns that are paused: it waits until they are resumed.
    pub paused: Vec<CampaignId>,
}

impl ReadModels {
    /// The consumers that are at work on this ledger now.
    ///
    /// # Errors
    ///
    /// An error when the ledger cannot be read.
    pub async fn consumers_at_work(&self) -> Result<Vec<ConsumerRow>, OperateError> {
        let (_, mut consumers) = self.ledger.consumers(self.clock.now()).await?;
        consumers.retain(|one| one.quiet_for <= AT_WORK_WITHIN);
        Ok(consumers)
    }

    /// The campaigns that a consumer of the campaigns in `only`, or of all if it is empty, has to do with now.
    ///
    /// # Errors
    ///
    /// An error when the ledger cannot be read.
    pub async fn consumer_campaigns(
        &self,
        only: &[CampaignId],
    ) -> Result<ConsumerCampaigns, OperateError> {
        let mut all = ConsumerCampaigns::default();
        for record in self.ledger.campaigns().await? {
            if !only.is_empty() && !only.contains(&record.id) {
                continue;
            }
            if record.state.is_consumed() {
                all.carried_out.push(record.id);
            } else if record.state == CampaignState::Paused {
                all.paused.push(record.id);
            }
        }
        Ok(all)
    }
}
