//! What the ledger knows of a campaign before an import.
//!
//! In: a ledger, if there is one. Out: the campaign's state, its open messages as work, and its customers. Always: it
//! reads only. Memory grows with the campaign's customers, and with those of other campaigns in the last days.

use std::time::Duration;

use jiff::Timestamp;

use crate::campaign::Campaign;
use crate::intake::KnownCustomers;
use crate::ledger::{CampaignState, CustomerRow};
use crate::operate::campaigns::notices;
use crate::operate::forecast::{OtherCampaign, Workload};
use crate::operate::{OperateError, ReadModels};

/// How long ago a message of another campaign counts as recent.
pub(super) const RECENT: Duration = Duration::from_secs(7 * 24 * 3_600);

/// The number of rows in a page of the ledger.
const PAGE: usize = 10_000;

/// The ledger of a preview.
#[derive(Clone)]
pub enum PreviewLedger {
    /// There is no ledger yet, or it is not to be read.
    Missing,
    /// It cannot be read, for this reason.
    Unreadable(String),
    Open(ReadModels),
}

/// The campaign before the import.
#[derive(Debug, Default)]
pub(super) struct CampaignSoFar {
    /// `None`: the ledger does not have the campaign.
    pub(super) state: Option<CampaignState>,
    /// The notices of the campaign, such as who paused it.
    pub(super) notices: Vec<String>,
    /// Messages that are over.
    pub(super) over: u64,
    /// Its open messages.
    pub(super) open: Workload,
    /// Other running campaigns on its senders.
    pub(super) others: Vec<OtherCampaign>,
    /// Why the ledger could not be read.
    pub(super) unreadable: Option<String>,
}

impl CampaignSoFar {
    /// Reads the ledger. An error is not a failure of the preview: the check-list says it.
    pub(super) async fn read(
        ledger: &PreviewLedger,
        campaign: &Campaign,
        now: Timestamp,
    ) -> (Self, KnownCustomers) {
        let why = match ledger {
            PreviewLedger::Missing => return Default::default(),
            PreviewLedger::Unreadable(why) => why.clone(),
            PreviewLedger::Open(read) => match Self::of(read, campaign, now).await {
                Ok(found) => return found,
                Err(error) => error.to_string(),
            },
        };
        let unknown = Self {
            unreadable: Some(why),
            ..Self::default()
        };
        (unknown, KnownCustomers::default())
    }

    async fn of(
        read: &ReadModels,
        campaign: &Campaign,
        now: Timestamp,
    ) -> Result<(Self, KnownCustomers), OperateError> {
        let record = read.ledger.campaign(&campaign.id).await?;
        let books = read.ledger.books(Some(&campaign.id)).await?;
        let mut so_far = Self {
            state: record.as_ref().map(|record| record.state),
            notices: record.as_ref().map(notices).unwrap_or_default(),
            over: books.over(),
            others: read.others_on_senders(campaign).await?,
            ..Self::default()
        };
        if record.is_some() {
            so_far.open = read.workload(campaign).await?;
        }
        Ok((so_far, customers(read, campaign, now).await?))
    }
}

/// The customers of the campaign, and those of other campaigns in the last days.
async fn customers(
    read: &ReadModels,
    campaign: &Campaign,
    now: Timestamp,
) -> Result<KnownCustomers, OperateError> {
    let (id, ledger) = (&campaign.id, &read.ledger);
    let mut known = KnownCustomers::default();
    let last = |page: &[CustomerRow]| page.last().map(|row| row.number);
    let mut after = 0;
    loop {
        let page = ledger.customers(id, after, PAGE).await?;
        for row in &page {
            known.add(&row.id, &row.address);
        }
        match last(&page) {
            Some(number) => after = number,
            None => break,
        }
    }
    let since = now.checked_sub(RECENT).unwrap_or(now);
    let mut after = 0;
    loop {
        let page = ledger.customers_elsewhere(id, since, after, PAGE).await?;
        for row in &page {
            known.add_elsewhere(&row.campaign, &row.address);
        }
        match last(&page) {
            Some(number) => after = number,
            None => return Ok(known),
        }
    }
}
