//! What a reply does to limits and to its message, as two tables.
//!
//! In: a reply's status and code, and what was called; a failure's class and code. Out: the limit that the reply
//! tells of and how long it rests; when the message is tried again and what that costs it. Always: pure.

use std::time::Duration;

use super::row::{Limit, THROTTLED, TRANSIENT, TryAgain};
use super::table::known;
use crate::message::FailureClass;
use crate::twilio::{Operation, Product};

/// What a reply says, as far as it may tell of a limit.
#[derive(Clone, Copy, Debug)]
pub struct Replied {
    pub operation: Operation,
    /// The HTTP status.
    pub status: u16,
    /// Twilio's error code.
    pub code: Option<u32>,
    /// Whether the call sends a text for a sender that is known.
    pub sends_text: bool,
}

impl Replied {
    fn limit_of_code(&self) -> Option<Limit> {
        known(self.code?)?.limit
    }
}

/// How long nothing leaves under a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestSpan {
    /// The shortest rest, and without `Retry-After` the first of a row. Each refusal after it doubles the rest.
    pub first: Duration,
    /// The longest rest, also where Twilio asks for more.
    pub longest: Duration,
}

/// What a limit does when a reply tells of it.
#[derive(Debug)]
pub struct LimitRule {
    pub limit: Limit,
    /// The replies that tell of it, in words.
    pub replies: &'static str,
    tells: fn(&Replied) -> bool,
    /// What rests, in words.
    pub rests: &'static str,
    /// How long it rests; none: the account makes fewer calls at once instead.
    pub rest: Option<RestSpan>,
    /// The limit that is taken for it where the reply is not believed.
    pub otherwise: Option<Limit>,
    /// Twilio's words behind the rule.
    pub source: &'static str,
}

impl LimitRule {
    /// The rule that holds where a reply is not believed to be about a number of calls at once; else the same.
    #[must_use]
    pub fn where_not_believed(&'static self) -> Option<&'static Self> {
        match self.otherwise {
            Some(other) => limit_rule(other),
            None => Some(self),
        }
    }
}

/// The rules, in the order in which they are looked at: the first whose reply it is holds.
pub const LIMIT_RULES: &[LimitRule] = &[
    LimitRule {
        limit: Limit::SenderQueue,
        replies: "one of its codes, whatever the status, to a call that sends a text",
        tells: |replied| replied.sends_text && replied.limit_of_code() == Some(Limit::SenderQueue),
        rests: "the sender: no text of it leaves, and no message of it is begun",
        // The queue holds what the sender sends in ten hours and goes on being sent meanwhile: within a
        // minute it makes room for some messages, and even the longest rest, a fortieth of it, leaves the
        // sender busy. A call that comes sooner finds it as full.
        rest: Some(RestSpan {
            first: Duration::from_secs(60),
            longest: Duration::from_secs(15 * 60),
        }),
        otherwise: None,
        source: "the queue holds 10 hours of the sender's rate; the message was not queued",
    },
    LimitRule {
        limit: Limit::CallsAtOnce,
        replies: "429 with its code, but for Proxy, which answers its own rate with it",
        tells: |replied| {
            let is_proxys = replied.operation.endpoint().product == Product::Proxy;
            let is_named = replied.limit_of_code() == Some(Limit::CallsAtOnce);
            replied.status == 429 && is_named && !is_proxys
        },
        rests: "nothing; the account makes fewer calls at once",
        rest: None,
        otherwise: Some(Limit::Endpoint),
        source: "too many concurrent requests; the account's number is not published",
    },
    LimitRule {
        limit: Limit::Endpoint,
        replies: "any other 429, with or without a code",
        tells: |replied| replied.status == 429,
        rests: "the operation, on its service where Twilio counts by service",
        // Twilio's own libraries begin with 100 ms and double it. A single 429 among many replies says that
        // we came close, not that the operation is shut; one that is shut earns the longer rests within a few
        // calls. What would wait for longer than a minute is better deferred.
        rest: Some(RestSpan {
            first: Duration::from_millis(100),
            longest: Duration::from_secs(60),
        }),
        otherwise: None,
        source: "429 \"is never processed and is always safe to retry\"; back off exponentially",
    },
];

/// The limit that a reply tells of, and what that does; none: the reply tells of no limit that flexcast keeps a
/// lane for.
#[must_use]
pub fn limit_told(replied: &Replied) -> Option<&'static LimitRule> {
    LIMIT_RULES.iter().find(|rule| (rule.tells)(replied))
}

/// The rule of a limit.
fn limit_rule(limit: Limit) -> Option<&'static LimitRule> {
    LIMIT_RULES.iter().find(|rule| rule.limit == limit)
}

/// What another try costs a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryRule {
    pub class: FailureClass,
    /// Whether the failed attempt counts.
    pub uses_attempt: bool,
    /// Whether the message's age ends it.
    pub ages: bool,
    /// The failures of this class, in words.
    pub failures: &'static str,
    /// Twilio's words behind the rule.
    pub source: &'static str,
}

/// The classes of failures after which a message is tried again.
pub const RETRY_RULES: &[RetryRule] = &[
    RetryRule {
        class: THROTTLED,
        uses_attempt: false,
        ages: true,
        failures: "429, 422, or a code that says that nothing was processed",
        source: "429 and 422 are never processed and safe to retry",
    },
    RetryRule {
        class: TRANSIENT,
        uses_attempt: true,
        ages: true,
        failures: "another failure that may pass; no reply; 5xx",
        source: "503: try again a few times; 500: a POST may have been carried out",
    },
    RetryRule {
        class: FailureClass::Away,
        uses_attempt: false,
        ages: false,
        failures: "no connection, so that nothing left",
        source: "none: Twilio has no part in it",
    },
];

/// When a message is tried again, and what that costs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    pub again: TryAgain,
    /// Whether the failed attempt counts.
    pub uses_attempt: bool,
    /// Whether the message's age ends it.
    pub ages: bool,
}

/// What follows a failure of this class with this code for its message, of which so many attempts had failed before.
/// None where another try is of no use.
#[must_use]
pub fn retry(class: FailureClass, code: Option<u32>, failed_before: u32) -> Option<Retry> {
    let rule = RETRY_RULES.iter().find(|rule| rule.class == class)?;
    let again = match code
        .and_then(known)
        .map_or(TryAgain::ByClass, |row| row.again)
    {
        TryAgain::HourlyWhenRepeated if failed_before == 0 => TryAgain::ByClass,
        TryAgain::HourlyWhenRepeated => TryAgain::Hourly,
        again => again,
    };
    Some(Retry {
        again,
        uses_attempt: rule.uses_attempt,
        ages: rule.ages,
    })
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
