//! The trap on the calls that tell a ledger from its copies.

use async_trait::async_trait;
use flexcast::ledger::{Incarnation, Ownership, Result};
use flexcast::message::CampaignId;
use jiff::Timestamp;

use super::trapped_ledger::TrappedLedger;

#[async_trait]
impl Ownership for TrappedLedger {
    async fn place(&self) -> Result<String> {
        self.risk("place", self.inner.place()).await
    }

    async fn draw_incarnation(&self, now: Timestamp) -> Result<Incarnation> {
        self.risk("draw_incarnation", self.inner.draw_incarnation(now))
            .await
    }

    async fn raise_beat(&self, token: &str) -> Result<Option<Incarnation>> {
        self.risk("raise_beat", self.inner.raise_beat(token)).await
    }

    async fn has_been(&self, incarnation: &Incarnation) -> Result<bool> {
        self.risk("has_been", self.inner.has_been(incarnation))
            .await
    }

    async fn distrust(&self, campaign: Option<&CampaignId>, since: Timestamp) -> Result<()> {
        self.risk("distrust", self.inner.distrust(campaign, since))
            .await
    }
}
