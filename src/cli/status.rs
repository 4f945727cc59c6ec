//! `flexcast status`: where the messages are.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use crate::ledger::{Books, CampaignRecord, DamagedRow, ImportRecord, Ledger, Report};
use crate::message::CampaignId;
use crate::queue::{Inspection, NodeInUse, Obstacle, Queue, QueueError};
use crate::service::Service;
use crate::twilio::AwayPart;
use crate::worker::{SEEN_FOR, ShownLane, ShownLanes};

use super::place::Placed;
use super::{ExitCode, Global, Problem, broker, campaign, output};

/// How long the queue may take to say how much it holds: the books are worth reading without it.
const QUEUE_PATIENCE: Duration = Duration::from_secs(5);

/// The most messages that are named whose records contradict each other.
const DAMAGED_SHOWN: usize = 100;

/// Where the messages of a campaign are, or of all campaigns.
#[derive(Debug, Args)]
pub(super) struct Status {
    /// The campaign's id; without one, all campaigns
    campaign: Option<CampaignId>,
    /// Print JSON: one report, or a list of reports, each with the lanes its messages pass
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(super) async fn run(self, global: &Global) -> Result<ExitCode, Problem> {
        let service = global.reading().await?;
        let records = match &self.campaign {
            Some(id) => vec![campaign::find(&service, id).await?],
            None => service.ledger.campaigns().await?,
        };
        let mut books = Vec::new();
        for record in &records {
            books.push(service.ledger.books(Some(&record.id)).await?);
        }
        let (unseen, broker) = tokio::join!(asked(&service, &records), service.inspect_broker());
        let imports = service.ledger.imports(self.campaign.as_ref()).await?;
        let now = service.clock.now();
        let reports: Vec<Report<'_>> = records
            .iter()
            .zip(books.iter().zip(unseen))
            .map(|(record, (books, unseen))| report(record, books, unseen, &imports, now))
            .collect();
        let shown = lanes(&service).await?;
        let damaged = service.ledger.damaged(DAMAGED_SHOWN).await?;
        if !self.json {
            for (record, report) in records.iter().zip(&reports) {
                output::report(report)?;
                output::notice(record)?;
                output::imports(&report.imports)?;
            }
            let of = self.campaign.as_ref();
            let wanted = |lane: &&ShownLane| of.is_none_or(|id| is_passed(lane, id.as_str()));
            let left_out = shown.left_out;
            let lanes: Vec<_> = shown.lanes.iter().filter(wanted).collect();
            output::lanes(&lanes, left_out)?;
            output::obstacles(&shown.obstacles)?;
            output::away(&shown.away)?;
            broker::nodes(&shown.nodes)?;
            let is_wanted = |row: &&DamagedRow| of.is_none_or(|id| row.campaign == *id);
            output::damaged(damaged.iter().filter(is_wanted))?;
            if let Some(inspection) = &broker {
                output::broker(inspection)?;
            }
            return Ok(ExitCode::Success);
        }
        let with_what_is_shown = |report| {
            let report = StatusReport::of(report, &shown, broker.as_deref(), &damaged);
            Placed::of(report, &service)
        };
        let reports: Vec<_> = reports.into_iter().map(with_what_is_shown).collect();
        match self.campaign.is_some() {
            true => output::json(&reports[0])?,
            false => output::json(&reports)?,
        }
        Ok(ExitCode::Success)
    }
}

/// A report, and what consumers that work now show.
#[derive(Serialize)]
struct StatusReport<'a> {
    #[serde(flatten)]
    report: Report<'a>,
    /// Left out where nobody works.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lanes: Vec<&'a ShownLane>,
    /// Its messages whose records contradict each other; left out where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    damaged: Vec<&'a DamagedRow>,
    /// What lies on any queue and cannot be moved out of the way; left out where nothing does.
    #[serde(skip_serializing_if = "<[Obstacle]>::is_empty")]
    obstacles: &'a [Obstacle],
    /// The parts of Twilio that are away, as consumers that work now have found; left out where none is.
    #[serde(skip_serializing_if = "<[AwayPart]>::is_empty")]
    away: &'a [AwayPart],
    /// The broker's nodes that consumers are connected to now; left out where none is.
    #[serde(skip_serializing_if = "<[NodeInUse]>::is_empty")]
    nodes: &'a [NodeInUse],
    /// What the broker's management API tells now; left out for the embedded queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    broker: Option<&'a Inspection>,
}

impl<'a> StatusReport<'a> {
    fn of(
        report: Report<'a>,
        shown: &'a ShownLanes,
        broker: Option<&'a Inspection>,
        damaged: &'a [DamagedRow],
    ) -> Self {
        let all = shown.lanes.iter();
        let is_its = |row: &&DamagedRow| row.campaign.as_str() == report.campaign;
        Self {
            damaged: damaged.iter().filter(is_its).collect(),
            lanes: all
                .filter(|lane| is_passed(lane, report.campaign))
                .collect(),
            obstacles: &shown.obstacles,
            away: &shown.away,
            nodes: &shown.nodes,
            broker,
            report,
        }
    }
}

/// Whether a campaign's messages may pass a lane: its own, its agents', and those that all share.
fn is_passed(lane: &ShownLane, campaign: &str) -> bool {
    lane.campaign.as_deref().is_none_or(|of| of == campaign)
}

/// The lanes of all consumers that work now.
async fn lanes(service: &Service) -> Result<ShownLanes, Problem> {
    let now = service.clock.now();
    let shown = service.ledger.shown_lanes(now, SEEN_FOR).await?;
    // What another version has shown is not understood here, and no reason to fail.
    let understood = shown
        .into_iter()
        .filter_map(|one| serde_json::from_value(one).ok());
    Ok(ShownLanes::together(understood))
}

/// What `status` and `send` print of a campaign.
pub(super) fn report<'a>(
    record: &'a CampaignRecord,
    books: &'a Books,
    unseen: Option<u64>,
    imports: &[ImportRecord],
    now: Timestamp,
) -> Report<'a> {
    let its = imports.iter().filter(|it| it.campaign == record.id);
    Report {
        imports: its.map(|import| import.report(now)).collect(),
        campaign: record.id.as_str(),
        state: record.state,
        state_since: record.stopped_by().map(|_| record.state_since),
        reason: record
            .reason
            .as_deref()
            .filter(|_| record.stopped_by().is_some()),
        paused_by: record.paused_by.as_ref(),
        cancelled_by: record.cancelled_by.as_ref(),
        distrusted_from: record.distrusted_from,
        books,
        unseen,
    }
}

/// What waits unseen of each campaign. None where the queue does not say: it may be away while the
/// ledger is not.
async fn asked(service: &Service, records: &[CampaignRecord]) -> Vec<Option<u64>> {
    let asking = async {
        let queue = service.queue_to_read().await?;
        let mut all = Vec::new();
        for record in records {
            let (ledger, now) = (&service.ledger, service.clock.now());
            all.push(Some(unseen(ledger, &*queue, &record.id, now).await?));
        }
        queue.close().await;
        Ok::<_, Problem>(all)
    };
    match tokio::time::timeout(QUEUE_PATIENCE, asking).await {
        Ok(Ok(all)) => return all,
        Ok(Err(problem)) => tell!("what waits unseen is not known: {}", problem.text),
        Err(_) => tell!("what waits unseen is not known: the queue does not answer"),
    }
    vec![None; records.len()]
}

/// How many messages wait on a campaign's queue that the ledger has not met yet.
pub(super) async fn unseen(
    ledger: &Ledger,
    queue: &dyn Queue,
    id: &CampaignId,
    now: Timestamp,
) -> Result<u64, Problem> {
    let depth = match queue.depth(id).await {
        Ok(depth) => depth,
        // It was never made: nothing lies on it.
        Err(QueueError::Refused(_)) => return Ok(0),
        Err(error) => return Err(error.into()),
    };
    let known = ledger.on_queue(now).await?.remove(id).unwrap_or_default();
    Ok(known.unseen(depth.ready, depth.unsettled))
}
