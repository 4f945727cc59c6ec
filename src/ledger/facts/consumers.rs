//! The consumers of a ledger: each renews its right to start changing calls, and counts the messages that it begins for
//! agents.
//!
//! An operator who stops a campaign waits until every consumer has confirmed the stop, or until its right has expired.
//! A renewal and a change of a campaign's state never overlap: a renewal after the change reports the change.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::message::CampaignId;

use super::{CampaignState, Lease, PauseScope};

/// How long a right lasts, from the moment at which its consumer asked for it.
pub const RIGHT_FOR: Duration = Duration::from_secs(3);

/// The maximum age of a renewal at which a consumer still counts as possibly alive. It is far more than [`RIGHT_FOR`],
/// because the store's clock may be set forward.
pub const LIVES_FOR: Duration = Duration::from_secs(60);

/// A consumer's renewal of its right.
#[derive(Clone, Debug)]
pub struct Renewal {
    /// The consumer's name in leases.
    pub holder: String,
    /// The name of its machine.
    pub host: String,
    /// Its process id.
    pub pid: u32,
    /// The number of the last change of a state that it has carried out. None before its first renewal is answered.
    pub confirmed: Option<i64>,
}

/// The ledger's answer to a renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewed {
    /// The number of the last change of any campaign's state or of the pauses.
    pub change: i64,
    /// All campaigns that are paused or cancelled.
    pub stopped: Vec<(CampaignId, CampaignState)>,
    /// The pauses of everything, of senders and of agents.
    pub paused: Vec<PauseScope>,
}

/// A consumer that may be alive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConsumerRow {
    pub holder: String,
    pub host: String,
    pub pid: u32,
    /// The number of the last change of a state that it has carried out.
    #[serde(skip)]
    pub confirmed: Option<i64>,
    /// How long ago it renewed its right, on the store's clock.
    #[serde(skip)]
    pub quiet_for: Duration,
}

impl fmt::Display for ConsumerRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {})", self.host, self.pid)
    }
}

/// The record of one process's work on a ledger.
///
/// Every process that works on a ledger draws an incarnation, and raises its beat once a minute. The Twilio account
/// stores the last incarnation and its beat. A ledger that does not know them is a copy, or has gone back to an older
/// state: it lacks what was done since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incarnation {
    /// A random token.
    pub token: String,
    /// For how many minutes the process has worked.
    pub beat: u64,
}

/// A message that is to begin for an agent.
#[derive(Clone, Copy, Debug)]
pub struct AgentWish<'a> {
    /// The agent's Worker SID.
    pub agent: &'a str,
    /// The lease under which the message begins.
    pub lease: &'a Lease,
    /// How many more tasks the agent can take, according to the last reading.
    pub free: u32,
    /// When that reading began.
    pub read_at: Instant,
    /// How long a new task may take to show in a reading.
    pub shows_after: Duration,
    /// The maximum age of a reading.
    pub kept_for: Duration,
    /// Whether it counts even without a free place: it has its task already, or is about to.
    pub anyway: bool,
}

/// The answer to an [`AgentWish`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgentAnswer {
    pub taken: bool,
    /// How many other messages the reading may not show.
    pub others: u32,
}
