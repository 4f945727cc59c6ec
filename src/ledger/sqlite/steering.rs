//! The steering of a ledger on SQLite.

use async_trait::async_trait;
use jiff::Timestamp;

use super::{SqliteLedger, campaigns, consumers, unbegun};
use crate::ledger::{
    ConsumerRow, OpenOfSender, Renewal, Renewed, Result, StateChange, Steering, Transition,
};
use crate::message::{Address, CampaignId};

#[async_trait]
impl Steering for SqliteLedger {
    async fn change_state(
        &self,
        id: &CampaignId,
        change: &StateChange,
        now: Timestamp,
    ) -> Result<Transition> {
        let (id, change) = (id.clone(), change.clone());
        self.write(move |conn| campaigns::change_state(conn, &id, &change, now))
            .await
    }

    async fn renew_right(&self, renewal: &Renewal, now: Timestamp) -> Result<Renewed> {
        let renewal = renewal.clone();
        self.write(move |conn| consumers::renew(conn, &renewal, now))
            .await
    }

    async fn end_right(&self, holder: &str) -> Result<()> {
        let holder = holder.to_owned();
        self.write(move |conn| consumers::end(conn, &holder)).await
    }

    async fn consumers(&self, _now: Timestamp) -> Result<(i64, Vec<ConsumerRow>)> {
        self.read(consumers::all).await
    }

    async fn skip_unbegun(
        &self,
        campaign: &CampaignId,
        now: Timestamp,
        limit: usize,
    ) -> Result<u64> {
        let campaign = campaign.clone();
        self.write(move |conn| unbegun::skip(conn, &campaign, now, limit))
            .await
    }

    async fn end_waits(&self, campaign: &CampaignId, retries: bool, now: Timestamp) -> Result<u64> {
        let campaign = campaign.clone();
        self.write(move |conn| unbegun::end_waits(conn, &campaign, retries, now))
            .await
    }

    async fn open_by_sender(&self, campaign: &CampaignId) -> Result<Vec<OpenOfSender>> {
        let campaign = campaign.clone();
        self.read(move |conn| unbegun::open_by_sender(conn, &campaign))
            .await
    }

    async fn move_sender(
        &self,
        campaign: &CampaignId,
        from: &Address,
        to: &Address,
        now: Timestamp,
        limit: usize,
    ) -> Result<u64> {
        let (campaign, from, to) = (campaign.clone(), from.clone(), to.clone());
        self.write(move |conn| unbegun::move_sender(conn, &campaign, (&from, &to), now, limit))
            .await
    }
}
