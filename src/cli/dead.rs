//! `flexcast dead`: messages that failed for good, and why.

use clap::{Args, Subcommand};

use crate::ledger::{DeadRow, MessageKey, UpcomingUndo};
use crate::message::{CampaignId, Failure, MessageId};

use super::{ExitCode, GlobalArgs, Problem, output};

/// Show dead letters: messages that failed for good, and why.
#[derive(Debug, Subcommand)]
pub(super) enum DeadCommand {
    /// List all dead letters, oldest first
    List(DeadListArgs),
    /// Show one dead letter: the message, its attempts and its journal
    Show(DeadShowArgs),
}

#[derive(Debug, Args)]
pub(super) struct DeadListArgs {
    /// List only the dead letters of this campaign
    campaign: Option<CampaignId>,
    /// The maximum number of lines
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    limit: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct DeadShowArgs {
    /// The campaign's id
    campaign: CampaignId,
    /// The message's id
    id: MessageId,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl DeadCommand {
    pub(super) async fn run(self, global: &GlobalArgs) -> Result<ExitCode, Problem> {
        match self {
            Self::List(list) => list.run(global).await,
            Self::Show(show) => show.run(global).await,
        }
    }
}

impl DeadListArgs {
    async fn run(self, global: &GlobalArgs) -> Result<ExitCode, Problem> {
        let service = global.reading().await?;
        let campaign = self.campaign.as_ref();
        let rows = service
            .read_models()
            .dead_letters(campaign, self.limit)
            .await?;
        if self.json {
            output::json(&rows)?;
            return Ok(ExitCode::Success);
        }
        let header = [
            "campaign",
            "id",
            "customer",
            "reason",
            "code",
            "attempts",
            "what happened",
        ];
        let mut table = output::table(&header);
        for row in rows {
            table.add_row(cells(row));
        }
        say!("{table}")?;
        Ok(ExitCode::Success)
    }
}

fn cells(row: DeadRow) -> Vec<String> {
    vec![
        row.campaign.to_string(),
        row.id.map(|id| id.to_string()).unwrap_or_default(),
        row.customer.unwrap_or_default(),
        row.reason.to_string(),
        row.failure
            .code
            .map(|code| code.to_string())
            .unwrap_or_default(),
        row.attempts.to_string(),
        what_happened(&row.failure, row.undo),
    ]
}

fn what_happened(failure: &Failure, undo: Option<UpcomingUndo>) -> String {
    match undo {
        Some(UpcomingUndo { tries: 0, due }) => {
            format!("{failure}; the undo is tried again at {due}")
        }
        Some(UpcomingUndo { tries, due }) => {
            format!("{failure}; the undo was tried again {tries} times, next at {due}")
        }
        None => failure.to_string(),
    }
}

impl DeadShowArgs {
    async fn run(self, global: &GlobalArgs) -> Result<ExitCode, Problem> {
        let service = global.reading().await?;
        let key = MessageKey {
            campaign: self.campaign,
            id: self.id,
        };
        let record = service.read_models().message(&key).await?;
        if self.json {
            output::json(&record)?;
            return Ok(ExitCode::Success);
        }
        say!("{key} to {}", record.message.customer.address)?;
        if let Some(agent) = &record.message.agent {
            say!("agent     {}", agent.worker)?;
        }
        say!("accepted  {}", record.accepted_at)?;
        say!("attempts  {}", record.attempts)?;
        let standing = serde_json::to_string_pretty(&record.standing)
            .map_err(|error| Problem::new(ExitCode::Failed, error.to_string()))?;
        say!("standing  {standing}")?;
        say!("journal")?;
        for (at, event) in &record.journal {
            let event = serde_json::to_string(event)
                .map_err(|error| Problem::new(ExitCode::Failed, error.to_string()))?;
            say!("  {at}  {event}")?;
        }
        Ok(ExitCode::Success)
    }
}
