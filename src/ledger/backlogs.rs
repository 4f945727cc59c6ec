//! Messages whose turn comes later, by the lanes that they wait for: the part of the ledger's contract that
//! keeps backlogs.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{Result, Watched};
use crate::message::CampaignId;

/// How long after its expected time a message comes back that no consumer has called up.
///
/// A working consumer calls it up long before. The day is for a backlog that every consumer has forgotten.
pub const UNCALLED_FOR: Duration = Duration::from_secs(24 * 3_600);

/// A backlog: messages of one campaign that wait for the same lanes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BacklogRow {
    pub campaign: CampaignId,
    /// Its lanes, as pacing names them.
    pub backlog: String,
    /// The age of its oldest message.
    pub oldest: Timestamp,
}

/// How many messages of a backlog are to come back now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallUp {
    pub campaign: CampaignId,
    pub backlog: String,
    pub messages: u32,
}

/// The result of a [`CallUp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CalledUp {
    pub messages: u32,
    /// The age of the oldest message that is left; none when none is left.
    pub oldest: Option<Timestamp>,
}

/// The backlogs of a ledger. Times are arguments, as in [`super::Ledger`].
#[async_trait]
pub trait Backlogs: Send + Sync {
    /// Every backlog that has a message, whatever their number: messages are not counted.
    async fn backlogs(&self) -> Result<Vec<BacklogRow>>;

    /// Makes the oldest messages of these backlogs waiting, and returns the result of each. Who lists
    /// [`super::Ledger::unqueued`] next publishes them.
    async fn call_up(&self, calls: &[CallUp], now: Timestamp) -> Result<Vec<CalledUp>>;
}

#[async_trait]
impl Backlogs for Watched {
    async fn backlogs(&self) -> Result<Vec<BacklogRow>> {
        self.noted_whole(self.inner.backlogs().await).await
    }

    async fn call_up(&self, calls: &[CallUp], now: Timestamp) -> Result<Vec<CalledUp>> {
        self.noted(self.inner.call_up(calls, now).await).await
    }
}
