//! What keeps a ledger sound: the part of its contract that finds out whose fault an error is, sets aside what
//! no store can keep, and brings back what a queue or a consumer has lost.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Serialize;

use super::{Ending, MessageKey, Result, Watched};
use crate::message::{CampaignId, Effects, Message, MessageId};

/// A message whose stored fields contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DamagedRow {
    pub campaign: CampaignId,
    pub id: MessageId,
    /// What contradicts what, without a number.
    pub detail: String,
    /// When a consumer last met it.
    pub at: Timestamp,
}

/// How many messages one call marks to be published again: so many rows take a small part of the time that a store
/// allows a statement, whatever the ledger holds.
pub const MARKED_AT_ONCE: usize = 10_000;

/// Which messages of a campaign are published again because the queue has lost some.
#[derive(Clone, Copy, Debug)]
pub struct PublishAgain {
    /// The campaign's [`published_again_at`](super::CampaignRecord::published_again_at) when the looks were made
    /// that found messages missing: they say nothing of what is missing after another publication.
    pub after: Option<Timestamp>,
    /// A message that was published again after this is not published once more.
    pub not_since: Timestamp,
    /// When this is. Calls with the same time are parts of one publication.
    pub now: Timestamp,
    /// At most so many messages.
    pub limit: usize,
}

/// What is noted when the queue has lost everything.
#[derive(Clone, Copy, Debug)]
pub struct BrokerLost {
    /// [`Upkeep::broker_lost_at`], as it was before the caller found that the queue is tied to no ledger. Several
    /// consumers find that at once; the first one marks.
    pub after: Option<Timestamp>,
    /// When this is. Calls with the same time are parts of one publication.
    pub now: Timestamp,
    /// At most so many messages.
    pub limit: usize,
}

/// What setting a message aside came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetAside {
    /// It ended, as it was to; `accepted`: the ledger knew it before.
    Ended { accepted: bool },
    /// There was nothing to end: it was over, or the campaign has another message to its address.
    Needless,
    /// A lease on it is good: its holder goes on with it.
    Held,
}

/// How old what a consumer has shown of its deliveries may be and still count.
pub const HOLDING_FOR: Duration = Duration::from_secs(60);

/// When a message whose records contradict each other is looked at again.
pub const DAMAGED_AGAIN: Duration = Duration::from_secs(600);

/// The upkeep of a ledger. Times are arguments, as in [`super::Ledger`].
#[async_trait]
pub trait Upkeep: Send + Sync {
    /// Writes and commits one value: what `/readyz` asks.
    async fn touch(&self) -> Result<()>;

    /// Looks whether the store is the one that was opened and is where others find it: a ledger's file may be removed
    /// or replaced while it is open. Nothing is written, and a server has nothing to look at.
    ///
    /// # Errors
    ///
    /// [`super::LedgerError::Corrupt`] when it is not.
    async fn in_place(&self) -> Result<()> {
        Ok(())
    }

    /// Goes through the life of a message that does not exist, in the tables that work needs and by the
    /// statements of work, and takes all of it back; then writes and commits one value, and reads the ledger's
    /// id: whether the store works.
    ///
    /// # Errors
    ///
    /// What the store says. [`super::LedgerError::Hindered`] tells nothing of it.
    async fn probe(&self) -> Result<()>;

    /// Ends a message whose own content the store has refused again and again, with as little of it as can be
    /// written. One that the ledger does not know is accepted first.
    ///
    /// # Errors
    ///
    /// [`super::LedgerError::Refused`] when not even that can be written.
    async fn set_aside(
        &self,
        message: &Message,
        ending: &Ending,
        effects: &Effects,
        now: Timestamp,
    ) -> Result<SetAside>;

    /// Records that a message's stored fields contradict each other, until it is taken again.
    async fn record_damaged(&self, key: &MessageKey, detail: &str, now: Timestamp) -> Result<()>;

    /// At most `limit` messages whose stored fields contradict each other, the longest known first.
    async fn damaged(&self, limit: usize) -> Result<Vec<DamagedRow>>;

    /// Ends at most `limit` leases that ran out and whose holders are dead; `holder` is the caller, who lives.
    /// Their messages wait on the queue, which brings back what was not acknowledged. Returns how many there
    /// were.
    async fn sweep_leases(&self, holder: &str, now: Timestamp, limit: usize) -> Result<u64>;

    /// Shows how many deliveries of each campaign a consumer holds. Nothing is shown of one that never renewed
    /// its right.
    async fn show_holding(
        &self,
        holder: &str,
        holding: &BTreeMap<CampaignId, u64>,
        now: Timestamp,
    ) -> Result<()>;

    /// How many deliveries of each campaign all consumers hold, as they showed it within [`HOLDING_FOR`].
    async fn holding(&self, now: Timestamp) -> Result<BTreeMap<CampaignId, u64>>;

    /// Takes note that the queue has lost messages of a campaign: they are published again, in the order of their
    /// ids. Returns how many there were; none where messages of the campaign were published again after the
    /// caller's looks. The operator's `resume` ([`super::PUBLISH_AGAIN`]) is used up by that.
    async fn queue_again(&self, campaign: &CampaignId, again: &PublishAgain) -> Result<u64>;

    /// Takes note that the queue has lost everything: whatever waits on it is published again, and what it holds
    /// until it is due is the ledger's to bring back then. Marks at most `limit` messages, and none twice for the
    /// same `now`; returns how many. `None` where another caller has taken note of a loss since the caller's look.
    async fn broker_lost(&self, lost: &BrokerLost) -> Result<Option<u64>>;

    /// When the queue last lost everything.
    async fn broker_lost_at(&self) -> Result<Option<Timestamp>>;
}

#[async_trait]
impl Upkeep for Watched {
    async fn touch(&self) -> Result<()> {
        self.noted(self.inner.touch().await).await
    }

    async fn in_place(&self) -> Result<()> {
        self.noted(self.inner.in_place().await).await
    }

    async fn probe(&self) -> Result<()> {
        self.noted(self.inner.probe().await).await
    }

    async fn set_aside(
        &self,
        message: &Message,
        ending: &Ending,
        effects: &Effects,
        now: Timestamp,
    ) -> Result<SetAside> {
        let setting = self.inner.set_aside(message, ending, effects, now);
        self.noted(setting.await).await
    }

    async fn record_damaged(&self, key: &MessageKey, detail: &str, now: Timestamp) -> Result<()> {
        self.noted(self.inner.record_damaged(key, detail, now).await)
            .await
    }

    async fn damaged(&self, limit: usize) -> Result<Vec<DamagedRow>> {
        self.noted(self.inner.damaged(limit).await).await
    }

    async fn sweep_leases(&self, holder: &str, now: Timestamp, limit: usize) -> Result<u64> {
        self.noted(self.inner.sweep_leases(holder, now, limit).await)
            .await
    }

    async fn show_holding(
        &self,
        holder: &str,
        holding: &BTreeMap<CampaignId, u64>,
        now: Timestamp,
    ) -> Result<()> {
        self.noted(self.inner.show_holding(holder, holding, now).await)
            .await
    }

    async fn holding(&self, now: Timestamp) -> Result<BTreeMap<CampaignId, u64>> {
        self.noted(self.inner.holding(now).await).await
    }

    async fn queue_again(&self, campaign: &CampaignId, again: &PublishAgain) -> Result<u64> {
        let marking = self.inner.queue_again(campaign, again);
        self.noted(marking.await).await
    }

    async fn broker_lost(&self, lost: &BrokerLost) -> Result<Option<u64>> {
        self.noted(self.inner.broker_lost(lost).await).await
    }

    async fn broker_lost_at(&self) -> Result<Option<Timestamp>> {
        self.noted(self.inner.broker_lost_at().await).await
    }
}
