//! Each reply that reports a limit, compared with Twilio's documentation.

use std::time::Duration;

use super::super::classify;
use super::*;
use crate::twilio::CallError;

/// The effects of a reply, as one line.
#[derive(Debug, PartialEq, Eq)]
struct Does {
    limit: Option<Limit>,
    rest: Option<RestSpan>,
    again: TryAgain,
    uses_attempt: bool,
    ages: bool,
}

const SECOND: Duration = Duration::from_secs(1);

/// "back off exponentially" (20429); the SDKs begin with 100 ms. A minute is our own choice: Twilio names none.
const RATE: Option<RestSpan> = Some(RestSpan {
    first: Duration::from_millis(100),
    longest: Duration::from_secs(60),
});

/// The queue is ten hours long (21611): a minute makes room for some texts. The figures are our own choice.
const QUEUE: Option<RestSpan> = Some(RestSpan {
    first: Duration::from_secs(60),
    longest: Duration::from_secs(900),
});

fn does(operation: Operation, status: u16, code: Option<u32>, failed_before: u32) -> Does {
    let replied = Replied {
        operation,
        status,
        code,
        sends_text: operation.sends_text(),
    };
    let told = limit_told(&replied);
    let body = code.map_or_else(String::new, |code| format!(r#"{{"code":{code}}}"#));
    let reply = http::Response::builder().status(status);
    let reply = reply.body(bytes::Bytes::from(body)).expect("a response");
    let class = classify(&CallError::of_reply(&reply), operation);
    let retry = retry(class, code, failed_before).expect("it is tried again");
    Does {
        limit: told.map(|rule| rule.limit),
        rest: told.and_then(|rule| rule.rest),
        again: retry.again,
        uses_attempt: retry.uses_attempt,
        ages: retry.ages,
    }
}

/// A reply that was never processed: "always safe to retry", so that it costs no attempt.
const fn unprocessed(limit: Option<Limit>, rest: Option<RestSpan>) -> Does {
    Does {
        limit,
        rest,
        again: TryAgain::ByClass,
        uses_attempt: false,
        ages: true,
    }
}

/// A failure that costs an attempt and cools no lane.
const fn failed(again: TryAgain) -> Does {
    Does {
        limit: None,
        rest: None,
        again,
        uses_attempt: true,
        ages: true,
    }
}

/// The name of the case, the operation, the reply's status and code, and the expected effects.
type Case = (&'static str, Operation, u16, Option<u32>, Does);

const API: Operation = Operation::CreateConversation;
const TEXT: Operation = Operation::CreateConversationMessage;
const PROXY: Operation = Operation::CreateSession;

const ENDPOINT: Does = unprocessed(Some(Limit::Endpoint), RATE);
const FULL: Does = unprocessed(Some(Limit::SenderQueue), QUEUE);
const AT_ONCE: Does = unprocessed(Some(Limit::CallsAtOnce), None);
/// flexcast has no lane for it.
const UNCOUNTED: Does = unprocessed(None, None);
const BY_HOUR: Does = Does {
    again: TryAgain::Hourly,
    ..UNCOUNTED
};

/// Expected by Twilio's pages of the codes, its page on Proxy's limits, and its retry guidance.
#[rustfmt::skip]
const CASES: &[Case] = &[
    // "429 is never processed and is always safe to retry".
    ("a 429 without a code", API, 429, None, ENDPOINT),
    ("a 429 with a code of nobody's", API, 429, Some(99999), ENDPOINT),
    ("Flex's rate", Operation::CreateFlexChannel, 429, Some(45010), ENDPOINT),
    ("Interactions' rate", Operation::CreateInteraction, 429, Some(45780), ENDPOINT),
    ("Chat's rate", API, 429, Some(50063), ENDPOINT),
    ("the service's rate", API, 429, Some(50074), ENDPOINT),
    // "Your account is sending too many concurrent REST API requests".
    ("calls at once", API, 429, Some(20429), AT_ONCE),
    // Proxy: 30 a second for each endpoint and service; "429 beyond".
    ("Proxy's rate", PROXY, 429, Some(20429), ENDPOINT),
    // "create rejected, nothing queued"; it shows as 30001 from a Messaging Service.
    ("a full queue", TEXT, 400, Some(21611), FULL),
    ("a full queue as a 429", TEXT, 429, Some(21611), FULL),
    ("a full queue of a service", TEXT, 400, Some(30001), FULL),
    ("a full queue, told to another call", API, 400, Some(21611), UNCOUNTED),
    // 20422: never processed, safe to retry. It reports no limit.
    ("a 422", API, 422, Some(20422), UNCOUNTED),
    // 10DLC's and WhatsApp's rates and Twilio's count between two numbers.
    ("a campaign's rate", TEXT, 400, Some(30022), UNCOUNTED),
    ("the account's rate", TEXT, 400, Some(63017), UNCOUNTED),
    ("Meta's rate", TEXT, 400, Some(63119), UNCOUNTED),
    ("replies in 30 s", TEXT, 400, Some(14107), UNCOUNTED),
    // "not before 8 a.m. or after 9 p.m.": never sent.
    ("the hour", TEXT, 400, Some(30610), BY_HOUR),
    // "reset daily at midnight PT".
    ("a brand's cap", TEXT, 400, Some(30023), failed(TryAgain::MidnightPacific)),
    ("T-Mobile's cap", TEXT, 400, Some(30027), failed(TryAgain::MidnightPacific)),
    // "wait until 24 h have passed", in a window that slides.
    ("24 hours", TEXT, 400, Some(63038), failed(TryAgain::Hourly)),
    // "throttle first, day cap when it repeats".
    ("a WhatsApp sender's", TEXT, 400, Some(63018), failed(TryAgain::ByClass)),
    // "try again a few times".
    ("a 503", API, 503, Some(20503), failed(TryAgain::ByClass)),
];

#[test]
fn each_limit_does_what_twilio_says_of_it() {
    for (what, operation, status, code, expected) in CASES {
        assert_eq!(does(*operation, *status, *code, 0), *expected, "{what}");
    }
    let repeated = does(TEXT, 400, Some(63018), 1);
    assert_eq!(
        repeated,
        failed(TryAgain::Hourly),
        "the day's when it repeats"
    );
}

#[test]
fn what_did_not_leave_costs_neither_an_attempt_nor_age() {
    let retry = |class| retry(class, None, 0);
    let away = retry(FailureClass::Away).expect("it is tried again");
    assert_eq!((away.uses_attempt, away.ages), (false, false));
    assert_eq!(retry(FailureClass::Halt), None);
}

#[test]
fn a_refusal_that_is_not_believed_has_a_rule_that_rests() {
    for rule in LIMIT_RULES {
        let rests = rule.where_not_believed().and_then(|rule| rule.rest);
        assert!(
            rests.is_some_and(|rest| rest.first < rest.longest),
            "{rule:?}"
        );
    }
    let longest = limit_rule(Limit::SenderQueue).and_then(|rule| rule.rest);
    assert_eq!(longest.map(|rest| rest.longest), Some(900 * SECOND));
}
