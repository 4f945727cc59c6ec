//! `flexcast campaign pace`: changes the pace of a running campaign.

use clap::Args;

use crate::message::CampaignId;
use crate::operate::{PaceChange, QuotaChange};
use crate::pacing::{InvalidQuota, Quota};

use super::{ExitCode, GlobalArgs, Problem, output};

/// The arguments of `flexcast campaign pace`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  flexcast campaign pace spring-renewals --campaign 2/s --agent 5/min")]
pub(super) struct PaceArgs {
    /// The campaign's id
    #[arg(value_name = "CAMPAIGN")]
    id: CampaignId,
    /// The limit of messages started in the whole campaign, such as 2/s, 600/min or none
    #[arg(long, value_name = "QUOTA", required_unless_present = "agent", value_parser = parse_change)]
    campaign: Option<QuotaChange>,
    /// The limit of messages started for each agent, such as 5/min or none
    #[arg(long, value_name = "QUOTA", value_parser = parse_change)]
    agent: Option<QuotaChange>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Reads a quota, or `none`.
fn parse_change(text: &str) -> Result<QuotaChange, String> {
    if text == "none" {
        return Ok(QuotaChange::Lifted);
    }
    let quota = text.parse().map(QuotaChange::Becomes);
    quota.map_err(|error: InvalidQuota| format!("{error}, or 'none'"))
}

impl PaceArgs {
    pub(super) async fn run(self, global: &GlobalArgs) -> Result<ExitCode, Problem> {
        let service = global.reading().await?;
        let change = PaceChange {
            campaign: self.campaign.unwrap_or_default(),
            agent: self.agent.unwrap_or_default(),
        };
        let paced = service.operations().set_pace(&self.id, change).await?;
        if self.json {
            output::json(&paced)?;
            return Ok(ExitCode::Success);
        }
        let text =
            |quota: Option<Quota>| quota.map_or("no limit".to_owned(), |quota| quota.to_string());
        say!(
            "Campaign {}: {} for the whole campaign, {} for each agent.",
            paced.campaign,
            text(paced.pace.campaign),
            text(paced.pace.agent)
        )?;
        Ok(ExitCode::Success)
    }
}
