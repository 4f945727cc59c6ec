//! `flexcast status`: shows the states of messages.

use clap::Args;

use crate::message::CampaignId;

use super::place::LocatedReport;
use super::{ExitCode, GlobalArgs, Problem, broker, output};

/// Show the states of the messages of one campaign, or of all campaigns.
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// The campaign's id; without one, all campaigns
    campaign: Option<CampaignId>,
    /// Print JSON: one report, or a list of reports, each with the limits that its messages use
    #[arg(long)]
    json: bool,
}

impl StatusArgs {
    pub(super) async fn run(self, global: &GlobalArgs) -> Result<ExitCode, Problem> {
        let service = global.reading().await?;
        let campaign = self.campaign.as_ref();
        let status = service.read_models().status(campaign, &service).await?;
        if let Some(why) = &status.unread_unknown {
            tell!("the number of published messages that are not read yet is not known: {why}");
        }
        if self.json {
            let mut reports = status
                .of_each()
                .map(|report| LocatedReport::of(report, &service));
            match campaign {
                Some(_) => output::json(&reports.next())?,
                None => output::json(&reports.collect::<Vec<_>>())?,
            }
            return Ok(ExitCode::Success);
        }
        for report in &status.campaigns {
            output::report(report)?;
            output::notices(report.notices())?;
            output::imports(&report.imports)?;
        }
        let shown = &status.shown;
        output::lanes(&shown.lanes, shown.left_out)?;
        output::obstacles(&shown.obstacles)?;
        output::away(&shown.away)?;
        broker::nodes(&shown.nodes)?;
        output::damaged(&status.damaged)?;
        if let Some(inspection) = &status.broker {
            output::broker(inspection)?;
        }
        Ok(ExitCode::Success)
    }
}
