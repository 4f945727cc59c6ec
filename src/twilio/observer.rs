//! Whoever counts calls.

use std::fmt;
use std::time::Duration;

use super::Operation;
use crate::message::closed_list;

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
