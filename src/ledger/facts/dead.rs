//! The types of dead letters: dead messages, and refused deliveries.

use jiff::Timestamp;
use serde::Serialize;

use crate::message::{CampaignId, DeadReason, Failure, MessageId, StepName};

/// A delivery that is not a valid message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    /// The campaign from whose queue it came.
    pub campaign: CampaignId,
    pub reason: DeadReason,
    /// What is wrong with it.
    pub detail: String,
    /// The body's first kilobyte.
    pub body: String,
}

/// When the undo of a stuck message is next retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct UpcomingUndo {
    /// How often it was retried so far.
    pub tries: u32,
    pub due: Timestamp,
}

/// One dead letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeadRow {
    pub campaign: CampaignId,
    /// None for a delivery that was not a valid message.
    pub id: Option<MessageId>,
    /// Masked.
    pub customer: Option<String>,
    /// Failed attempts, the last one included; 0 for a delivery that was not a valid message.
    pub attempts: u32,
    pub at: Timestamp,
    pub failure: Failure,
    pub reason: DeadReason,
    /// The next retry of the undo, for a stuck message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo: Option<UpcomingUndo>,
}

/// The number of dead letters that failed in the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeadCount {
    pub letters: u64,
    pub reason: DeadReason,
    /// The step that failed. For a stuck message, the step whose undo failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<StepName>,
    /// Twilio's error code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
    /// Whether they are publishers' messages that were refused on arrival, and so were not accepted.
    pub refused: bool,
    /// The latest one.
    pub example: DeadRow,
}
