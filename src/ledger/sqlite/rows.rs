//! What SQLite's errors mean.

use rusqlite::ErrorCode;

use crate::ledger::LedgerError;
use crate::message::CampaignId;

/// Names the campaign when it is what a row refers to and does not find.
pub(super) fn in_campaign(id: &CampaignId) -> impl Fn(rusqlite::Error) -> LedgerError {
    move |error| match error.sqlite_error() {
        Some(code) if code.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY => {
            LedgerError::NoCampaign(id.clone())
        }
        _ => error.into(),
    }
}

impl From<rusqlite::Error> for LedgerError {
    /// What cannot be read is damaged; everything else (full, read-only, busy, broken disk) may pass.
    fn from(error: rusqlite::Error) -> Self {
        let text = error.to_string();
        match error.sqlite_error_code() {
            Some(
                ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::SchemaChanged
                | ErrorCode::ConstraintViolation
                | ErrorCode::TypeMismatch
                | ErrorCode::TooBig
                | ErrorCode::ApiMisuse
                | ErrorCode::ParameterOutOfRange
                | ErrorCode::Unknown,
            )
            | None => Self::Damaged(text),
            Some(_) => Self::Unavailable(text),
        }
    }
}
