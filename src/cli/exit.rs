//! The exit codes, and the exit code of each error.

use crate::campaign::{ApplyError, CampaignError, DiscoveryError};
use crate::config::ConfigError;
use crate::intake::{EnqueueError, ImportError, IntakeError};
use crate::ledger::LedgerError;
use crate::marks::MarkError;
use crate::message::{Failure, PauseCause};
use crate::operate::{OperateError, RunOutcome};
use crate::queue::QueueError;
use crate::service::ServiceError;
use crate::twilio::{CallError, CallTrouble, pause_cause};
use crate::worker::WorkError;

/// The exit code of the program. The numbers above 63 are from BSD's sysexits.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    Success = 0,
    /// A message ended dead or unknown.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The input has no usable row, or is refused as a whole; or there is no such message.
    Data = 65,
    /// The broker or Twilio is not reachable.
    Unavailable = 69,
    /// The command cannot run now: try again.
    TryAgain = 75,
    /// Twilio, the broker or the database refused the credentials.
    Refused = 77,
    /// The configuration, the campaign or the state cannot be used.
    Config = 78,
}

/// The text of `--help` about exit codes.
pub(super) const EXIT_CODES: &str = "\
Exit codes:
  0   done; also after SIGTERM, once the messages in flight have ended
  1   a message ended dead or unknown
  2   wrong usage
  65  no usable row, a file that is refused as a whole, or no such message
  69  the broker or Twilio is not reachable
  75  try again later: the ledger is unavailable or in use, or messages are open
  77  Twilio, the broker or the database refused the credentials
  78  the configuration, campaign or state cannot be used, or no such campaign";

/// An error for the operator, with the exit code of the program.
#[derive(Debug)]
pub struct Problem {
    pub code: ExitCode,
    pub text: String,
}

impl Problem {
    /// A problem with this exit code and this text.
    #[must_use]
    pub fn new(code: ExitCode, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
        }
    }
}

impl From<ConfigError> for Problem {
    fn from(error: ConfigError) -> Self {
        Self::new(ExitCode::Config, error.to_string())
    }
}

impl From<csv::Error> for Problem {
    fn from(error: csv::Error) -> Self {
        Self::new(ExitCode::Failed, error.to_string())
    }
}

impl From<CampaignError> for Problem {
    fn from(error: CampaignError) -> Self {
        Self::new(ExitCode::Config, error.to_string())
    }
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        let code = match &error {
            LedgerError::LoginRefused(_) => ExitCode::Refused,
            LedgerError::BoundElsewhere { .. }
            | LedgerError::Misconfigured(_)
            | LedgerError::Damaged(_)
            | LedgerError::Refused { .. }
            | LedgerError::Corrupt(_)
            | LedgerError::NoCampaign(_) => ExitCode::Config,
            LedgerError::Unavailable(_)
            | LedgerError::Hindered(_)
            | LedgerError::LeaseLost
            | LedgerError::Held(_) => ExitCode::TryAgain,
        };
        Self::new(code, error.to_string())
    }
}

impl From<QueueError> for Problem {
    fn from(error: QueueError) -> Self {
        let code = match &error {
            QueueError::Unreachable(_) | QueueError::Unreadable(_) | QueueError::InDoubt(_) => {
                ExitCode::Unavailable
            }
            QueueError::LoginRefused(_) => ExitCode::Refused,
            QueueError::BoundElsewhere { .. } | QueueError::Refused(_) => ExitCode::Config,
        };
        Self::new(code, error.to_string())
    }
}

impl From<CallError> for Problem {
    fn from(error: CallError) -> Self {
        let code = match error.trouble() {
            CallTrouble::Unreachable => ExitCode::Unavailable,
            CallTrouble::CredentialsRefused => ExitCode::Refused,
            CallTrouble::NotNow => ExitCode::TryAgain,
            CallTrouble::Wrong => ExitCode::Config,
        };
        Self::new(code, error.sentence())
    }
}

impl From<ApplyError> for Problem {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Discovery(DiscoveryError::Call(error)) => error.into(),
            error => Self::new(ExitCode::Config, error.to_string()),
        }
    }
}

impl From<IntakeError> for Problem {
    fn from(error: IntakeError) -> Self {
        let code = if error.is_data() {
            ExitCode::Data
        } else {
            ExitCode::Usage
        };
        Self::new(code, error.to_string())
    }
}

impl From<EnqueueError> for Problem {
    fn from(error: EnqueueError) -> Self {
        match error {
            EnqueueError::Ledger(error) => error.into(),
            EnqueueError::Queue(error) => error.into(),
        }
    }
}

impl From<ImportError> for Problem {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Intake(error) => error.into(),
            ImportError::Enqueue(error) => error.into(),
            error @ ImportError::Broken(_) => Self::new(ExitCode::Failed, error.to_string()),
            ImportError::Template(text) => Self::new(ExitCode::Config, text),
        }
    }
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Config(error) => error.into(),
            ServiceError::Ledger(error) => error.into(),
            ServiceError::Queue(error) => error.into(),
            error @ ServiceError::State { .. } => Self::new(ExitCode::Config, error.to_string()),
        }
    }
}

impl From<OperateError> for Problem {
    fn from(error: OperateError) -> Self {
        let code = match error {
            OperateError::Ledger(error) => return error.into(),
            OperateError::Queue(error) => return error.into(),
            OperateError::Import(error) => return error.into(),
            OperateError::Csv(error) => return error.into(),
            OperateError::NoSuchSender { .. } | OperateError::BackupRefused { .. } => {
                ExitCode::Usage
            }
            OperateError::NoMessage { .. }
            | OperateError::NoSuchMessage(_)
            | OperateError::NotUnknown(_)
            | OperateError::IdsShared { .. }
            | OperateError::TooManyRejected { .. } => ExitCode::Data,
            OperateError::NotOver { .. }
            | OperateError::ChangedMeanwhile(_)
            | OperateError::BackupFailed { .. } => ExitCode::TryAgain,
            OperateError::Misconfigured(_)
            | OperateError::NoCampaign { .. }
            | OperateError::WrongState { .. }
            | OperateError::TakesNothing(_)
            | OperateError::Converts { .. }
            | OperateError::TakesSenders { .. }
            | OperateError::Unreadable { .. }
            | OperateError::Irreplaceable { .. } => ExitCode::Config,
        };
        Self::new(code, error.to_string())
    }
}

/// The exit code of a command that could not read or write the marks.
impl From<MarkError> for Problem {
    fn from(error: MarkError) -> Self {
        match error {
            MarkError::NotOurs(_) | MarkError::NoChatService => {
                Self::new(ExitCode::Config, error.to_string())
            }
            MarkError::Ahead { .. } => Self::new(ExitCode::TryAgain, error.to_string()),
            MarkError::Twilio(error) => error.into(),
            MarkError::Ledger(error) => error.into(),
        }
    }
}

/// The exit code of a run with this outcome.
impl From<RunOutcome> for ExitCode {
    fn from(outcome: RunOutcome) -> Self {
        match outcome {
            RunOutcome::NothingAccepted => Self::Data,
            RunOutcome::Failed => Self::Failed,
            RunOutcome::Open => Self::TryAgain,
            RunOutcome::Done => Self::Success,
        }
    }
}

/// The exit code of an import. An input without a usable row is an error; single rejected rows are not.
pub(super) fn of_import(has_usable_rows: bool) -> ExitCode {
    match has_usable_rows {
        true => ExitCode::Success,
        false => ExitCode::Data,
    }
}

/// The exit code of a run whose campaign is paused. `cause` says why flexcast paused it; `None`: an operator paused
/// it.
pub(super) fn of_pause(cause: Option<PauseCause>) -> ExitCode {
    match cause {
        None => ExitCode::TryAgain,
        Some(PauseCause::CredentialsRefused | PauseCause::AccountSuspended) => ExitCode::Refused,
        Some(_) => ExitCode::Config,
    }
}

/// The problem of a run whose campaign flexcast has just paused.
pub(super) fn halted(failure: &Failure) -> Problem {
    let text = format!("the campaign was paused: {failure}");
    Problem::new(of_pause(Some(pause_cause(failure))), text)
}

impl From<WorkError> for Problem {
    fn from(error: WorkError) -> Self {
        match error {
            WorkError::Ledger(error) => error.into(),
            WorkError::Queue(error) => error.into(),
            WorkError::Enqueue(error) => error.into(),
            WorkError::StandsStill(text) => Self::new(ExitCode::TryAgain, text),
            error @ WorkError::Campaign(..) => Self::new(ExitCode::Config, error.to_string()),
        }
    }
}

impl From<std::io::Error> for Problem {
    fn from(error: std::io::Error) -> Self {
        Self::new(ExitCode::Failed, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refused_account_is_told_as_refused_credentials() {
        let problem = |status, code| {
            let message = String::new();
            Problem::from(CallError::Rejected {
                status,
                code,
                message,
            })
        };
        let table = [
            (401, None, ExitCode::Refused),
            (401, Some(20003), ExitCode::Refused),
            (403, None, ExitCode::Refused),
            (400, Some(20005), ExitCode::Refused),
            // A discontinued API, a sender that Twilio does not accept: other credentials do not help.
            (410, Some(20410), ExitCode::Config),
            (400, Some(80506), ExitCode::Config),
            (400, Some(80605), ExitCode::Config),
            (404, None, ExitCode::Config),
        ];
        for (status, code, expected) in table {
            assert_eq!(problem(status, code).code, expected, "{status} {code:?}");
        }
    }
}
