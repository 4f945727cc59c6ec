//! Backlogs: messages that wait for the same limits.

use std::time::Duration;

use jiff::Timestamp;

use crate::message::CampaignId;

/// How long after its expected time a message returns that no consumer has called up.
///
/// A consumer that works calls it up long before. The day is for a backlog that all consumers have lost track of.
pub const UNCALLED_FOR: Duration = Duration::from_secs(24 * 3_600);

/// A backlog: messages of one campaign that wait for the same lanes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BacklogRow {
    pub campaign: CampaignId,
    /// Its lanes, in pacing's notation.
    pub backlog: String,
    /// When its oldest message was accepted.
    pub oldest: Timestamp,
}

/// A request to bring back messages of a backlog.
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
    /// When the oldest remaining message was accepted. None when no message is left.
    pub oldest: Option<Timestamp>,
}
