//! The steering of a ledger on PostgreSQL.

use async_trait::async_trait;
use jiff::Timestamp;

use super::{PostgresLedger, call, campaigns, consumers, unbegun};
use crate::ledger::{
    ConsumerRow, OpenOfSender, Renewal, Renewed, Result, StateChange, Steering, Transition,
};
use crate::message::{Address, CampaignId};

#[async_trait]
impl Steering for PostgresLedger {
    async fn change_state(
        &self,
        id: &CampaignId,
        change: &StateChange,
        now: Timestamp,
    ) -> Result<Transition> {
        call!(self, |client| campaigns::change_state(
            &client, id, change, now
        ))
    }

    async fn renew_right(&self, renewal: &Renewal, now: Timestamp) -> Result<Renewed> {
        // On a connection that is kept for it: a right that waits behind the ledger's other calls runs out where each
        // takes long, and no call to Twilio leaves.
        let renewing = async {
            let mut kept = self.for_rights.lock().await;
            let client = match kept.take() {
                Some(client) if !client.is_closed() => client,
                _ => self.connections.get().await?,
            };
            let renewed = consumers::renew(&client, renewal, now, self.clock).await?;
            *kept = Some(client);
            Ok(renewed)
        };
        self.connections.bounded(renewing).await
    }

    async fn end_right(&self, holder: &str) -> Result<()> {
        call!(self, |client| consumers::end(&client, holder))
    }

    async fn consumers(&self, now: Timestamp) -> Result<(i64, Vec<ConsumerRow>)> {
        call!(self, |client| consumers::all(&client, now, self.clock))
    }

    async fn skip_unbegun(
        &self,
        campaign: &CampaignId,
        now: Timestamp,
        limit: usize,
    ) -> Result<u64> {
        call!(self, |client| unbegun::skip(&client, campaign, now, limit))
    }

    async fn end_waits(&self, campaign: &CampaignId, retries: bool, now: Timestamp) -> Result<u64> {
        call!(self, |client| unbegun::end_waits(
            &client, campaign, retries, now
        ))
    }

    async fn open_by_sender(&self, campaign: &CampaignId) -> Result<Vec<OpenOfSender>> {
        call!(self, |client| unbegun::open_by_sender(&client, campaign))
    }

    async fn move_sender(
        &self,
        campaign: &CampaignId,
        from: &Address,
        to: &Address,
        now: Timestamp,
        limit: usize,
    ) -> Result<u64> {
        call!(self, |client| unbegun::move_sender(
            &mut client,
            campaign,
            (from, to),
            now,
            limit
        ))
    }
}
