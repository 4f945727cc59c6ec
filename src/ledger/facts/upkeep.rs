//! What is damaged, lost or set aside.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::message::{CampaignId, MessageId};

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
    /// [`crate::ledger::Ledger::broker_lost_at`], as it was before the caller found that the queue is tied to no ledger. Several
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
