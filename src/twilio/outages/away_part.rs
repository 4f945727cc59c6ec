//! The parts of Twilio that can be away, and their names for operators.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::message::closed_list;
use crate::twilio::{Operation, Product};

/// A part of Twilio that can be away by itself: a product, or one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TwilioPart {
    Product(Product),
    Operation(Operation),
}

impl TwilioPart {
    /// Its name for operators.
    pub(in crate::twilio) fn name(self) -> &'static str {
        match self {
            Self::Product(product) => product.as_str(),
            Self::Operation(operation) => operation.as_str(),
        }
    }

    /// Its product.
    pub(in crate::twilio) fn product(self) -> Product {
        match self {
            Self::Product(product) => product,
            Self::Operation(operation) => operation.endpoint().product,
        }
    }
}

/// Why a part is regarded as away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AwayCause {
    /// No connection, no reply, or the error page of a proxy.
    Unreachable,
    /// Twilio's own 5xx.
    ServerErrors,
}

impl AwayCause {
    /// What such a part does, for a sentence whose subject it is.
    pub(super) fn verb(self) -> &'static str {
        match self {
            Self::Unreachable => "cannot be reached",
            Self::ServerErrors => "answers with server errors",
        }
    }
}

closed_list!(AwayCause {
    Unreachable => "unreachable",
    ServerErrors => "server_errors",
});

/// A part that is away, for `status`, `/readyz` and the metrics.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AwayPart {
    /// The product, as in the name of its host.
    pub product: String,
    /// The operation, if the other operations of the product work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// `unreachable` or `server_errors`.
    pub cause: String,
    /// To the second.
    pub since: Timestamp,
}

impl fmt::Display for AwayPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.cause == AwayCause::Unreachable.as_str() {
            true => AwayCause::Unreachable.verb(),
            false => AwayCause::ServerErrors.verb(),
        };
        let since = self.since.strftime("%Y-%m-%d %H:%M:%S UTC");
        write!(f, "{} {how} since {since}", self.name())
    }
}

/// Follows the parts that are away, for a reader who wants each change once.
#[derive(Debug, Default)]
pub struct AwayNews {
    known: Vec<AwayPart>,
}

impl AwayNews {
    /// A sentence for each part that has gone away, and for each that is back, since the last call.
    pub fn news(&mut self, away: Vec<AwayPart>) -> Vec<String> {
        let is_among = |parts: &[AwayPart], one: &AwayPart| {
            let is_same = |other: &AwayPart| {
                (&other.product, &other.operation) == (&one.product, &one.operation)
            };
            parts.iter().any(is_same)
        };
        let gone = away.iter().filter(|one| !is_among(&self.known, one));
        let gone = gone.map(|one| {
            format!(
                "Twilio is away: {one}. No message that needs it is started or loses an attempt. The run \
                 continues by itself when it is back."
            )
        });
        let back = self.known.iter().filter(|one| !is_among(&away, one));
        let back = back.map(|one| format!("Twilio is back: {}.", one.name()));
        let news = gone.chain(back).collect();
        self.known = away;
        news
    }
}

impl AwayPart {
    /// Its operation, if the other operations of its product work, and its product.
    fn name(&self) -> String {
        match &self.operation {
            Some(operation) => format!("{operation} of {}", self.product),
            None => self.product.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_told_once() {
        let away = |second: i64| AwayPart {
            product: "conversations".to_owned(),
            operation: None,
            cause: "unreachable".to_owned(),
            since: Timestamp::from_second(second).expect("a time"),
        };
        let mut news = AwayNews::default();
        assert_eq!(news.news(Vec::new()), Vec::<String>::new());
        let told = news.news(vec![away(0)]);
        assert_eq!(told.len(), 1);
        let begins =
            "Twilio is away: conversations cannot be reached since 1970-01-01 00:00:00 UTC.";
        assert!(told[0].starts_with(begins), "{told:?}");
        // A later reading of the same outage may have a start that differs by a second.
        assert_eq!(news.news(vec![away(1)]), Vec::<String>::new());
        assert_eq!(news.news(Vec::new()), ["Twilio is back: conversations."]);
    }
}
