//! Why an operation was not carried out, or a question not answered.

use std::path::PathBuf;

use crate::campaign::Difference;
use crate::intake::{EnqueueError, ImportError, IntakeError, SharedIds};
use crate::ledger::{CampaignState, LedgerError, MessageKey};
use crate::message::{Address, CampaignId, RejectReason};
use crate::outcomes::{FinishError, Unfinished};
use crate::queue::QueueError;

/// Why an operation was not carried out, or a question not answered.
#[derive(Debug, thiserror::Error)]
pub enum OperateError {
    #[error(transparent)]
    Ledger(LedgerError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Import(#[from] ImportError),
    #[error(transparent)]
    Csv(#[from] csv::Error),
    /// What an operation works on cannot be opened as the program is configured.
    #[error("{0}")]
    Misconfigured(String),
    /// The campaign was never applied.
    #[error("there is no campaign {0}: apply its file first, with: flexcast campaign apply FILE")]
    NoCampaign(CampaignId),
    /// There is no such message.
    #[error("there is no message {0}")]
    NoMessage(MessageKey),
    /// The message has another place in the books.
    #[error("{0} is not unknown; see: flexcast unknown list")]
    NotUnknown(MessageKey),
    /// The campaign's state does not allow it.
    #[error("campaign {id} is {state}: it cannot be {wanted}")]
    WrongState {
        id: CampaignId,
        state: CampaignState,
        /// The past participle: "paused".
        wanted: &'static str,
    },
    /// A cancelled campaign takes no messages.
    #[error("campaign {0} was cancelled: it takes nothing more")]
    TakesNothing(CampaignId),
    /// The campaign is not over yet.
    #[error("campaign {id} is not over: {why}; see: flexcast status {id}")]
    NotOver { id: CampaignId, why: Unfinished },
    /// Somebody else changed the campaign again and again meanwhile.
    #[error("campaign {0} is being changed by somebody else: try again")]
    ChangedMeanwhile(CampaignId),
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
    /// Ids of a file stand for several people each, and nobody has said that this is right.
    #[error("{}: {shared}; nothing was taken", file.display())]
    IdsShared { file: PathBuf, shared: SharedIds },
    /// More rows of a file would be rejected than may be.
    #[error(
        "{file}: {rejected} of {rows} rows would be rejected ({}); nothing was taken",
        reasons(by_reason)
    )]
    TooManyRejected {
        file: String,
        rejected: u64,
        rows: u64,
        by_reason: Vec<(RejectReason, u64)>,
    },
    /// No backup can be written to this file.
    #[error("no backup to {}: {why}", file.display())]
    BackupRefused { file: PathBuf, why: String },
    /// The backup was not made. Nothing has the file's name, or what had it before.
    #[error("the backup to {} was not made: {detail}", file.display())]
    BackupFailed { file: PathBuf, detail: String },
    /// The ledger's record of the campaign is not one of this program's.
    #[error("campaign {id} cannot be read: {detail}; apply it again")]
    Unreadable { id: CampaignId, detail: String },
    /// The same, so that no other definition can take its place.
    #[error("campaign {id} cannot be read: {detail}; apply it again under another id")]
    Irreplaceable { id: CampaignId, detail: String },
}

impl From<LedgerError> for OperateError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::NoCampaign(id) => Self::NoCampaign(id),
            error => Self::Ledger(error),
        }
    }
}

impl From<FinishError> for OperateError {
    fn from(error: FinishError) -> Self {
        match error {
            FinishError::Ledger(error) => error.into(),
            FinishError::Queue(error) => error.into(),
        }
    }
}

impl From<EnqueueError> for OperateError {
    fn from(error: EnqueueError) -> Self {
        match error {
            EnqueueError::Ledger(error) => error.into(),
            EnqueueError::Queue(error) => error.into(),
        }
    }
}

impl From<IntakeError> for OperateError {
    fn from(error: IntakeError) -> Self {
        Self::Import(error.into())
    }
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

fn reasons(by_reason: &[(RejectReason, u64)]) -> String {
    let each = by_reason
        .iter()
        .map(|(reason, rows)| format!("{reason} {rows}"));
    each.collect::<Vec<_>>().join(", ")
}
