//! `flexcast unknown`: messages that may or may not have been sent.

use clap::{ArgGroup, Args, Subcommand};

use crate::ledger::MessageKey;
use crate::message::{CampaignId, MessageId};
use crate::operate::UnknownFinding;

use super::{ExitCode, GlobalArgs, Problem, output};

/// List messages whose outcome is unknown, and settle them.
#[derive(Debug, Subcommand)]
pub(super) enum UnknownCommand {
    /// List all unknown messages, oldest first, with the evidence
    List(UnknownListArgs),
    /// Record whether an unknown message was sent, after you have checked in Twilio's console
    Settle(SettleArgs),
}

#[derive(Debug, Args)]
pub(super) struct UnknownListArgs {
    /// List only the unknown messages of this campaign
    campaign: Option<CampaignId>,
    /// The maximum number of lines
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    limit: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("finding").required(true).args(["sent", "not_sent"]))]
pub(super) struct SettleArgs {
    /// The campaign's id
    campaign: CampaignId,
    /// The message's id
    id: MessageId,
    /// The message was sent: it counts as done
    #[arg(long)]
    sent: bool,
    /// The message was not sent: it waits again, and continues with the step whose outcome was unknown
    #[arg(long)]
    not_sent: bool,
}

impl UnknownCommand {
    pub(super) async fn run(self, global: &GlobalArgs) -> Result<ExitCode, Problem> {
        match self {
            Self::List(list) => list.run(global).await,
            Self::Settle(settle) => settle.run(global).await,
        }
    }
}

impl UnknownListArgs {
    async fn run(self, global: &GlobalArgs) -> Result<ExitCode, Problem> {
        let service = global.reading().await?;
        let campaign = self.campaign.as_ref();
        let rows = service.read_models().unknowns(campaign, self.limit).await?;
        if self.json {
            output::json(&rows)?;
            return Ok(ExitCode::Success);
        }
        let mut table = output::table(&["campaign", "id", "customer", "since", "evidence"]);
        for row in rows {
            table.add_row(vec![
                row.campaign.to_string(),
                row.id.to_string(),
                row.customer,
                row.at.to_string(),
                row.evidence,
            ]);
        }
        say!("{table}")?;
        Ok(ExitCode::Success)
    }
}

impl SettleArgs {
    async fn run(self, global: &GlobalArgs) -> Result<ExitCode, Problem> {
        let service = global.reading().await?;
        let key = MessageKey {
            campaign: self.campaign,
            id: self.id,
        };
        let finding = match self.sent {
            true => UnknownFinding::Sent,
            false => UnknownFinding::NotSent,
        };
        service.operations().settle_unknown(&key, finding).await?;
        if self.sent {
            say!("{key} is done.")?;
        } else {
            say!("{key} waits again; a consumer (flexcast work) carries it out.")?;
        }
        Ok(ExitCode::Success)
    }
}
