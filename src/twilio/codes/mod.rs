//! What Twilio's errors mean: one table of error codes, and the functions that read it.
//!
//! In: a [`CallError`], a code, a reply. Out: its [`FailureClass`], its [`Conflict`], the limit that it reports, the
//! time of the retry. Always: pure; a code that is not in the table is classified by its HTTP status and logged.

mod limits;
mod row;
mod table;

pub use limits::{
    LIMIT_RULES, LimitRule, RETRY_RULES, Replied, RestSpan, Retry, RetryRule, limit_told, retry,
};
pub use row::{Conflict, ErrorCode, Limit, TryAgain};
pub use table::{CODES, known};

use super::{CallError, Operation};
use crate::message::{Failure, FailureClass, PauseCause};
use row::{CONFIG, HALT, REJECTED, THROTTLED, TRANSIENT};

/// Classifies the error of a call.
///
/// A call in doubt is transient: its class does not decide whether it may be repeated. The class of a conflict holds
/// if the conflict is not resolved.
#[must_use]
pub fn classify(error: &CallError, operation: Operation) -> FailureClass {
    let (status, code) = match error {
        // The call was not sent, so that the error is not about the message.
        CallError::NotSent { .. } => return FailureClass::Away,
        CallError::Closed(_) | CallError::Malformed { .. } | CallError::InDoubt { .. } => {
            return TRANSIENT;
        }
        CallError::NotProcessed { status: 429, .. } => return THROTTLED,
        CallError::NotProcessed { status, code, .. } | CallError::Rejected { status, code, .. } => {
            (*status, *code)
        }
    };
    if let Some(known) = code.and_then(known) {
        return known.class;
    }
    let class = by_status(status, code);
    if let Some(code) = code {
        tracing::warn!(
            twilio.operation = operation.as_str(),
            twilio.status = status,
            twilio.code = code,
            ?class,
            "this error code of Twilio is not in flexcast's table: it is classified by its HTTP status"
        );
    }
    class
}

fn by_status(status: u16, code: Option<u32>) -> FailureClass {
    match (status, code) {
        (401, _) => HALT,
        // A product's own code with 403 is about one resource (as in Chat's codes); a code of the platform, and a 403
        // without a code, are about the account.
        (403, None | Some(20_000..=20_999)) => HALT,
        (409, _) => TRANSIENT,
        (422, None) => THROTTLED,
        // An unknown code: the request itself may be wrong, so that attempts count.
        (422, Some(_)) => TRANSIENT,
        (407 | 410, _) => CONFIG,
        _ => REJECTED,
    }
}

/// The cause of a [`FailureClass::Halt`], for which the campaign is paused.
#[must_use]
pub fn pause_cause(failure: &Failure) -> PauseCause {
    let told = failure.code.and_then(known).and_then(|code| code.pauses);
    told.unwrap_or(PauseCause::CredentialsRefused)
}

/// Whether Twilio refused the login itself: every call with these credentials fails.
#[must_use]
pub fn is_login_refused(error: &CallError) -> bool {
    let is_accounts = |code| {
        let cause = known(code).and_then(|code| code.pauses);
        matches!(
            cause,
            Some(PauseCause::CredentialsRefused | PauseCause::AccountSuspended)
        )
    };
    match error {
        CallError::Rejected { status, code, .. } => *status == 401 || code.is_some_and(is_accounts),
        _ => false,
    }
}

/// The conflict that a code reports, if it reports one.
#[must_use]
pub fn conflict(code: u32) -> Option<Conflict> {
    known(code)?.conflict
}

/// Whether Twilio replied that the resource does not exist. False if the reply is not Twilio's.
#[must_use]
pub fn is_missing(error: &CallError) -> bool {
    match error {
        CallError::Rejected { status: 404, .. } => true,
        CallError::Rejected { code, .. } => code.and_then(conflict) == Some(Conflict::Missing),
        _ => false,
    }
}

/// The error as a failure, for the retry policy.
#[must_use]
pub fn failure(error: &CallError, operation: Operation) -> Failure {
    Failure {
        code: error.code(),
        status: error.status(),
        retry_after: error.retry_after(),
        ..Failure::new(
            classify(error, operation),
            format!("{operation}: {}", said(error)),
        )
    }
}

/// The text of the error without status and code, which are fields of a failure.
fn said(error: &CallError) -> String {
    match error {
        CallError::Closed(closed) => closed.to_string(),
        CallError::Malformed { detail } | CallError::NotSent { detail } => {
            format!("not sent: {detail}")
        }
        CallError::NotProcessed { message, .. } => format!("not processed: {message}"),
        CallError::Rejected { message, .. } => format!("refused: {message}"),
        CallError::InDoubt { detail, .. } => format!("in doubt: {detail}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::message::{DeadReason, SkipReason};

    fn rejected(status: u16, code: Option<u32>) -> CallError {
        CallError::Rejected {
            status,
            code,
            message: "no".to_owned(),
        }
    }

    fn class(status: u16, code: Option<u32>) -> FailureClass {
        classify(&rejected(status, code), Operation::CreateSession)
    }

    #[test]
    fn the_code_decides_whatever_the_status_is() {
        assert_eq!(class(400, Some(20003)), HALT);
        assert_eq!(class(404, Some(20003)), HALT);
        assert_eq!(
            class(400, Some(21610)),
            FailureClass::Skip(SkipReason::OptedOut)
        );
        assert_eq!(
            class(403, Some(80604)),
            FailureClass::Skip(SkipReason::CustomerBusy)
        );
        assert_eq!(class(409, Some(80623)), TRANSIENT);
        assert_eq!(
            class(400, Some(80404)),
            FailureClass::Permanent(DeadReason::InvalidAddress)
        );
        assert_eq!(
            class(400, Some(63016)),
            FailureClass::Permanent(DeadReason::InvalidContent)
        );
        assert_eq!(class(400, Some(80202)), CONFIG);
    }

    /// The pages of 21650 to 21659 in Twilio's error dictionary: half of them are about the sender.
    #[test]
    fn codes_about_the_sender_are_not_about_the_content() {
        let class = |code| class(400, Some(code));
        assert_eq!([21650, 21651, 21657, 21659].map(class), [CONFIG; 4]);
        assert_eq!(class(21653), REJECTED);
        let content = FailureClass::Permanent(DeadReason::InvalidContent);
        let codes = [21652, 21654, 21655, 21656, 21658];
        assert_eq!(codes.map(class), [content; 5]);
    }

    #[test]
    fn an_unknown_code_is_decided_by_its_status() {
        let table = [
            (400, Some(99999), REJECTED),
            (400, None, REJECTED),
            (401, Some(99999), HALT),
            (403, None, HALT),
            (403, Some(20006), HALT),
            (403, Some(50999), REJECTED),
            (404, None, REJECTED),
            (409, None, TRANSIENT),
        ];
        for (status, code, expected) in table {
            assert_eq!(class(status, code), expected, "{status} {code:?}");
        }
    }

    #[test]
    fn what_was_not_processed_is_throttled_unless_the_request_may_be_wrong() {
        let not_processed = |status, code| {
            let error = CallError::NotProcessed {
                status,
                code,
                retry_after: Some(Duration::from_secs(2)),
                message: String::new(),
            };
            classify(&error, Operation::CreateSession)
        };
        assert_eq!(not_processed(429, None), THROTTLED);
        assert_eq!(not_processed(429, Some(99999)), THROTTLED);
        assert_eq!(not_processed(422, Some(20422)), THROTTLED);
        assert_eq!(not_processed(422, Some(99999)), TRANSIENT);
    }

    #[test]
    fn conflicts_say_what_to_look_at() {
        let table = [
            (80603, Some(Conflict::NameTaken)),
            (45353, Some(Conflict::AlreadyThere)),
            (50416, Some(Conflict::CustomerBusy)),
            (80607, Some(Conflict::Gone)),
            (50377, Some(Conflict::Closed)),
            (20409, Some(Conflict::WrongState)),
            (80308, Some(Conflict::Missing)),
            (50350, Some(Conflict::Missing)),
            (50404, Some(Conflict::AlreadyThere)),
            // Its page: "User conversation limit exceeded".
            (50214, None),
            (21610, None),
            (99999, None),
        ];
        for (code, expected) in table {
            assert_eq!(conflict(code), expected, "{code}");
        }
    }

    #[test]
    fn a_failure_keeps_the_facts_and_says_each_once() {
        let failure = failure(
            &rejected(400, Some(63018)),
            Operation::CreateConversationMessage,
        );
        assert_eq!((failure.status, failure.code), (Some(400), Some(63018)));
        assert_eq!(failure.retry_after, None);
        assert_eq!(
            failure.to_string(),
            "create_conversation_message: refused: no (HTTP 400, Twilio error 63018)"
        );
    }

    #[test]
    fn only_twilio_can_say_that_something_is_missing() {
        assert!(is_missing(&rejected(404, None)));
        assert!(is_missing(&rejected(400, Some(80308))));
        assert!(!is_missing(&rejected(400, Some(80404))));
        let elsewhere = CallError::InDoubt {
            detail: String::new(),
            status: Some(404),
            code: None,
            retry_after: None,
        };
        assert!(!is_missing(&elsewhere));
    }
}
