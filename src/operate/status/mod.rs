//! Where the messages of campaigns are, what the consumers that work now show, and what stands in the way.
//!
//! In: one campaign or all, and the way to the queue. Out: a report for each, and what belongs to none alone. Always:
//! the books are there even if the queue does not answer; what it would have said is left out, with the reason.

mod report;
mod runs;

pub use report::{CampaignReport, Imbalance};
pub use runs::{CampaignProgress, PausedRun, RunOutcome};

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::ledger::{CampaignRecord, DamagedRow};
use crate::message::CampaignId;
use crate::queue::{Inspection, NodeInUse, Obstacle, Queue, depth_of};
use crate::shown_lanes::{SEEN_FOR, ShownLane, ShownLanes};
use crate::twilio::AwayPart;

use super::campaigns::find;
use super::{OperateError, QueueAccess, ReadModels};

/// How long the queue may take to say how much it holds: the books are worth reading without it.
const QUEUE_PATIENCE: Duration = Duration::from_secs(5);

/// The most messages that are named whose records contradict each other.
const DAMAGED_SHOWN: usize = 100;

/// Where the messages of the campaigns are that were asked for.
#[derive(Clone, Debug)]
pub struct StatusReport {
    /// In the order in which they were first applied.
    pub campaigns: Vec<CampaignReport>,
    /// What consumers that work now show: of the lanes, those that messages of these campaigns may pass.
    pub shown: ShownLanes,
    /// Messages of these campaigns whose records contradict each other.
    pub damaged: Vec<DamagedRow>,
    /// What the broker's management API tells now. None for the embedded queue.
    pub broker: Option<Arc<Inspection>>,
    /// Why it is not known how many messages wait unseen, where it is not.
    pub unseen_unknown: Option<String>,
}

/// A campaign's report with everything that its messages may meet: the JSON of a status.
#[derive(Clone, Debug, Serialize)]
pub struct CampaignStatus<'a> {
    #[serde(flatten)]
    pub report: &'a CampaignReport,
    /// Left out where nobody works.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lanes: Vec<&'a ShownLane>,
    /// Its messages whose records contradict each other; left out where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<&'a DamagedRow>,
    /// What lies on any queue and cannot be moved out of the way; left out where nothing does.
    #[serde(skip_serializing_if = "<[Obstacle]>::is_empty")]
    pub obstacles: &'a [Obstacle],
    /// The parts of Twilio that are away, as consumers that work now have found; left out where none is.
    #[serde(skip_serializing_if = "<[AwayPart]>::is_empty")]
    pub away: &'a [AwayPart],
    /// The broker's nodes that consumers are connected to now; left out where none is.
    #[serde(skip_serializing_if = "<[NodeInUse]>::is_empty")]
    pub nodes: &'a [NodeInUse],
    /// What the broker's management API tells now; left out for the embedded queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broker: Option<&'a Inspection>,
}

impl StatusReport {
    /// Each campaign with everything that its messages may meet.
    pub fn of_each(&self) -> impl Iterator<Item = CampaignStatus<'_>> {
        self.campaigns.iter().map(|report| {
            let lanes = self.shown.lanes.iter();
            let damaged = self.damaged.iter();
            CampaignStatus {
                report,
                lanes: lanes
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
    /// Where the messages of a campaign are, or of all campaigns.
    ///
    /// # Errors
    ///
    /// [`OperateError::NoCampaign`] when there is none of this id; [`OperateError::Ledger`] when the ledger cannot be
    /// read. A queue that does not answer is no error.
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
        let asked = self.unseen_of(&records, access);
        let (asked, broker) = tokio::join!(asked, access.inspection());
        let (unseen, unseen_unknown) = match asked {
            Ok(unseen) => (unseen.into_iter().map(Some).collect(), None),
            Err(why) => (vec![None; records.len()], Some(why)),
        };
        let imports = self.ledger.imports(campaign).await?;
        let now = self.clock.now();
        let reports = records.into_iter().zip(books).zip(unseen);
        let reports = reports.map(|((record, books), unseen)| {
            CampaignReport::of(record, books, unseen, &imports, now)
        });
        let campaigns = reports.collect();
        let mut shown = self.shown_lanes().await?;
        let mut damaged = self.ledger.damaged(DAMAGED_SHOWN).await?;
        if let Some(id) = campaign {
            shown.lanes.retain(|lane| is_passed(lane, id));
            damaged.retain(|row| row.campaign == *id);
        }
        Ok(StatusReport {
            campaigns,
            shown,
            damaged,
            broker,
            unseen_unknown,
        })
    }

    /// How many messages wait on a campaign's queue that the ledger has not met yet.
    ///
    /// # Errors
    ///
    /// When the queue or the ledger does not answer.
    pub async fn unseen(&self, id: &CampaignId, queue: &dyn Queue) -> Result<u64, OperateError> {
        let depth = depth_of(queue, id).await?;
        let known = self.ledger.on_queue(self.clock.now()).await?;
        let known = known.get(id).copied().unwrap_or_default();
        Ok(known.unseen(depth.ready, depth.unsettled))
    }

    /// What waits unseen of each campaign, or why nobody can say: the queue may be away while the ledger is not.
    async fn unseen_of(
        &self,
        records: &[CampaignRecord],
        access: &dyn QueueAccess,
    ) -> Result<Vec<u64>, String> {
        let asking = async {
            let queue = access.open().await?;
            let mut all = Vec::new();
            for record in records {
                all.push(self.unseen(&record.id, &*queue).await?);
            }
            access.close(&*queue).await;
            Ok::<_, OperateError>(all)
        };
        match tokio::time::timeout(QUEUE_PATIENCE, asking).await {
            Ok(asked) => asked.map_err(|error| error.to_string()),
            Err(_) => Err("the queue does not answer".to_owned()),
        }
    }

    /// What all consumers show that work now.
    async fn shown_lanes(&self) -> Result<ShownLanes, OperateError> {
        let now = self.clock.now();
        let shown = self.ledger.shown_lanes(now, SEEN_FOR).await?;
        // What another version has shown is not understood here, and no reason to fail.
        let understood = shown
            .into_iter()
            .filter_map(|one| serde_json::from_value(one).ok());
        Ok(ShownLanes::together(understood))
    }
}

/// Whether a campaign's messages may pass a lane: its own, its agents', and those that all share.
fn is_passed(lane: &ShownLane, campaign: &CampaignId) -> bool {
    let of = lane.campaign.as_deref();
    of.is_none_or(|of| of == campaign.as_str())
}
