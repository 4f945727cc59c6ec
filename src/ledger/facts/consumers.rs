//! The consumers of a ledger, as the ledger knows them: each renews its right to start changing calls, and counts what it
//! begins for agents.
//!
//! An operator who stops a campaign waits until every consumer has confirmed the stop, or until its right
//! has run out. A renewal and a change of a campaign's state never overlap: a renewal that comes after the
//! change reports the change.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::message::CampaignId;

use super::{CampaignState, Lease};

/// How long a right lasts from the moment at which its consumer asked for it.
pub const RIGHT_FOR: Duration = Duration::from_secs(3);

/// How old a renewal may be at which a consumer still counts as one that may live. It is far more than
/// [`RIGHT_FOR`], since the store's clock may be set forward.
pub const LIVES_FOR: Duration = Duration::from_secs(60);

/// A consumer's renewal of its right.
#[derive(Clone, Debug)]
pub struct Renewal {
    /// The consumer's name in leases.
    pub holder: String,
    /// The name of its machine.
    pub host: String,
    /// Its process.
    pub pid: u32,
    /// The number of the last change of a state that it has carried out; none before its first renewal
    /// was answered.
    pub confirmed: Option<i64>,
}

/// The ledger's answer to a renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewed {
    /// The number of the last change of any campaign's state.
    pub change: i64,
    /// All campaigns that are paused or cancelled.
    pub stopped: Vec<(CampaignId, CampaignState)>,
}

/// A consumer that may live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConsumerRow {
    pub holder: String,
    pub host: String,
    pub pid: u32,
    /// The number of the last change of a state that it has carried out.
    #[serde(skip)]
    pub confirmed: Option<i64>,
}

/// One process's work on a ledger, so far.
///
/// Every process that works on a ledger draws an incarnation, and raises its beat once a minute. The Twilio account
/// keeps the last incarnation and its beat. A ledger that does not know them is a copy, or has gone back to an older
/// state: what was done since is not in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incarnation {
    /// Drawn at random.
    pub token: String,
    /// How many minutes the process has worked.
    pub beat: u64,
}

/// A message that is to be begun for an agent.
#[derive(Clone, Copy, Debug)]
pub struct AgentWish<'a> {
    /// The agent: a Worker's SID.
    pub agent: &'a str,
    /// The lease under which it is begun.
    pub lease: &'a Lease,
    /// How many tasks the agent can take by the look at them.
    pub free: u32,
    /// When that look began.
    pub read_at: Instant,
    /// How long a task that was made may take to show.
    pub shows_after: Duration,
    /// How old a look may be.
    pub kept_for: Duration,
    /// Whether it counts whether there is a place or not: it has its task already, or is about to.
    pub anyway: bool,
}

/// Whether a message is counted now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgentAnswer {
    pub taken: bool,
    /// How many other messages the look may not show.
    pub others: u32,
}
