//! The observer of calls.

use std::fmt;
use std::time::Duration;

use crate::message::closed_list;
use crate::twilio::Operation;

/// The kind of a call's answer, which is a label in metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Answer {
    /// Success (2xx), also with a body that is not Twilio's.
    Success,
    /// Refused: any 4xx but 429.
    Refused,
    /// Too many requests.
    Throttled,
    /// A failure of Twilio or of a server on the way: 5xx, and 3xx, which Twilio's APIs never send.
    ServerError,
    /// No complete reply in time.
    Timeout,
    /// Not sent: there was no connection.
    Connect,
    /// The connection ended before the reply was complete.
    Reset,
}

closed_list!(Answer {
    Success => "2xx",
    Refused => "4xx",
    Throttled => "429",
    ServerError => "5xx",
    Timeout => "timeout",
    Connect => "connect",
    Reset => "reset",
});

impl Answer {
    /// The kind of an HTTP status.
    #[must_use]
    pub fn of_status(status: u16) -> Self {
        match status {
            200..=299 => Self::Success,
            429 => Self::Throttled,
            400..=499 => Self::Refused,
            _ => Self::ServerError,
        }
    }
}

/// Observes every call that left, after it has ended.
pub trait CallObserver: Send + Sync + fmt::Debug {
    /// `took` is the time from passing the gate to the last byte of the reply.
    fn called(&self, operation: Operation, answer: Answer, took: Duration);
}

/// The result of a call, as far as it shows whether its parts of Twilio are away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::twilio) enum Heard {
    /// Twilio answered, with any status but 5xx.
    Answer,
    /// Twilio answered with 5xx.
    ServerError,
    /// No answer came from Twilio.
    Nothing,
}

impl Heard {
    /// Derives the result from a reply's status and Twilio's error code. A 502, 503 or 504 without a code is the
    /// error page of a proxy.
    pub(in crate::twilio) fn of(status: Option<u16>, code: Option<u32>) -> Self {
        match (status, code) {
            (None, _) | (Some(502..=504), None) => Self::Nothing,
            (Some(500..), _) => Self::ServerError,
            _ => Self::Answer,
        }
    }
}
