//! The effect of a reply on limits and on the retry of its message, as two tables.
//!
//! In: a reply's status, code and operation; a failure's class and code. Out: the limit that the reply reports, and
//! its cool-down; the time of the message's next attempt, and whether the failed one counts. Always: pure.

use std::time::Duration;

use super::row::{Limit, THROTTLED, TRANSIENT, TryAgain};
use super::table::known;
use crate::message::FailureClass;
use crate::twilio::{Operation, Product};

/// The facts of a reply that can report a limit.
#[derive(Clone, Copy, Debug)]
pub struct Replied {
    pub operation: Operation,
    /// The HTTP status.
    pub status: u16,
    /// Twilio's error code.
    pub code: Option<u32>,
    /// Whether the call sends a text from a known sender.
    pub sends_text: bool,
}

impl Replied {
    fn limit_of_code(&self) -> Option<Limit> {
        known(self.code?)?.limit
    }
}

/// The length of a limit's cool-down, during which no call of the limit leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestSpan {
    /// The shortest cool-down, and without `Retry-After` the first one of a series. Each further refusal doubles it.
    pub first: Duration,
    /// The longest cool-down, even if Twilio asks for more.
    pub longest: Duration,
}

/// The rule of a limit that a reply reports.
#[derive(Debug)]
pub struct LimitRule {
    pub limit: Limit,
    /// The replies that report it, in words.
    pub replies: &'static str,
    tells: fn(&Replied) -> bool,
    /// What the cool-down stops, in words.
    pub rests: &'static str,
    /// The length of the cool-down. `None`: instead, the account makes fewer concurrent calls.
    pub rest: Option<RestSpan>,
    /// The limit that is assumed instead if the reply is not believed.
    pub otherwise: Option<Limit>,
    /// The text of Twilio that the rule follows.
    pub source: &'static str,
}

impl LimitRule {
    /// The rule for a reply that is not believed to be about concurrent calls; otherwise the same rule.
    #[must_use]
    pub fn where_not_believed(&'static self) -> Option<&'static Self> {
        match self.otherwise {
            Some(other) => limit_rule(other),
            None => Some(self),
        }
    }
}

/// The rules, in the order in which they are tried: the first that matches the reply holds.
pub const LIMIT_RULES: &[LimitRule] = &[
    LimitRule {
        limit: Limit::SenderQueue,
        replies: "one of its codes, whatever the status, to a call that sends a text",
        tells: |replied| replied.sends_text && replied.limit_of_code() == Some(Limit::SenderQueue),
        rests: "the sender: no text of it leaves, and no message of it is begun",
        // The queue has the messages that the sender sends in ten hours. Within a minute it gets room for some
        // messages; even after the longest cool-down, a fortieth of ten hours, the sender is still busy. After a
        // shorter time the queue is as full as before.
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
        // Twilio's libraries begin with 100 ms and double it. A single 429 among many replies means that the rate is
        // close to the limit, not that the operation is blocked; a blocked operation gets the longer cool-downs
        // within a few calls. A message that would wait for more than a minute is better scheduled.
        rest: Some(RestSpan {
            first: Duration::from_millis(100),
            longest: Duration::from_secs(60),
        }),
        otherwise: None,
        source: "429 \"is never processed and is always safe to retry\"; back off exponentially",
    },
];

/// The rule of the limit that a reply reports. `None`: the reply reports no limit that flexcast has a lane for.
#[must_use]
pub fn limit_told(replied: &Replied) -> Option<&'static LimitRule> {
    LIMIT_RULES.iter().find(|rule| (rule.tells)(replied))
}

/// The rule of a limit.
fn limit_rule(limit: Limit) -> Option<&'static LimitRule> {
    LIMIT_RULES.iter().find(|rule| rule.limit == limit)
}

/// The rule of a retry: whether the failed attempt counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryRule {
    pub class: FailureClass,
    /// Whether the failed attempt counts.
    pub uses_attempt: bool,
    /// Whether the message's age limits the retries.
    pub ages: bool,
    /// The failures of this class, in words.
    pub failures: &'static str,
    /// The text of Twilio that the rule follows.
    pub source: &'static str,
}

/// The classes of failures that are retried.
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

/// The retry of a message: its time, and whether the failed attempt counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    pub again: TryAgain,
    /// Whether the failed attempt counts.
    pub uses_attempt: bool,
    /// Whether the message's age limits the retries.
    pub ages: bool,
}

/// The retry after a failure of this class with this code. `failed_before` is the number of earlier failed attempts
/// of the message. `None` if a retry is useless.
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
