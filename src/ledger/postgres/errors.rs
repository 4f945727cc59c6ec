//! What PostgreSQL's errors mean to the ledger's users.

use std::borrow::Cow;

use deadpool_postgres::PoolError;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::ledger::LedgerError;
use crate::message::CampaignId;

impl From<Error> for LedgerError {
    /// By SQLSTATE (PostgreSQL's manual, appendix A): a refused login, a call that others were in the
    /// way of, a server that takes nothing now, and the rest, which can only be damage or a wrong
    /// database.
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
            // 25006 is a server that takes no writes now: a standby. 53100 is a full disk, 57P01 a
            // shutdown.
            Some("25" | "08" | "53" | "55" | "57" | "58") => Self::Unavailable(text),
            _ => Self::Damaged(text),
        }
    }
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
    if text.starts_with("error deserializing") || text.starts_with("invalid column") {
        LedgerError::Damaged(text)
    } else if text.starts_with("authentication error") || text.contains("password missing") {
        LedgerError::LoginRefused(text)
    } else {
        LedgerError::Unavailable(text)
    }
}

impl From<PoolError> for LedgerError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => error.into(),
            PoolError::Timeout(_) => {
                Self::Unavailable("no connection to the database came free in time".to_owned())
            }
            other => Self::Unavailable(other.to_string()),
        }
    }
}

/// Names the campaign when it is what a row refers to and does not find.
pub(super) fn in_campaign(id: &CampaignId) -> impl Fn(Error) -> LedgerError {
    move |error| match error.code() {
        Some(code) if *code == SqlState::FOREIGN_KEY_VIOLATION => {
            LedgerError::NoCampaign(id.clone())
        }
        _ => error.into(),
    }
}

/// A text as PostgreSQL can keep it: U+0000 is the one character that it has no place for.
pub(super) fn keepable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        text.replace('\0', "\u{fffd}").into()
    } else {
        text.into()
    }
}
