//! What an operator does to campaigns, and the consumers that confirm it: the part of the ledger's contract
//! that steers.

use async_trait::async_trait;
use jiff::Timestamp;

use super::{
    ConsumerRow, OpenOfSender, Renewal, Renewed, Result, StateChange, Transition, Watched,
};
use crate::message::{Address, CampaignId};

/// The steering of a ledger. Times are arguments, as in [`super::Ledger`].
#[async_trait]
pub trait Steering: Send + Sync {
    /// Moves a campaign to another state where the rules allow it ([`StateChange::on`]). A renewal of a
    /// consumer's right that comes after it reports the new state.
    ///
    /// # Errors
    ///
    /// [`LedgerError::NoCampaign`] when there is none of this id; so for all that follows.
    async fn change_state(
        &self,
        id: &CampaignId,
        change: &StateChange,
        now: Timestamp,
    ) -> Result<Transition>;

    /// Renews a consumer's right to start changing calls, and records which change of a state it has
    /// carried out. The right lasts for [`RIGHT_FOR`] from the moment before this call.
    async fn renew_right(&self, renewal: &Renewal, now: Timestamp) -> Result<Renewed>;

    /// Ends a consumer's right: it starts no changing call any more.
    async fn end_right(&self, holder: &str) -> Result<()>;

    /// The number of the last change of a campaign's state, and the consumers that may live: they renewed
    /// their rights within [`LIVES_FOR`]; in a file, where one consumer works at a time, all that did not
    /// end theirs.
    async fn consumers(&self, now: Timestamp) -> Result<(i64, Vec<ConsumerRow>)>;

    /// Ends at most `limit` messages of a cancelled campaign as skipped: those of which nothing can stand
    /// at Twilio, since no lease on them was ever used. Returns how many it ended.
    async fn skip_unbegun(
        &self,
        campaign: &CampaignId,
        now: Timestamp,
        limit: usize,
    ) -> Result<u64>;

    /// Makes the messages of a campaign due that are deferred; with `retries` those too that wait after a
    /// failure. Returns how many.
    async fn end_waits(&self, campaign: &CampaignId, retries: bool, now: Timestamp) -> Result<u64>;

    /// How many open messages of a campaign each of its senders has.
    async fn open_by_sender(&self, campaign: &CampaignId) -> Result<Vec<OpenOfSender>>;

    /// Gives at most `limit` messages of one sender to another: those that have not begun and are not in
    /// flight. Their waits for the old sender's pace end. Returns how many it moved.
    async fn move_sender(
        &self,
        campaign: &CampaignId,
        from: &Address,
        to: &Address,
        now: Timestamp,
        limit: usize,
    ) -> Result<u64>;
}

#[async_trait]
impl Steering for Watched {
    async fn change_state(
        &self,
        id: &CampaignId,
        change: &StateChange,
        now: Timestamp,
    ) -> Result<Transition> {
        self.noted(self.inner.change_state(id, change, now).await)
            .await
    }

    async fn renew_right(&self, renewal: &Renewal, now: Timestamp) -> Result<Renewed> {
        self.noted(self.inner.renew_right(renewal, now).await).await
    }

    async fn end_right(&self, holder: &str) -> Result<()> {
        self.noted(self.inner.end_right(holder).await).await
    }

    async fn consumers(&self, now: Timestamp) -> Result<(i64, Vec<ConsumerRow>)> {
        self.noted(self.inner.consumers(now).await).await
    }

    async fn skip_unbegun(
        &self,
        campaign: &CampaignId,
        now: Timestamp,
        limit: usize,
    ) -> Result<u64> {
        self.noted(self.inner.skip_unbegun(campaign, now, limit).await)
            .await
    }

    async fn end_waits(&self, campaign: &CampaignId, retries: bool, now: Timestamp) -> Result<u64> {
        self.noted(self.inner.end_waits(campaign, retries, now).await)
            .await
    }

    async fn open_by_sender(&self, campaign: &CampaignId) -> Result<Vec<OpenOfSender>> {
        self.noted(self.inner.open_by_sender(campaign).await).await
    }

    async fn move_sender(
        &self,
        campaign: &CampaignId,
        from: &Address,
        to: &Address,
        now: Timestamp,
        limit: usize,
    ) -> Result<u64> {
        let moving = self.inner.move_sender(campaign, from, to, now, limit);
        self.noted(moving.await).await
    }
}
