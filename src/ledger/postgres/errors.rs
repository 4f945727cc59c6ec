//! What PostgreSQL's errors mean for the ledger.

use deadpool_postgres::{HookError, PoolError};
use tokio_postgres::Error;

use crate::ledger::LedgerError;

impl From<Error> for LedgerError {
    /// By SQLSTATE (PostgreSQL's manual, appendix A): a refused login, a call that other calls blocked, a server that
    /// accepts nothing now, a corrupt server. For the rest a probe must find the cause.
    fn from(error: Error) -> Self {
        let Some(refusal) = error.as_db_error() else {
            return without_state(&error);
        };
        let code = refusal.code().code();
        let text = format!("{} ({code})", refusal.message());
        match code.get(..2) {
            // Invalid authorization: 28P01 is a wrong password, 28000 a line of pg_hba.conf.
            Some("28") => Self::LoginRefused(text),
            // A deadlock, a lock that was not free in time, a statement that was cancelled for its time: a slow read
            // must not count as a lost store.
            _ if ["55P03", "57014"].contains(&code) => Self::Hindered(text),
            Some("40") => Self::Hindered(text),
            // data_corrupted and index_corrupted.
            _ if ["XX001", "XX002"].contains(&code) => Self::Corrupt(text),
            // A server that accepts no writes now (a standby), and a missing database, which may be created again.
            _ if ["25006", "3D000"].contains(&code) => Self::Unavailable(text),
            // 53100 is a full disk, 57P01 a shutdown.
            Some("08" | "53" | "57" | "58") => Self::Unavailable(text),
            _ => Self::Refused {
                code: code.to_owned(),
                text: refusal.message().to_owned(),
            },
        }
    }
}

/// Whether an error comes from a value that was to be written (a data exception, a constraint, a limit). Then the
/// connection remains usable.
pub(super) fn is_of_a_value(code: &str) -> bool {
    ["22", "23", "54"]
        .iter()
        .any(|class| code.starts_with(class))
}

/// An error that no server sent: of the connection, of the client library, or of a value that cannot be read.
fn without_state(error: &Error) -> LedgerError {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    // The library distinguishes its kinds of errors by their text alone.
    if [
        "error deserializing",
        "error serializing",
        "invalid column",
        "query returned",
    ]
    .iter()
    .any(|words| text.starts_with(words))
    {
        let code = "client".to_owned();
        LedgerError::Refused { code, text }
    } else if text.starts_with("authentication error") || text.contains("password missing") {
        LedgerError::LoginRefused(text)
    } else {
        LedgerError::Unavailable(text)
    }
}

impl From<PoolError> for LedgerError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
                error.into()
            }
            PoolError::PostCreateHook(HookError::Message(text)) => {
                Self::Unavailable(text.into_owned())
            }
            PoolError::Timeout(_) => {
                Self::Unavailable("no connection to the database became free in time".to_owned())
            }
            other => Self::Unavailable(other.to_string()),
        }
    }
}
