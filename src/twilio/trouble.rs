//! Failed calls, by what an operator can do about them.

use super::{CallError, Operation, failure, pause_cause};
use crate::message::{FailureClass, PauseCause};

/// A failed call, by what an operator can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallTrouble {
    /// Twilio, or a part of it, cannot be reached or does not answer.
    Unreachable,
    /// Twilio refuses the credentials.
    CredentialsRefused,
    /// Twilio did not process the call: try again.
    NotNow,
    /// Twilio refuses this call: the configuration or the campaign has an error.
    Wrong,
}

impl CallError {
    /// Classifies the error by what the operator can do.
    #[must_use]
    pub fn trouble(&self) -> CallTrouble {
        match self {
            Self::NotSent { .. } | Self::InDoubt { .. } => CallTrouble::Unreachable,
            Self::Closed(closed) if closed.is_away() => CallTrouble::Unreachable,
            Self::NotProcessed { .. } | Self::Closed(_) => CallTrouble::NotNow,
            Self::Rejected { status, .. } if *status == 401 || self.refuses_account() => {
                CallTrouble::CredentialsRefused
            }
            Self::Rejected { .. } => CallTrouble::Wrong,
            Self::Malformed { .. } => CallTrouble::Wrong,
        }
    }

    /// Whether Twilio refused the account. False if it refused only the campaign's sender or setup.
    fn refuses_account(&self) -> bool {
        let failure = failure(self, Operation::FetchConfiguration);
        let is_accounts = matches!(
            pause_cause(&failure),
            PauseCause::CredentialsRefused | PauseCause::AccountSuspended
        );
        failure.class == FailureClass::Halt && is_accounts
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
