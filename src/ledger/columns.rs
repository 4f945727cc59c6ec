//! The representation of the ledger's types in columns, the same in both stores: times, words, JSON.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;
use serde::de::value::{Error as WordError, StrDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer};
use serde::{Deserialize, Serialize};

use crate::message::{CampaignId, Event, Failure, FailureClass, MessageId, WaitReason};

use super::{Ending, LedgerError, Result, Wake};

/// A deferral as both stores write it.
pub(super) struct Deferral<'a> {
    pub(super) reason: WaitReason,
    pub(super) due: Timestamp,
    pub(super) wake: Wake,
    /// The failure of the attempt before it, if there was one.
    pub(super) failure: Option<&'a Failure>,
    pub(super) uses_attempt: bool,
}

/// A time as a column stores it: ms since 1970.
pub(super) fn ms(at: Timestamp) -> i64 {
    at.as_millisecond()
}

/// A duration as a column stores it: ms.
pub(super) fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX / 2)
}

/// The time from one column to another: zero if it is negative.
pub(super) fn since(earlier: i64, later: i64) -> Duration {
    let millis = later.saturating_sub(earlier);
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

/// `wait` after `at`, or the maximum time. Rounded as a column stores it, so that no holder believes that its lease
/// lasts longer than its row says.
pub(super) fn later(at: Timestamp, wait: Duration) -> Timestamp {
    let later = at.checked_add(wait).unwrap_or(Timestamp::MAX);
    Timestamp::from_millisecond(ms(later)).unwrap_or(later)
}

/// Reads a stored time.
pub(super) fn time(ms: i64) -> Result<Timestamp> {
    Timestamp::from_millisecond(ms).map_err(|error| damaged("a time", &error))
}

/// Reads a value of a closed list.
pub(super) fn word<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T> {
    let word: StrDeserializer<'_, WordError> = text.into_deserializer();
    T::deserialize(word).map_err(|error| damaged(text, &error))
}

/// Writes a value as JSON. Its maps must have text keys, as all of the ledger's have.
pub(super) fn to_json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| damaged("a value to be written", &error))
}

/// Reads what [`to_json`] wrote.
pub(super) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T> {
    // The text is not shown: it contains phone numbers.
    serde_json::from_str(text).map_err(|error| damaged("stored JSON", &error))
}

/// Reads an event of a journal, of a row that was written at this time. The intention of a version before 0.2 has no time
/// of its own: its row has it.
pub(super) fn event(at: i64, text: &str) -> Result<Event> {
    Ok(match from_json(text)? {
        Event::Intended { step, at: None } => Event::Intended {
            step,
            at: Some(time(at)?),
        },
        event => event,
    })
}

pub(super) fn campaign_id(text: &str) -> Result<CampaignId> {
    CampaignId::parse(text).map_err(|error| damaged("a campaign id", &error))
}

pub(super) fn message_id(text: &str) -> Result<MessageId> {
    MessageId::parse(text).map_err(|error| damaged("a message id", &error))
}

/// Reads a count or a line number. It is never negative, because the ledger only adds to it.
pub(super) fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Writes a count.
pub(super) fn column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A text as both stores keep it. U+0000, which PostgreSQL cannot store, becomes U+FFFD.
pub(super) fn keepable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        text.replace('\0', "\u{fffd}").into()
    } else {
        text.into()
    }
}

fn damaged(what: &str, error: &dyn std::fmt::Display) -> LedgerError {
    LedgerError::Damaged(format!("{what}: {error}"))
}

/// The reason of a done message that another ledger had carried out.
pub(super) const ALREADY_SENT: &str = "already_sent";

/// The outcome and the reason that the table `outcomes` stores for an ending.
pub(super) fn outcome(ending: &Ending) -> (&'static str, Option<&'static str>) {
    match ending {
        Ending::Done {
            already_sent: false,
        } => ("done", None),
        Ending::Done { already_sent: true } => ("done", Some(ALREADY_SENT)),
        Ending::Skipped { reason, .. } => ("skipped", Some(reason.as_str())),
        Ending::Dead { reason, .. } => ("dead", Some(reason.as_str())),
        Ending::Unknown { reason, .. } => ("unknown", Some(reason.as_str())),
    }
}

/// Whether a message that waits for this reason, after this failure, ages until its next attempt: it waits for
/// that attempt only, and Twilio was not away.
pub(super) fn grows_older(reason: WaitReason, failure: Option<&Failure>) -> bool {
    let was_away = failure.is_some_and(|failure| failure.class == FailureClass::Away);
    reason == WaitReason::Retry && !was_away
}
