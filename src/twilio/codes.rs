//! What Twilio's error codes mean for a message: the table, and what follows from it.
//!
//! In: a [`CallError`]. Out: its [`FailureClass`], and for a code that says "there is something
//! already" a [`Conflict`]. Always: pure; a code that is not in the table is decided by its HTTP
//! status and logged. The reasons are from Twilio's error dictionary, in our own words.

use std::time::Duration;

use super::{CallError, Operation};
use crate::message::{DeadReason, Failure, FailureClass, SkipReason};

/// What stands in a call's way at Twilio: to be looked at before anything is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// The name is in use: look up by name, and adopt what is ours.
    NameTaken,
    /// What was to be added is there, or enough is: list, and adopt what is ours.
    AlreadyThere,
    /// The customer's address and our number are together elsewhere, or here from a call of ours
    /// whose reply was lost: look, and else the customer is busy.
    CustomerBusy,
    /// The container is closed, or what was to be added was deleted from it: a new generation.
    Gone,
}

/// What a code means.
struct Code {
    code: u32,
    class: FailureClass,
    conflict: Option<Conflict>,
}

const TRANSIENT: FailureClass = FailureClass::Transient;
const THROTTLED: FailureClass = FailureClass::Throttled;
const HALT: FailureClass = FailureClass::Halt;
const ADDRESS: FailureClass = FailureClass::Permanent(DeadReason::InvalidAddress);
const CONTENT: FailureClass = FailureClass::Permanent(DeadReason::InvalidContent);
const CONFIG: FailureClass = FailureClass::Permanent(DeadReason::Misconfigured);
const REJECTED: FailureClass = FailureClass::Permanent(DeadReason::Rejected);
const OPTED_OUT: FailureClass = FailureClass::Skip(SkipReason::OptedOut);
const BUSY: FailureClass = FailureClass::Skip(SkipReason::CustomerBusy);

const fn is(code: u32, class: FailureClass) -> Code {
    Code {
        code,
        class,
        conflict: None,
    }
}

/// A conflict that nobody resolved may pass: a name or place becomes free.
const fn meets(code: u32, conflict: Conflict) -> Code {
    let class = match conflict {
        Conflict::CustomerBusy => BUSY,
        Conflict::NameTaken | Conflict::AlreadyThere | Conflict::Gone => TRANSIENT,
    };
    Code {
        code,
        class,
        conflict: Some(conflict),
    }
}

/// Codes and their meaning, by product.
#[rustfmt::skip]
static CODES: &[Code] = &[
    // The account and the platform.
    is(20003, HALT),      // not authenticated, account suspended, or a key of another region
    is(20005, HALT),      // account not active
    is(30002, HALT),      // account suspended
    is(20001, REJECTED),  // a parameter is wrong
    is(20404, REJECTED),  // not found: where one looks it is an answer, elsewhere a wrong SID
    is(20409, TRANSIENT), // in a state in which it cannot be changed just now
    is(20410, CONFIG),    // this API is discontinued
    is(20422, THROTTLED), // never processed, safe to repeat
    is(20429, THROTTLED), // too many requests or too many at once
    is(20500, TRANSIENT), // server error
    is(20503, TRANSIENT), // service unavailable

    // Flex.
    is(45001, TRANSIENT), // server error
    is(45005, TRANSIENT), // downstream error
    meets(45007, Conflict::NameTaken), // conflicts with what there is
    is(45010, THROTTLED), // rate limit
    meets(45202, Conflict::NameTaken), // the resource exists
    is(45203, REJECTED),  // chat user not found
    is(45204, REJECTED),  // Flex channel not found
    is(45205, CONFIG),    // Flex Flow not found
    meets(45206, Conflict::AlreadyThere), // the chat user is a member; repeated requests do nothing
    is(45207, REJECTED),  // the chat user is in too many channels
    meets(45208, Conflict::NameTaken), // an active channel has this unique name
    is(45210, CONFIG),    // Flex Flow not created: attributes missing
    is(45211, CONFIG),    // the identity is reserved
    is(45212, CONFIG),    // Flex Flow not created: attributes collide
    is(45352, TRANSIENT), // Interactions: downstream error
    meets(45353, Conflict::AlreadyThere), // the Conversation has its Interaction channel already
    is(45356, TRANSIENT), // Interactions: internal error
    is(45361, TRANSIENT), // Interactions: downstream error
    is(45370, TRANSIENT), // Interactions: internal error
    is(45780, THROTTLED), // Interactions: rate limit

    // Chat and Conversations.
    is(50063, THROTTLED), // rate limit
    is(50074, THROTTLED), // too many changes of one channel
    meets(50214, Conflict::AlreadyThere), // the chat user is a member
    is(50300, REJECTED),  // channel not found
    is(50304, REJECTED),  // the attributes are not JSON
    meets(50307, Conflict::NameTaken), // a channel has this unique name
    is(50349, TRANSIENT), // the channel is being changed by somebody else
    meets(50353, Conflict::NameTaken), // a Conversation has this unique name
    is(50407, ADDRESS),   // the customer's address is not valid
    is(50408, CONFIG),    // our address is not valid
    is(50409, ADDRESS),   // the customer's address is our own
    meets(50416, Conflict::CustomerBusy), // both addresses are in an active Conversation
    meets(50433, Conflict::AlreadyThere), // the participant is there
    meets(50438, Conflict::CustomerBusy), // a group of these participants exists
    is(50449, TRANSIENT), // the Conversation is being changed by somebody else

    // Proxy.
    meets(80103, Conflict::AlreadyThere), // the participant is in the session
    is(80201, CONFIG),    // no number of ours that can call
    is(80202, CONFIG),    // no number of ours that can write
    is(80203, CONFIG),    // no number of ours in the country
    is(80205, CONFIG),    // the service has no numbers
    meets(80206, Conflict::CustomerBusy), // all numbers that match are in use by this customer
    is(80207, CONFIG),    // all numbers are reserved
    meets(80208, Conflict::CustomerBusy), // all numbers are in use by this customer
    is(80306, CONFIG),    // the chat service is not found
    is(80308, REJECTED),  // no session of this name: where one looks it is an answer
    is(80401, REJECTED),  // a SID is not valid
    meets(80402, Conflict::CustomerBusy), // the pair of addresses is in another session
    is(80403, REJECTED),  // a SID is not valid
    is(80404, ADDRESS),   // no valid number, or one that nobody can reach
    is(80405, REJECTED),  // a SID is not valid
    is(80406, REJECTED),  // a SID is not valid
    is(80407, REJECTED),  // a SID is not valid
    is(80408, REJECTED),  // a SID is not valid
    is(80409, REJECTED),  // a SID is not valid
    is(80501, TRANSIENT), // downstream error
    is(80502, TRANSIENT), // downstream error
    is(80504, TRANSIENT), // downstream error
    is(80505, CONFIG),    // the pool of numbers is set up wrongly
    is(80506, CONFIG),    // Proxy is closed to new customers
    meets(80603, Conflict::NameTaken), // a session has this unique name
    meets(80604, Conflict::CustomerBusy), // the pair of addresses is in another open session
    is(80605, CONFIG),    // our number is not in the service
    is(80606, CONFIG),    // the number is not ours
    meets(80607, Conflict::Gone), // the session is closed
    is(80608, REJECTED),  // no such change of a session's status
    meets(80609, Conflict::AlreadyThere), // the session has its two participants
    is(80610, REJECTED),  // the SIDs do not belong together
    meets(80612, Conflict::Gone), // was in the session and was deleted: cannot come back
    is(80613, REJECTED),  // the service behind refused
    is(80614, REJECTED),  // a message came in and nobody is there to take it
    is(80616, CONFIG),    // an address of this kind cannot be in a session of this mode
    is(80617, CONFIG),    // Flex is set up wrongly
    is(80618, CONFIG),    // the chat integration is set up wrongly
    is(80619, CONFIG),    // the chat channel lacks attributes
    is(80620, CONFIG),    // the chat integration is set up wrongly
    is(80622, CONFIG),    // the pool of numbers is full
    is(80623, TRANSIENT), // another participant of this address is being created
    is(80624, CONFIG),    // the pool of numbers is nearly full
    is(80801, REJECTED),  // opening it again would conflict
    is(80802, TRANSIENT), // another participant of this address is being created
    is(80901, OPTED_OUT), // a stop word

    // Messages.
    is(14107, THROTTLED), // too many messages between two numbers within 30 s
    is(21211, ADDRESS),   // no valid number
    is(21217, ADDRESS),   // no valid number
    is(21408, CONFIG),    // the account may not write to this country
    is(21602, CONTENT),   // no text
    is(21603, CONFIG),    // no sender
    is(21606, CONFIG),    // the sender is not ours or cannot write
    is(21610, OPTED_OUT), // the customer told Twilio to stop
    is(21611, THROTTLED), // the sender's queue is full: nothing was queued
    is(21612, ADDRESS),   // cannot be reached from this sender
    is(21614, ADDRESS),   // no mobile number
    is(21617, CONTENT),   // longer than 1600 characters
    is(21650, CONTENT), is(21651, CONTENT), is(21652, CONTENT), is(21653, CONTENT),
    is(21654, CONTENT), is(21655, CONTENT), is(21656, CONTENT), is(21657, CONTENT),
    is(21658, CONTENT), is(21659, CONTENT), // templates and their variables
    is(21703, CONFIG),    // the messaging service has no sender
    is(30001, TRANSIENT), // the queue ran over
    is(30003, TRANSIENT), // cannot be reached now
    is(30004, REJECTED),  // blocked
    is(30005, ADDRESS),   // nobody there
    is(30006, ADDRESS),   // a landline, or a carrier that takes no messages
    is(30007, REJECTED),  // filtered
    is(30008, TRANSIENT), // failed, and nobody knows why
    is(30017, TRANSIENT), // the carrier's network is full
    is(30022, THROTTLED), // the registered campaign's rate (10DLC)
    is(30023, TRANSIENT), // the registered brand's daily cap
    is(30027, TRANSIENT), // the carrier's daily cap
    is(30032, CONFIG),    // the toll-free sender is not verified
    is(30034, CONFIG),    // the sender is not registered (10DLC)
    is(30410, TRANSIENT), // the provider behind did not answer in time
    is(30450, REJECTED),  // taken for fraud

    // WhatsApp.
    is(63003, ADDRESS),   // no valid receiver
    is(63007, HALT),      // no such sender
    is(63016, CONTENT),   // outside the 24-hour window only templates go
    is(63017, THROTTLED), // the account's rate over all senders
    is(63018, TRANSIENT), // the sender's daily limit
    is(63020, HALT),      // the business account has not accepted
    is(63024, ADDRESS),   // no valid receiver
    is(63033, REJECTED),  // the receiver is blocked
    is(63038, TRANSIENT), // the account's daily limit
    is(63051, HALT),      // the business account is locked
];

/// Caps that stand for the rest of a day: asking again at once is of no use.
const DAILY_CAPS: [u32; 4] = [30023, 30027, 63018, 63038];

/// How long to wait after a daily cap: it lifts within 24 hours, and nobody says when.
const DAILY_CAP_WAIT: Duration = Duration::from_secs(3_600);

/// Codes of a look-up that found nothing.
const NOT_FOUND: [u32; 5] = [20404, 45204, 50300, 50350, 80308];

fn known(code: u32) -> Option<&'static Code> {
    CODES.iter().find(|known| known.code == code)
}

/// What kind of failure a call's error is.
///
/// In doubt and not sent are transient: whether a call in doubt may be repeated is not decided by
/// its class. A conflict's class is what it is when nobody resolves it.
#[must_use]
pub fn classify(error: &CallError, operation: Operation) -> FailureClass {
    let (status, code) = match error {
        CallError::Closed(_) | CallError::NotSent { .. } | CallError::InDoubt { .. } => {
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
            "an error code of Twilio's that is not in the table: decided by its HTTP status"
        );
    }
    class
}

fn by_status(status: u16, code: Option<u32>) -> FailureClass {
    match (status, code) {
        (401, _) => HALT,
        // A product's own code with 403 is about one resource (chat's counters say so): the codes
        // of the platform, and a 403 without a code, are about the account.
        (403, None | Some(20_000..=20_999)) => HALT,
        (409, _) => TRANSIENT,
        (422, None) => THROTTLED,
        // A code of its own: it may as well be the request that is wrong. Attempts are counted.
        (422, Some(_)) => TRANSIENT,
        (407 | 410, _) => CONFIG,
        _ => REJECTED,
    }
}

/// What stands in a call's way, if the code says so.
#[must_use]
pub fn conflict(code: u32) -> Option<Conflict> {
    known(code)?.conflict
}

/// Whether Twilio said that there is no such thing. Not when the reply was somebody else's.
#[must_use]
pub fn is_missing(error: &CallError) -> bool {
    match error {
        CallError::Rejected { status: 404, .. } => true,
        CallError::Rejected { code, .. } => code.is_some_and(|code| NOT_FOUND.contains(&code)),
        _ => false,
    }
}

/// The error as the failure that policy decides on.
#[must_use]
pub fn failure(error: &CallError, operation: Operation) -> Failure {
    let capped = error.code().is_some_and(|code| DAILY_CAPS.contains(&code));
    Failure {
        code: error.code(),
        status: error.status(),
        retry_after: error
            .retry_after()
            .or_else(|| capped.then_some(DAILY_CAP_WAIT)),
        ..Failure::new(
            classify(error, operation),
            format!("{operation}: {}", said(error)),
        )
    }
}

/// What happened without status and code, which a failure has in fields of their own.
fn said(error: &CallError) -> String {
    match error {
        CallError::Closed(closed) => closed.to_string(),
        CallError::NotSent { detail } => format!("not sent: {detail}"),
        CallError::NotProcessed { message, .. } => format!("not processed: {message}"),
        CallError::Rejected { message, .. } => format!("refused: {message}"),
        CallError::InDoubt { detail, .. } => format!("in doubt: {detail}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn every_code_stands_in_the_table_once() {
        for (at, code) in CODES.iter().enumerate() {
            let again = CODES[at + 1..].iter().any(|other| other.code == code.code);
            assert!(!again, "{} is there twice", code.code);
        }
    }

    #[test]
    fn the_code_decides_whatever_the_status_is() {
        assert_eq!(class(400, Some(20003)), HALT);
        assert_eq!(class(404, Some(20003)), HALT);
        assert_eq!(class(400, Some(21610)), OPTED_OUT);
        assert_eq!(class(403, Some(80604)), BUSY);
        assert_eq!(class(409, Some(80623)), TRANSIENT);
        assert_eq!(class(400, Some(80404)), ADDRESS);
        assert_eq!(class(400, Some(63016)), CONTENT);
        assert_eq!(class(400, Some(80202)), CONFIG);
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
        assert_eq!(failure.retry_after, Some(DAILY_CAP_WAIT));
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
