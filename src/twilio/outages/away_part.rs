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
        if let Some(operation) = &self.operation {
            write!(f, "{operation} of ")?;
        }
        let how = match self.cause == AwayCause::Unreachable.as_str() {
            true => "cannot be reached",
            false => "answers with server errors",
        };
        let since = self.since.strftime("%Y-%m-%d %H:%M:%S UTC");
        write!(f, "{} {how} since {since}", self.product)
    }
}
