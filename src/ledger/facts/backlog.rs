//! Backlogs: messages that wait for the same limits.

use std::time::Duration;

use jiff::Timestamp;

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
