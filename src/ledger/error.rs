//! What can go wrong between the program and its ledger, by what the caller can do about it.

use crate::message::CampaignId;

/// A ledger's failure, by what its user can do about it.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The store cannot be reached or written now: start nothing, try again.
    ///
    /// The failed call may have written all the same (a connection lost during a commit). So the consumer
    /// writes nothing more under a lease that met this error: the next consumer of the message reads what the
    /// ledger holds.
    #[error("the ledger is not usable: {0}")]
    Unavailable(String),
    /// The store is there and did not do this: other calls were in its way. It may pass.
    #[error("the ledger did not get to it: {0}")]
    Hindered(String),
    /// Another consumer has taken the message: stop at once. That consumer looks up what was not recorded.
    #[error("the lease on this message is lost")]
    LeaseLost,
    /// The ledger belongs to another Twilio account or base address.
    #[error(
        "this ledger belongs to {theirs}; you are using {ours}: choose another --state, or that account"
    )]
    BoundElsewhere { ours: String, theirs: String },
    /// The campaign was never applied.
    #[error("the ledger has no campaign {0}: apply it first")]
    NoCampaign(CampaignId),
    /// The database does not know our user or password: other credentials, not another try.
    #[error("the database refuses the login: {0}")]
    LoginRefused(String),
    /// What the operator named is not usable by this program: a wrong address, a newer program's ledger.
    #[error("{0}")]
    Misconfigured(String),
    /// Another process holds the ledger.
    #[error("{0}")]
    Held(String),
    /// The stored fields of one row contradict each other, or cannot be read.
    #[error("the ledger's records contradict each other: {0}")]
    Damaged(String),
    /// The database answered with an error whose cause its code does not tell: the store, or the data of this
    /// call. A store returns it without a check. [`super::Ledger`] returns it only after a probe of the store has
    /// passed: then the data of this call is the cause.
    #[error("the database refuses this: {text} ({code})")]
    Refused {
        /// The SQLSTATE, the name of SQLite's result code, or `client` for an error that no database sent.
        code: String,
        /// The database's own words.
        text: String,
    },
    /// The store is corrupt, is no database, holds another ledger, or its disk did not keep a write. No answer of
    /// it can be trusted, and it does not come back by itself.
    #[error("the ledger's store must not be used any more: {0}")]
    Corrupt(String),
}

/// The codes of a row that refers to a row which is not there: PostgreSQL's, and SQLite's.
const NO_SUCH_ROW: [&str; 2] = ["23503", "SQLite 787"];

impl LedgerError {
    /// Names the campaign when it is what a row refers to and does not find.
    pub(super) fn in_campaign(self, id: &CampaignId) -> Self {
        match self {
            Self::Refused { code, .. } if NO_SUCH_ROW.contains(&code.as_str()) => {
                Self::NoCampaign(id.clone())
            }
            error => error,
        }
    }

    /// Whether it is the store that cannot be used, for any call, and not this call alone.
    #[must_use]
    pub fn is_stores(&self) -> bool {
        matches!(
            self,
            Self::Unavailable(_) | Self::LoginRefused(_) | Self::Corrupt(_)
        )
    }
}

pub type Result<T> = std::result::Result<T, LedgerError>;
