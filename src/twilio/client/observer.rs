//! Whoever counts calls.

use std::fmt;
use std::time::Duration;

use crate::message::closed_list;
use crate::twilio::Operation;

/// How a call was answered: a label in metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Answer {
    /// Carried out. A body that is not what Twilio sends counts here too.
    Success,
    /// Refused: any 4xx but 429.
    Refused,
    /// Too many requests.
    Throttled,
    /// Twilio failed, or something on the way did: 5xx, and the 3xx that no API of Twilio's gives.
    ServerError,
    /// No whole reply in time.
    Timeout,
    /// Never sent: no connection.
    Connect,
    /// The connection ended before the whole reply.
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
    /// The answer that an HTTP status is.
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

/// Takes note of every call that left, once it is over.
pub trait CallObserver: Send + Sync + fmt::Debug {
    /// `took` runs from the gate's leave to the last byte of the reply.
    fn called(&self, operation: Operation, answer: Answer, took: Duration);
}

/// How a call went, as far as it tells whether its parts are away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::twilio) enum Heard {
    /// Twilio answered, whatever it said.
    Answer,
    /// Twilio answered with 5xx.
    ServerError,
    /// Nothing of Twilio's came back.
    Nothing,
}

impl Heard {
    /// By a reply's status and Twilio's error code. A 502, 503 or 504 without a code is a page of what stands before
    /// Twilio.
    pub(in crate::twilio) fn of(status: Option<u16>, code: Option<u32>) -> Self {
        match (status, code) {
            (None, _) | (Some(502..=504), None) => Self::Nothing,
            (Some(500..), _) => Self::ServerError,
            _ => Self::Answer,
        }
    }
}
