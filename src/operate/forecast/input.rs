//! The input of a forecast: the limits of a campaign, and the work that is left.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::pacing::{Margin, Quota};

/// The limits of a campaign and the work that is left.
#[derive(Clone, Debug, PartialEq)]
pub struct ForecastInput {
    /// When the work begins or continues: now, or at the campaign's start if that is later.
    pub now: Timestamp,
    /// The part of every rate that consumers leave unused.
    pub margin: Margin,
    /// Messages that are still to be sent.
    pub messages: u64,
    /// The latest `not_before` of these messages.
    pub last_not_before: Option<Timestamp>,
    /// The campaign's pace.
    pub campaign_pace: Option<Quota>,
    /// The pace for each agent.
    pub agent_pace: Option<Quota>,
    /// The messages of each agent.
    pub by_agent: BTreeMap<String, u64>,
    /// What agents can take. `None`: it is not known, or no task is made when a message is sent.
    pub capacity: Option<AgentsCapacity>,
    /// The rates of senders, and what each has to send.
    pub senders: Vec<SenderWork>,
}

/// What agents can take, where a task is made with each message.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentsCapacity {
    /// How long an agent works on one task: the operator's assumption.
    pub handle_time: Duration,
    /// How often consumers look whether an agent is free again.
    pub read_every: Duration,
    /// How many tasks each agent takes at once. Agents that are not named here do not limit the campaign.
    pub tasks_at_once: BTreeMap<String, u32>,
    /// Whether a message of an agent without a free place goes to another agent.
    pub is_shared: bool,
}

/// What one sender has to send at one of its rates: SMS segments, or messages on other channels.
#[derive(Clone, Debug, PartialEq)]
pub struct SenderWork {
    /// The sender's number or address.
    pub sender: String,
    pub quota: Quota,
    pub unit: SendUnit,
    /// The campaign's part.
    pub own: u64,
    /// The campaign's weight among the campaigns of this sender.
    pub weight: NonZeroU32,
    /// What other running campaigns have to send.
    pub others: Vec<OtherWork>,
}

/// What another campaign has to send from the same sender.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OtherWork {
    pub weight: NonZeroU32,
    pub left: u64,
}

/// What a sender's rate counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SendUnit {
    Segment,
    Message,
}
