//! The report of one campaign: its state, its books, its imports.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::ledger::{
    Actor, Books, CampaignRecord, CampaignState, DueTimes, ImportRecord, ImportReport,
};
use crate::message::{CampaignId, PauseCause, WaitReason};
use crate::operate::campaigns::{distrust_notice, find, paused_notice};
use crate::operate::{OperateError, ReadModels};

use super::RunOutcome;
use super::meanings::{ReasonMeaning, meanings};

/// The report of one campaign: its id, its state, its books, its unread messages and its imports.
#[derive(Clone, Debug, Serialize)]
pub struct CampaignReport {
    pub campaign: CampaignId,
    #[serde(flatten)]
    pub books: Books,
    /// The reasons of the books in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub meanings: Vec<ReasonMeaning>,
    /// The due times of its scheduled, retrying and held messages, by reason.
    #[serde(rename = "due", skip_serializing_if = "BTreeMap::is_empty")]
    pub due_times: BTreeMap<WaitReason, DueTimes>,
    /// Messages on the queue that are not yet in the ledger. `None` if the queue was not queried or did not answer.
    pub unread: Option<u64>,
    pub state: CampaignState,
    /// The time since which it is paused or cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_since: Option<Timestamp>,
    /// Why it is paused or cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who paused it, while it is paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_by: Option<Actor>,
    /// Who cancelled it, once it is cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancelled_by: Option<Actor>,
    /// The time since which messages of it may have been sent that this ledger does not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distrusted_from: Option<Timestamp>,
    /// Its imports, oldest first.
    pub imports: Vec<ImportReport>,
    /// While it is paused: a sentence with who paused it, why, and how it can be resumed.
    #[serde(skip)]
    pub paused_notice: Option<String>,
    /// The notice that another ledger may have sent messages of it, if one may.
    #[serde(skip)]
    pub distrust_notice: Option<String>,
}

/// By how much the books of a campaign are out of balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imbalance {
    /// Messages in no state. A negative number: there are more messages than were accepted.
    pub nowhere: i64,
    /// Messages that are both open and over.
    pub twice: u64,
    /// Rows that are not accounted for.
    pub rows: u64,
}

impl CampaignReport {
    /// `imports` may include imports of other campaigns.
    pub(super) fn of(
        record: CampaignRecord,
        books: Books,
        unread: Option<u64>,
        imports: &[ImportRecord],
        now: Timestamp,
    ) -> Self {
        let is_stopped = record.stopped_by().is_some();
        let its = imports.iter().filter(|it| it.campaign == record.id);
        Self {
            imports: its.map(|import| import.report(now)).collect(),
            paused_notice: paused_notice(&record),
            distrust_notice: distrust_notice(&record),
            campaign: record.id,
            meanings: meanings(&books),
            books,
            due_times: BTreeMap::new(),
            unread,
            state: record.state,
            state_since: is_stopped.then_some(record.state_since),
            reason: record.reason.filter(|_| is_stopped),
            paused_by: record.paused_by,
            cancelled_by: record.cancelled_by,
            distrusted_from: record.distrusted_from,
        }
    }

    /// The notices for the operator, one sentence each.
    pub fn notices(&self) -> impl Iterator<Item = &str> {
        let notices = [&self.paused_notice, &self.distrust_notice];
        notices.into_iter().flatten().map(String::as_str)
    }

    /// By how much the books are out of balance. `None`: they balance.
    #[must_use]
    pub fn imbalance(&self) -> Option<Imbalance> {
        let books = &self.books;
        (!books.balance()).then(|| Imbalance {
            nowhere: books.imbalance() + i64::try_from(books.twice).unwrap_or(i64::MAX),
            twice: books.twice,
            rows: books.rows_off(),
        })
    }

    /// The outcome of a run that has just ended.
    #[must_use]
    pub fn outcome(&self) -> RunOutcome {
        let books = &self.books;
        if books.accepted == 0 {
            RunOutcome::NothingAccepted
        } else if books.dead_total() + books.unknown > 0 {
            RunOutcome::Failed
        } else if books.open() > 0 {
            RunOutcome::Open
        } else {
            RunOutcome::Done
        }
    }

    /// Why flexcast itself paused the campaign, if it did.
    #[must_use]
    pub fn program_pause(&self) -> Option<PauseCause> {
        match self.paused_by {
            Some(Actor::Program { cause }) => Some(cause),
            _ => None,
        }
    }
}

impl ReadModels {
    /// Reads the report of one campaign. `unread` is the number of its unread messages, if the caller knows it.
    ///
    /// # Errors
    ///
    /// [`OperateError::NoCampaign`] when there is none of this id.
    pub async fn report(
        &self,
        id: &CampaignId,
        unread: Option<u64>,
    ) -> Result<CampaignReport, OperateError> {
        let books = self.ledger.books(Some(id)).await?;
        let record = find(&self.ledger, id).await?;
        let imports = self.ledger.imports(Some(id)).await?;
        let now = self.clock.now();
        Ok(CampaignReport {
            due_times: self.ledger.due_times(id).await?,
            ..CampaignReport::of(record, books, unread, &imports, now)
        })
    }
}
