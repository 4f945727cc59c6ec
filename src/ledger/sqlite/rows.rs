//! How the ledger's types stand in columns: times, words, JSON; and what SQLite's errors mean.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::ErrorCode;
use serde::de::value::{Error as WordError, StrDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer};
use serde::{Deserialize, Serialize};

use crate::ledger::{LedgerError, Result};
use crate::message::{CampaignId, MessageId};

/// A time as the ledger keeps it.
pub(super) fn ms(at: Timestamp) -> i64 {
    at.as_millisecond()
}

/// `wait` after `at`, or the end of time: as it will be kept, so that no holder believes its lease
/// to last longer than its row says.
pub(super) fn later(at: Timestamp, wait: Duration) -> Timestamp {
    let later = at.checked_add(wait).unwrap_or(Timestamp::MAX);
    Timestamp::from_millisecond(ms(later)).unwrap_or(later)
}

/// A kept time.
pub(super) fn time(ms: i64) -> Result<Timestamp> {
    Timestamp::from_millisecond(ms).map_err(|error| damaged("a time", &error))
}

/// Reads a value of a closed list.
pub(super) fn word<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T> {
    let word: StrDeserializer<'_, WordError> = text.into_deserializer();
    T::deserialize(word).map_err(|error| damaged(text, &error))
}

/// Writes a value that has text keys only, as all of the ledger's have.
pub(super) fn to_json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| damaged("a value to be written", &error))
}

/// Reads what [`to_json`] wrote.
pub(super) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T> {
    // The text is not shown: it holds numbers.
    serde_json::from_str(text).map_err(|error| damaged("stored JSON", &error))
}

pub(super) fn campaign_id(text: &str) -> Result<CampaignId> {
    CampaignId::parse(text).map_err(|error| damaged("a campaign id", &error))
}

pub(super) fn message_id(text: &str) -> Result<MessageId> {
    MessageId::parse(text).map_err(|error| damaged("a message id", &error))
}

/// A count or a line; never negative, since the ledger only adds to them.
pub(super) fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A count for a column.
pub(super) fn column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn damaged(what: &str, error: &dyn std::fmt::Display) -> LedgerError {
    LedgerError::Damaged(format!("{what}: {error}"))
}

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
                | ErrorCode::Unknown,
            )
            | None => Self::Damaged(text),
            Some(_) => Self::Unavailable(text),
        }
    }
}
