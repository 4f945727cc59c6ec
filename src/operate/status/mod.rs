//! The status of campaigns: the states of their messages, the reports of running consumers, and obstacles.
//!
//! In: one campaign or all, and access to the queue. Out: a report for each campaign, and the facts that they share.
//! Always: the books are reported even if the queue does not answer; the report then has the reason in place of the
//! queue's depth.

mod consumers;
mod meanings;
mod progress;
mod report;
mod runs;

pub use consumers::ConsumerCampaigns;
pub use meanings::{ReasonMeaning, meaning};
pub use progress::{CampaignProgress, ProgressMeter, RunSpeed};
pub use report::{CampaignReport, Imbalance};
pub use runs::{PausedRun, RunOutcome};

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::ledger::{CampaignRecord, CampaignState, ConsumerRow, DamagedRow};
use crate::message::CampaignId;
use crate::queue::{Inspection, NodeInUse, Obstacle, Queue, depth_of};
use crate::shown_lanes::{SEEN_FOR, ShownLane, ShownLanes};
use crate::twilio::AwayPart;

use super::campaigns::find;
use super::{OperateError, QueueAccess, ReadModels};

/// The timeout for the depth of the queue: the books are useful without it.
const QUEUE_PATIENCE: Duration = Duration::from_secs(5);

/// The maximum number of damaged messages in a report.
const DAMAGED_SHOWN: usize = 100;

/// The status of the requested campaigns.
#[derive(Clone, Debug)]
pub struct StatusReport {
    /// In the order in which they were first applied.
    pub campaigns: Vec<CampaignReport>,
    /// The reports of running consumers. Of the lanes, only those that messages of these campaigns use.
    pub shown: ShownLanes,
    /// The consumers that are at work on the ledger.
    pub consumers: Vec<ConsumerRow>,
    /// Messages of these campaigns whose records contradict each other.
    pub damaged: Vec<DamagedRow>,
    /// An inspection of the broker, made now. `None` for the embedded queue.
    pub broker: Option<Arc<Inspection>>,
    /// Why the number of unread messages is not known, if it is not.
    pub unread_unknown: Option<String>,
}

/// The JSON of a campaign's status: its report, and the shared facts that affect its messages.
#[derive(Clone, Debug, Serialize)]
pub struct CampaignStatus<'a> {
    #[serde(flatten)]
    pub report: &'a CampaignReport,
    /// The consumers that are at work on the ledger. Empty: no message is carried out.
    pub consumers: &'a [ConsumerRow],
    /// Left out without a running consumer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<&'a ShownLane>,
    /// Its messages whose records contradict each other; left out if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<&'a DamagedRow>,
    /// Obstacles: messages on any queue that cannot be moved out of the way; left out if there are none.
    #[serde(skip_serializing_if = "<[Obstacle]>::is_empty")]
    pub obstacles: &'a [Obstacle],
    /// The parts of Twilio that are away, as found by running consumers; left out if there are none.
    #[serde(skip_serializing_if = "<[AwayPart]>::is_empty")]
    pub away: &'a [AwayPart],
    /// The broker nodes that consumers are connected to; left out if there are none.
    #[serde(skip_serializing_if = "<[NodeInUse]>::is_empty")]
    pub nodes: &'a [NodeInUse],
    /// An inspection of the broker, made now; left out for the embedded queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broker: Option<&'a Inspection>,
}

impl StatusReport {
    /// Whether messages are open that no consumer carries out: a campaign with open messages is not paused, and no
    /// consumer is at work.
    #[must_use]
    pub fn needs_consumer(&self) -> bool {
        let is_open = |report: &CampaignReport| {
            let unread = report.unread.unwrap_or_default();
            !matches!(
                report.state,
                CampaignState::Paused | CampaignState::Scheduled
            ) && report.books.open() + unread > 0
        };
        self.consumers.is_empty() && self.campaigns.iter().any(is_open)
    }

    /// The status of each campaign, with the shared facts that affect its messages.
    pub fn of_each(&self) -> impl Iterator<Item = CampaignStatus<'_>> {
        self.campaigns.iter().map(|report| {
            let lanes = self.shown.lanes.iter();
            let damaged = self.damaged.iter();
            CampaignStatus {
                report,
                consumers: &self.consumers,
                limits: lanes
                    .filter(|lane| is_passed(lane, &report.campaign))
                    .collect(),
                damaged: damaged
                    .filter(|row| row.campaign == report.campaign)
                    .collect(),
                obstacles: &self.shown.obstacles,
                away: &self.shown.away,
                nodes: &self.shown.nodes,
                broker: self.broker.as_deref(),
            }
        })
    }
}

impl ReadModels {
    /// Reads the status of one campaign, or of all campaigns.
    ///
    /// # Errors
    ///
    /// [`OperateError::NoCampaign`] when there is none of this id; [`OperateError::Ledger`] when the ledger cannot be
    /// read. A queue that does not answer is not an error.
    pub async fn status(
        &self,
        campaign: Option<&CampaignId>,
        access: &dyn QueueAccess,
    ) -> Result<StatusReport, OperateError> {
        let records = match campaign {
            Some(id) => vec![find(&self.ledger, id).await?],
            None => self.ledger.campaigns().await?,
        };
        let mut books = Vec::new();
        for record in &records {
            books.push(self.ledger.books(Some(&record.id)).await?);
        }
        let asked = self.unread_of(&records, access);
        let (asked, broker) = tokio::join!(asked, access.inspection());
        let (unread, unread_unknown) = match asked {
            Ok(unread) => (unread.into_iter().map(Some).collect(), None),
            Err(why) => (vec![None; records.len()], Some(why)),
        };
        let imports = self.ledger.imports(campaign).await?;
        let now = self.clock.now();
        let reports = records.into_iter().zip(books).zip(unread);
        let reports = reports.map(|((record, books), unread)| {
            CampaignReport::of(record, books, unread, &imports, now)
        });
        let mut campaigns: Vec<_> = reports.collect();
        let pauses = self.ledger.pauses().await?;
        for report in &mut campaigns {
            report.add_pauses(&pauses);
            report.due_times = self.ledger.due_times(&report.campaign).await?;
        }
        let mut shown = self.shown_lanes().await?;
        let consumers = self.consumers_at_work().await?;
        let mut damaged = self.ledger.damaged(DAMAGED_SHOWN).await?;
        if let Some(id) = campaign {
            shown.lanes.retain(|lane| is_passed(lane, id));
            damaged.retain(|row| row.campaign == *id);
        }
        Ok(StatusReport {
            campaigns,
            shown,
            consumers,
            damaged,
            broker,
            unread_unknown,
        })
    }

    /// The number of unread messages: they wait on a campaign's queue and are not yet in the ledger.
    ///
    /// # Errors
    ///
    /// An error when the queue or the ledger does not answer.
    pub async fn unread(&self, id: &CampaignId, queue: &dyn Queue) -> Result<u64, OperateError> {
        let depth = depth_of(queue, id).await?;
        let known = self.ledger.on_queue(self.clock.now()).await?;
        let known = known.get(id).copied().unwrap_or_default();
        Ok(known.unread(depth.ready, depth.unsettled))
    }

    /// The number of unread messages of each campaign, or the reason why it is not known.
    async fn unread_of(
        &self,
        records: &[CampaignRecord],
        access: &dyn QueueAccess,
    ) -> Result<Vec<u64>, String> {
        let asking = async {
            let queue = access.open().await?;
            let mut all = Vec::new();
            for record in records {
                all.push(self.unread(&record.id, &*queue).await?);
            }
            access.close(&*queue).await;
            Ok::<_, OperateError>(all)
        };
        match tokio::time::timeout(QUEUE_PATIENCE, asking).await {
            Ok(asked) => asked.map_err(|error| error.to_string()),
            Err(_) => Err("the queue does not answer".to_owned()),
        }
    }

    /// The merged reports of all running consumers.
    async fn shown_lanes(&self) -> Result<ShownLanes, OperateError> {
        let now = self.clock.now();
        let shown = self.ledger.shown_lanes(now, SEEN_FOR).await?;
        // The report of another version that cannot be read is skipped.
        let understood = shown
            .into_iter()
            .filter_map(|one| serde_json::from_value(one).ok());
        Ok(ShownLanes::together(understood))
    }
}

/// Whether a campaign's messages may use a lane: its own lane, its agents' lanes, and shared lanes.
fn is_passed(lane: &ShownLane, campaign: &CampaignId) -> bool {
    let of = lane.campaign.as_deref();
    of.is_none_or(|of| of == campaign.as_str())
}
