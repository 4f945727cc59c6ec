//! `flexcast status`: where the messages are.

use clap::Args;

use crate::ledger::{Ledger, Report};
use crate::message::CampaignId;

use super::{ExitCode, Global, Problem, campaign, output};

/// Where the messages of a campaign are, or of all campaigns.
#[derive(Debug, Args)]
pub(super) struct Status {
    /// The campaign's id; without one, all campaigns
    campaign: Option<CampaignId>,
    /// Print JSON: one report, or a list of reports
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
        let reports: Vec<Report<'_>> = records
            .iter()
            .zip(&books)
            .map(|(record, books)| Report {
                campaign: record.id.as_str(),
                books,
            })
            .collect();
        match (self.json, self.campaign.is_some()) {
            (true, true) => output::json(&reports[0])?,
            (true, false) => output::json(&reports)?,
            (false, _) => reports.iter().try_for_each(output::report)?,
        }
        Ok(ExitCode::Success)
    }
}
