//! Campaigns by the calendar: a campaign is not consumed before its start, and after its end the messages that have not
//! begun are skipped.

use crate::ledger::{CampaignRecord, CampaignState, LedgerError};
use crate::message::SkipReason;
use crate::metrics::MessageEvent;

use super::Campaigns;
use crate::worker::WorkError;

/// How many messages are skipped in one transaction.
const BATCH: usize = 2_000;

impl Campaigns {
    /// All campaigns, as of now. While everything is paused, those that run count as paused.
    pub(super) async fn records(&self) -> Result<Vec<CampaignRecord>, LedgerError> {
        let parts = &self.shared.parts;
        let (records, now) = (parts.ledger.campaigns().await?, parts.clock.now());
        let is_all_paused = self.shared.switches.is_all_paused();
        let as_of_now = |record: CampaignRecord| {
            let mut record = record.as_of(now);
            if is_all_paused && record.state == CampaignState::Running {
                record.state = CampaignState::Paused;
            }
            record
        };
        Ok(records.into_iter().map(as_of_now).collect())
    }

    /// Skips messages of running campaigns that are past their end: those that have not begun, at most one batch of each
    /// campaign. The others are carried to their end.
    pub(in crate::worker) async fn expire(&self) -> Result<(), WorkError> {
        let parts = &self.shared.parts;
        for consumed in self.consumed.values() {
            let now = parts.clock.now();
            let campaign = &consumed.active.campaign;
            let is_past = campaign.end_at.is_some_and(|end| end <= now);
            if !is_past || consumed.state != CampaignState::Running {
                continue;
            }
            let reason = SkipReason::Expired;
            let skipping = parts.ledger.skip_unbegun(&campaign.id, reason, now, BATCH);
            let skipped = skipping.await?;
            if skipped > 0 {
                tracing::info!(campaign.id = %campaign.id, skipped, "skipped: the campaign's end_at is past");
            }
            for _ in 0..skipped {
                let event = MessageEvent::Skipped(reason);
                parts
                    .metrics
                    .message(event, campaign.strategy, campaign.api);
                self.shared.tally.count(event);
            }
        }
        Ok(())
    }
}
