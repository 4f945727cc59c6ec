//! Messages that are damaged, lost or set aside.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::message::{CampaignId, MessageId};

/// A message whose stored fields contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DamagedRow {
    pub campaign: CampaignId,
    pub id: MessageId,
    /// Which fields contradict each other, without a phone number.
    pub detail: String,
    /// When a consumer last found it.
    pub at: Timestamp,
}

/// How many messages one call marks to be published again. This many rows take a small part of the time that a store
/// allows a statement, whatever the ledger's size.
pub const MARKED_AT_ONCE: usize = 10_000;

/// Selects the messages of a campaign that are published again because the queue has lost some.
#[derive(Clone, Copy, Debug)]
pub struct PublishAgain {
    /// The campaign's [`published_again_at`](super::CampaignRecord::published_again_at) at the time of the comparisons
    /// that found messages missing. After another publication these comparisons are void.
    pub after: Option<Timestamp>,
    /// A message that was published again after this time is not selected.
    pub not_since: Timestamp,
    /// The current time. Calls with the same time are parts of one publication.
    pub now: Timestamp,
    /// The maximum number of messages.
    pub limit: usize,
}

/// The record of a queue that has lost everything.
#[derive(Clone, Copy, Debug)]
pub struct BrokerLost {
    /// The value of [`crate::ledger::Ledger::broker_lost_at`] before the caller found that the queue is bound to no
    /// ledger. Several consumers find that at once; the first one marks.
    pub after: Option<Timestamp>,
    /// The current time. Calls with the same time are parts of one publication.
    pub now: Timestamp,
    /// The maximum number of messages.
    pub limit: usize,
}

/// The result of setting a message aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetAside {
    /// It ended as requested. `accepted`: the ledger had the message before.
    Ended { accepted: bool },
    /// There was nothing to end: it was over, or the campaign has another message to its address.
    Needless,
    /// A lease on it is valid: its holder continues.
    Held,
}

/// The maximum age of a consumer's record of the deliveries that it holds.
pub const HOLDING_FOR: Duration = Duration::from_secs(60);

/// How long a message with contradictory records is left out before it is checked again.
pub const DAMAGED_AGAIN: Duration = Duration::from_secs(600);
