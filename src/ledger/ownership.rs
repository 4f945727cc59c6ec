//! Which of a ledger's copies and states this one is: the part of the ledger's contract that tells it from others.
//!
//! Every process that works on a ledger draws an incarnation, and raises its beat once a minute. The Twilio account
//! keeps the last incarnation and its beat. A ledger that does not know them is a copy, or has gone back to an older
//! state: what was done since is not in it.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Result, StoreRun, Watched};
use crate::message::CampaignId;

/// One process's work on a ledger, so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incarnation {
    /// Drawn at random.
    pub token: String,
    /// How many minutes the process has worked.
    pub beat: u64,
}

/// What tells a ledger from its copies. Times are arguments, as in [`super::Ledger`].
#[async_trait]
pub trait Ownership: Send + Sync {
    /// Where the ledger's store is: a copy of it elsewhere has another place.
    async fn place(&self) -> Result<String>;

    /// Draws an incarnation for a process that is about to work on the ledger.
    async fn draw_incarnation(&self, now: Timestamp) -> Result<Incarnation>;

    /// Raises the beat of an incarnation that this ledger has drawn. `None` when it has drawn no such one.
    async fn raise_beat(&self, token: &str) -> Result<Option<Incarnation>>;

    /// Whether this ledger has itself been there: it has drawn the incarnation, and raised its beat as far.
    async fn has_been(&self, incarnation: &Incarnation) -> Result<bool>;

    /// How often, in this process, the store was found without what the process had committed to it: after a failover
    /// to a server that had not received it. Each time every campaign was distrusted, and every lease was ended.
    fn losses(&self) -> u64 {
        0
    }

    /// The run of the store that this process works with.
    fn run(&self) -> StoreRun {
        StoreRun::default()
    }

    /// How long the store gives no lease yet, because a run of it has just begun. None: it gives leases.
    fn gives_no_lease_for(&self) -> Option<Duration> {
        None
    }

    /// When the store was last found without transactions that a process had committed to it.
    async fn lost_at(&self) -> Result<Option<Timestamp>> {
        Ok(None)
    }

    /// Records that another ledger may have carried out messages of this campaign, or of every one that there is: since
    /// this time, or since the campaign was first applied if that was before.
    async fn distrust(&self, campaign: Option<&CampaignId>, since: Timestamp) -> Result<()>;
}

#[async_trait]
impl Ownership for Watched {
    async fn place(&self) -> Result<String> {
        self.noted(self.inner.place().await).await
    }

    async fn draw_incarnation(&self, now: Timestamp) -> Result<Incarnation> {
        self.noted(self.inner.draw_incarnation(now).await).await
    }

    async fn raise_beat(&self, token: &str) -> Result<Option<Incarnation>> {
        self.noted(self.inner.raise_beat(token).await).await
    }

    async fn has_been(&self, incarnation: &Incarnation) -> Result<bool> {
        self.noted(self.inner.has_been(incarnation).await).await
    }

    fn losses(&self) -> u64 {
        self.inner.losses()
    }

    fn run(&self) -> StoreRun {
        self.inner.run()
    }

    fn gives_no_lease_for(&self) -> Option<Duration> {
        self.inner.gives_no_lease_for()
    }

    async fn lost_at(&self) -> Result<Option<Timestamp>> {
        self.noted(self.inner.lost_at().await).await
    }

    async fn distrust(&self, campaign: Option<&CampaignId>, since: Timestamp) -> Result<()> {
        self.noted(self.inner.distrust(campaign, since).await).await
    }
}
