//! The errors of a ledger, classified by what the caller can do about them.

use crate::message::CampaignId;

/// The error of a ledger, classified by what its user can do about it.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The store cannot be reached or written now. Start nothing; try again later.
    ///
    /// The failed call may have written all the same (if the connection was lost during a commit). So the consumer
    /// writes nothing more under a lease that met this error, and the next consumer of the message reads what the
    /// ledger holds.
    #[error("the ledger is not usable: {0}")]
    Unavailable(String),
    /// The store works but did not carry out this call, because other calls blocked it. It may be retried.
    #[error("the ledger is busy: {0}")]
    Hindered(String),
    /// Another consumer has taken the message. Stop at once; that consumer looks up what was not recorded.
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
    /// The database refuses the user or password. Another try needs other credentials.
    #[error("the database refuses the login: {0}")]
    LoginRefused(String),
    /// What the operator named is not usable: a wrong address, or a newer program's ledger.
    #[error("{0}")]
    Misconfigured(String),
    /// Another process holds the ledger.
    #[error("{0}")]
    Held(String),
    /// The stored fields of one row contradict each other, or cannot be read.
    #[error("the ledger's records contradict each other: {0}")]
    Damaged(String),
    /// The database returned an error whose code does not show the cause: the store, or the data of this call. A store
    /// returns it without a check. [`super::Ledger`] returns it only after a probe of the store has passed; then the
    /// data of this call is the cause.
    #[error("the database refuses this: {text} ({code})")]
    Refused {
        /// The SQLSTATE, the name of SQLite's result code, or `client` for an error that no database sent.
        code: String,
        /// The database's own message.
        text: String,
    },
    /// The store is corrupt, is no database, holds another ledger, or its disk did not keep a write. None of its
    /// answers can be trusted, and it does not recover by itself.
    #[error("the ledger's store must not be used any more: {0}")]
    Corrupt(String),
}

/// The codes for a row that refers to a missing row, of PostgreSQL and SQLite.
const NO_SUCH_ROW: [&str; 2] = ["23503", "SQLite 787"];

impl LedgerError {
    /// The error for a ledger whose schema is newer than this program's. Nothing was changed.
    pub(super) fn newer_schema(theirs: i64, ours: usize) -> Self {
        Self::Misconfigured(format!(
            "the ledger has schema version {theirs}, and this program (flexcast {}) knows no version after {ours}: start \
             the newer flexcast that wrote the ledger, or restore the backup that was made before the upgrade \
             (docs/upgrading.md)",
            env!("CARGO_PKG_VERSION")
        ))
    }

    /// The error for a ledger that must be migrated while a consumer of an older version works on it. Nothing was changed.
    /// `which` names the consumer.
    pub(super) fn consumer_of_older_schema(which: &str) -> Self {
        Self::Held(format!(
            "this flexcast has a newer schema than the ledger, and a consumer of the older version is at work{which}: stop \
             every work and send of the older version, and repeat this command, which then migrates the ledger \
             (docs/upgrading.md)"
        ))
    }

    /// Names the campaign if the row refers to a campaign that does not exist.
    pub(super) fn in_campaign(self, id: &CampaignId) -> Self {
        match self {
            Self::Refused { code, .. } if NO_SUCH_ROW.contains(&code.as_str()) => {
                Self::NoCampaign(id.clone())
            }
            error => error,
        }
    }

    /// Whether the store is unusable for all calls, and not for this one alone.
    #[must_use]
    pub fn is_stores(&self) -> bool {
        matches!(
            self,
            Self::Unavailable(_) | Self::LoginRefused(_) | Self::Corrupt(_)
        )
    }
}

pub type Result<T> = std::result::Result<T, LedgerError>;
