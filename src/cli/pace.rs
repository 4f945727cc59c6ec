//! `flexcast campaign pace`: how fast a campaign goes, changed while it goes.

use std::str::FromStr;

use clap::Args;
use serde::Serialize;

use crate::campaign;
use crate::message::CampaignId;
use crate::pacing::Quota;

use super::campaign::{definition, find};
use super::{ExitCode, Global, Problem, output};

/// How often it is tried when somebody else writes the campaign at the same time.
const TRIES: u32 = 5;

/// What `flexcast campaign pace` takes.
#[derive(Debug, Args)]
pub(super) struct Pace {
    /// The campaign's id
    #[arg(value_name = "CAMPAIGN")]
    id: CampaignId,
    /// Messages begun over the whole campaign, such as 2/s, 600/min or none
    #[arg(long, value_name = "QUOTA", required_unless_present = "agent")]
    campaign: Option<Wanted>,
    /// Messages begun for each agent, such as 5/min or none
    #[arg(long, value_name = "QUOTA")]
    agent: Option<Wanted>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A quota, or none.
#[derive(Clone, Copy, Debug)]
struct Wanted(Option<Quota>);

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(None));
        }
        let quota = text.parse().map(|quota| Self(Some(quota)));
        quota.map_err(|error: crate::pacing::InvalidQuota| format!("{error}, or 'none'"))
    }
}

/// What `--json` prints.
#[derive(Serialize)]
struct Paced<'a> {
    campaign: &'a CampaignId,
    pace: &'a campaign::Pace,
}

impl Pace {
    pub(super) async fn run(self, global: &Global) -> Result<ExitCode, Problem> {
        let service = global.reading().await?;
        let ledger = &service.ledger;
        for _ in 0..TRIES {
            let record = find(&service, &self.id).await?;
            let mut changed = definition(&record)?;
            let pace = &mut changed.pace;
            pace.campaign = self.campaign.map_or(pace.campaign, |wanted| wanted.0);
            pace.agent = self.agent.map_or(pace.agent, |wanted| wanted.0);
            // Only this key: whatever else the definition has stays as it was written.
            let mut to = record.definition.clone();
            to["pace"] = serde_json::to_value(&changed.pace)
                .map_err(|error| Problem::new(ExitCode::Failed, error.to_string()))?;
            let now = service.clock.now();
            let replacing = ledger.redefine(&record.id, &record.definition, &to, now);
            if !replacing.await? {
                continue;
            }
            return self.tell(&changed.pace);
        }
        let text = format!(
            "campaign {} is being changed by somebody else: try again",
            self.id
        );
        Err(Problem::new(ExitCode::TryAgain, text))
    }

    fn tell(&self, pace: &campaign::Pace) -> Result<ExitCode, Problem> {
        if self.json {
            let campaign = &self.id;
            output::json(&Paced { campaign, pace })?;
            return Ok(ExitCode::Success);
        }
        let text = |quota: Option<Quota>| quota.map_or("none".to_owned(), |one| one.to_string());
        say!(
            "Campaign {}: {} over the campaign, {} for each agent.",
            self.id,
            text(pace.campaign),
            text(pace.agent)
        )?;
        Ok(ExitCode::Success)
    }
}
