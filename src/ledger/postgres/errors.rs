//! What PostgreSQL's errors mean to the ledger's users.

use deadpool_postgres::{HookError, PoolError};
use tokio_postgres::Error;

use crate::ledger::LedgerError;

impl From<Error> for LedgerError {
    /// By SQLSTATE (PostgreSQL's manual, appendix A): a refused login, a call that others were in the way of, a
    /// server that takes nothing now, a corrupt one. Of the rest a probe has to tell whose fault it is.
    fn from(error: Error) -> Self {
        let Some(refusal) = error.as_db_error() else {
            return without_state(&error);
        };
        let code = refusal.code().code();
        let text = format!("{} ({code})", refusal.message());
        match code.get(..2) {
            // Invalid authorization: 28P01 is a wrong password, 28000 a line of pg_hba.conf.
            Some("28") => Self::LoginRefused(text),
            // A deadlock, a lock that did not come free, a statement that was cancelled for its time:
            // a long look must not look like a lost store.
            _ if ["55P03", "57014"].contains(&code) => Self::Hindered(text),
            Some("40") => Self::Hindered(text),
            // data_corrupted and index_corrupted.
            _ if ["XX001", "XX002"].contains(&code) => Self::Corrupt(text),
            // A server that takes no writes now (a standby), and no such database: one that is made again may
            // come back.
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

/// Whether an error comes from a value that was to be written (a data exception, a constraint, a limit), so that
/// the connection that met it is as good as before.
pub(super) fn is_of_a_value(code: &str) -> bool {
    ["22", "23", "54"]
        .iter()
        .any(|class| code.starts_with(class))
}

/// An error that no server sent: the connection's, the client's own, or a value that cannot be read.
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
    // The library tells its kinds apart by their words alone.
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
                Self::Unavailable("no connection to the database came free in time".to_owned())
            }
            other => Self::Unavailable(other.to_string()),
        }
    }
}
