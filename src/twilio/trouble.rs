//! What a failed call means for an operator who waits for its result.

use super::codes::classify;
use super::{CallError, Operation};
use crate::message::FailureClass;

/// What an operator can do about a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallTrouble {
    /// Twilio, or a part of it, does not answer.
    Unreachable,
    /// Twilio refuses the credentials.
    CredentialsRefused,
    /// Twilio did not get to it: try again.
    NotNow,
    /// Twilio refuses this call: something in the configuration or the campaign is wrong.
    Wrong,
}

impl CallError {
    /// What the operator can do about it.
    #[must_use]
    pub fn trouble(&self) -> CallTrouble {
        match self {
            Self::NotSent { .. } | Self::InDoubt { .. } => CallTrouble::Unreachable,
            Self::Closed(closed) if closed.is_away() => CallTrouble::Unreachable,
            Self::NotProcessed { .. } | Self::Closed(_) => CallTrouble::NotNow,
            Self::Rejected { status: 401, .. } => CallTrouble::CredentialsRefused,
            Self::Rejected { .. } => {
                match classify(self, Operation::FetchConfiguration) == FailureClass::Halt {
                    true => CallTrouble::CredentialsRefused,
                    false => CallTrouble::Wrong,
                }
            }
            Self::Malformed { .. } => CallTrouble::Wrong,
        }
    }

    /// The error as a sentence for the operator.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self.trouble() {
            CallTrouble::Unreachable => format!("Twilio is not reachable: {self}"),
            CallTrouble::CredentialsRefused => format!(
                "Twilio refused the credentials: {self}; check TWILIO_ACCOUNT_SID, \
                 TWILIO_AUTH_TOKEN or TWILIO_API_KEY and TWILIO_API_SECRET, and TWILIO_REGION"
            ),
            CallTrouble::NotNow | CallTrouble::Wrong => format!("Twilio: {self}"),
        }
    }
}
