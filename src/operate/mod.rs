//! What an operator can do: the one door for the command line, and later for the HTTP API and the console.
//!
//! In: who acts, on what, and why. Out: what has changed. Always: no exit code, no terminal and no call to
//! Twilio; every change goes through the ledger, which records who made it.

mod apply;
mod backup;
mod lifecycle;
mod stopping;

pub use apply::{Applied, Replacing};
pub use backup::{BackedUp, back_up};
pub use lifecycle::{Cancelled, Stopped, distrust_notice, paused_notice};

use std::path::PathBuf;

use crate::campaign::Difference;
use crate::clock::Clock;
use crate::ledger::{CampaignRecord, CampaignState, Ledger, LedgerError};
use crate::message::{Address, CampaignId};

/// Why an operation was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum OperateError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The campaign's state does not allow it.
    #[error("campaign {id} is {state}: it cannot be {wanted}")]
    WrongState {
        id: CampaignId,
        state: CampaignState,
        /// The past participle: "paused".
        wanted: &'static str,
    },
    /// A campaign file would carry out open messages in another way than they were accepted for.
    #[error(
        "campaign {id} has {open} open messages, which this file would convert:\n{}\nGive the file another id, or \
         first end the open messages: flexcast campaign cancel {id}",
        lines(differences)
    )]
    Converts {
        id: CampaignId,
        open: u64,
        differences: Vec<Difference>,
    },
    /// A campaign file takes away senders that open messages have.
    #[error(
        "campaign {id} has open messages whose senders this file takes away: {}. Move those that have not begun \
         to one of the file's senders, with: --move-to SENDER",
        senders(taken)
    )]
    TakesSenders {
        id: CampaignId,
        /// The senders, and how many open messages each has.
        taken: Vec<(Address, u64)>,
    },
    /// The sender that messages are to be moved to is not one of the campaign's.
    #[error("--move-to {sender}: the campaign file has no such sender; it has {has}")]
    NoSuchSender { sender: Address, has: String },
    /// No backup can be written to this file.
    #[error("no backup to {}: {why}", file.display())]
    BackupRefused { file: PathBuf, why: String },
    /// The backup was not made. Nothing has the file's name, or what had it before.
    #[error("the backup to {} was not made: {detail}", file.display())]
    BackupFailed { file: PathBuf, detail: String },
    /// The ledger's record of the campaign is not one of this program's.
    #[error("campaign {id} cannot be read: {detail}; apply it again under another id")]
    Unreadable { id: CampaignId, detail: String },
}

fn lines(differences: &[Difference]) -> String {
    let lines = differences.iter().map(|one| format!("  {one}"));
    lines.collect::<Vec<_>>().join("\n")
}

fn senders(taken: &[(Address, u64)]) -> String {
    let each = taken
        .iter()
        .map(|(sender, open)| format!("{sender} has {open}"));
    each.collect::<Vec<_>>().join(", ")
}

/// The operations on one ledger.
#[derive(Clone, Copy)]
pub struct Operations<'a> {
    pub ledger: &'a Ledger,
    pub clock: Clock,
}

impl Operations<'_> {
    /// A campaign by its id.
    async fn find(&self, id: &CampaignId) -> Result<CampaignRecord, OperateError> {
        let record = self.ledger.campaign(id).await?;
        Ok(record.ok_or_else(|| LedgerError::NoCampaign(id.clone()))?)
    }
}
