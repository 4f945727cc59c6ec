//! Why the marks give no right to call.

use std::fmt;

use jiff::Timestamp;

use crate::ledger::LedgerError;
use crate::message::CampaignId;
use crate::twilio::CallError;

/// Why a ledger has no right to carry out a campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotOurs {
    /// The ledger is a copy, or has gone back to an older state.
    Ledger {
        location: String,
        at: Timestamp,
        running: bool,
    },
    /// Another ledger runs the campaign.
    Campaign {
        campaign: CampaignId,
        ledger: String,
        location: String,
        at: Timestamp,
    },
}

impl fmt::Display for NotOurs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ledger {
                location,
                at,
                running,
            } => {
                let how = if *running { "is" } else { "was" };
                write!(
                    f,
                    "this ledger is a copy, or an older state, of the one that {how} at work at {location} ({at}): what was \
                     sent since is not in it; use that ledger (--state, DATABASE_URL), or take over with --take-over: \
                     then every message is looked for at Twilio before it is sent"
                )
            }
            Self::Campaign {
                campaign,
                ledger,
                location,
                at,
            } => write!(
                f,
                "campaign {campaign} is run by another ledger ({ledger}, begun at {location}, {at}): use that one (--state, \
                 DATABASE_URL), or take the campaign over with --take-over: then every message is looked for at Twilio \
                 before it is sent"
            ),
        }
    }
}

/// Why the marks give no right to call now.
#[derive(Debug, thiserror::Error)]
pub enum MarkError {
    #[error("{0}")]
    NotOurs(NotOurs),
    #[error(
        "the account's Flex has no chat service, whose Users say which ledger runs a campaign: set Flex up first"
    )]
    NoChatService,
    /// The ledger has lost its last transactions, and another process's mark is ahead of it.
    #[error(
        "the ledger went back under its processes, and the mark of the one at {location} is ahead of it: waiting until that \
         process begins another incarnation, or has been silent for {} s", super::GOOD_FOR.as_secs()
    )]
    Ahead { location: String },
    #[error("the marks cannot be read or written: {0}")]
    Twilio(#[from] CallError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}
