//! The errors of operations and read models.

use std::path::PathBuf;

use crate::campaign::Difference;
use crate::intake::{EnqueueError, ImportError, IntakeError, SharedIds};
use crate::ledger::{CampaignState, LedgerError, MessageKey};
use crate::message::{Address, CampaignId, MessageId, RejectReason};
use crate::outcomes::{FinishError, Unfinished};
use crate::queue::QueueError;

/// The errors of operations and read models.
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
    /// A part of the system cannot be opened with this configuration.
    #[error("{0}")]
    Misconfigured(String),
    /// The campaign was never applied. `near`: the ids of similar campaigns.
    #[error("{}", no_campaign(id, near))]
    NoCampaign {
        id: CampaignId,
        near: Vec<CampaignId>,
    },
    /// The campaign has no such message. `near`: the ids of similar messages.
    #[error("{}", no_message(key, near))]
    NoMessage {
        key: MessageKey,
        near: Vec<MessageId>,
    },
    /// The campaign has no message with this id or address. The text is not shown: it may be a customer's number.
    #[error(
        "campaign {0} has no message with this id or address. All messages: flexcast campaign export {0}"
    )]
    NoSuchMessage(CampaignId),
    /// The message has another state.
    #[error("{} is not unknown; see: flexcast unknown list {}", in_log(.0), .0.campaign)]
    NotUnknown(MessageKey),
    /// The campaign's state does not allow the operation.
    #[error("campaign {id} is {state}: it cannot be {wanted}")]
    WrongState {
        id: CampaignId,
        state: CampaignState,
        /// The operation as a past participle, such as "paused".
        wanted: &'static str,
    },
    /// A cancelled campaign accepts no messages.
    #[error("campaign {0} was cancelled: it accepts no more messages")]
    TakesNothing(CampaignId),
    /// The campaign is not over. `why` is the reason.
    #[error("campaign {id} is not over: {why}; see: flexcast status {id}")]
    NotOver { id: CampaignId, why: Unfinished },
    /// Another operator changed the campaign during every attempt.
    #[error("campaign {0} is being changed by another operator: try again")]
    ChangedMeanwhile(CampaignId),
    /// The campaign file would change how open messages are carried out.
    #[error(
        "campaign {id} has {open} open messages, and this file would change how they are carried out:\n{}\nGive \
        the file another id, or \
         first end the open messages: flexcast campaign cancel {id}",
        lines(differences)
    )]
    Converts {
        id: CampaignId,
        open: u64,
        differences: Vec<Difference>,
    },
    /// The campaign file removes senders of open messages.
    #[error(
        "campaign {id} has open messages whose senders this file removes: {}. Move the messages that have not \
        begun to a sender of the file, with: --move-to SENDER",
        senders(taken)
    )]
    TakesSenders {
        id: CampaignId,
        /// Each sender with its number of open messages.
        taken: Vec<(Address, u64)>,
    },
    /// The sender of `--move-to` is not one of the campaign's senders.
    #[error("--move-to {sender}: the campaign file has no such sender; it has {has}")]
    NoSuchSender { sender: Address, has: String },
    /// Several people in the file have the same id, and the operator has not accepted that.
    #[error("{}: {shared}; nothing was imported", file.display())]
    IdsShared { file: PathBuf, shared: SharedIds },
    /// More rows of the file would be rejected than the rules allow.
    #[error(
        "{file}: {rejected} of {rows} rows would be rejected ({}); nothing was imported",
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
    /// The backup was not made. There is no file of this name, or the earlier file is unchanged.
    #[error("the backup to {} was not made: {detail}", file.display())]
    BackupFailed { file: PathBuf, detail: String },
    /// The ledger's record of the campaign cannot be read.
    #[error("campaign {id} cannot be read: {detail}; apply it again")]
    Unreadable { id: CampaignId, detail: String },
    /// The same, and no other definition can replace it.
    #[error("campaign {id} cannot be read: {detail}; apply it again under another id")]
    Irreplaceable { id: CampaignId, detail: String },
}

impl From<LedgerError> for OperateError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::NoCampaign(id) => Self::NoCampaign {
                id,
                near: Vec::new(),
            },
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

fn no_campaign(id: &CampaignId, near: &[CampaignId]) -> String {
    let id = id.as_str();
    let add = match near {
        [] => ". To add one: flexcast campaign apply FILE",
        _ => "",
    };
    let meant = meant(near.iter().map(CampaignId::as_str));
    format!("there is no campaign {id:?}.{meant} All campaigns: flexcast campaign list{add}")
}

fn no_message(key: &MessageKey, near: &[MessageId]) -> String {
    let (id, campaign) = (key.id.in_log(), &key.campaign);
    format!(
        "campaign {campaign} has no message {id:?}.{} All messages: flexcast campaign export {campaign}",
        meant(near.iter().map(MessageId::as_str))
    )
}

/// A question for the similar names, with a blank in front.
fn meant<'a>(near: impl Iterator<Item = &'a str>) -> String {
    let near: Vec<_> = near.collect();
    match near.as_slice() {
        [] => String::new(),
        [one] => format!(" Did you mean {one}?"),
        [others @ .., last] => format!(" Did you mean {} or {last}?", others.join(", ")),
    }
}

/// The key of a message, without a phone number.
fn in_log(key: &MessageKey) -> String {
    format!("{}/{}", key.campaign, key.id.in_log())
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
