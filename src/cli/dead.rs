//! `flexcast dead`: messages that failed for good, and why.

use std::io;

use clap::{Args, Subcommand};
use shell_words::quote;

use crate::ledger::{DeadRow, MessageKey, UpcomingUndo};
use crate::message::{CampaignId, Failure, MessageId};
use crate::operate::{DeadGroup, DeadLetters, counted, grouped};

use super::listing::{LimitArgs, paragraph, with_command};
use super::next_steps::state_flag;
use super::{ExitCode, GlobalArgs, Problem, details, output};

/// Show dead letters: messages that failed for good, and why.
#[derive(Debug, Subcommand)]
pub(super) enum DeadCommand {
    /// Count all dead letters by reason, and list the latest
    ///
    /// Publishers' messages that were refused are among them.
    #[command(alias = "ls")]
    List(DeadListArgs),
    /// Show one message, dead or not: its state, its attempts and its journal
    Show(DeadShowArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  flexcast dead list spring-renewals")]
pub(super) struct DeadListArgs {
    /// List only the dead letters of this campaign
    campaign: Option<CampaignId>,
    #[command(flatten)]
    limit: LimitArgs,
    /// Only count by reason, step and Twilio's code
    #[arg(long, conflicts_with = "limit")]
    groups: bool,
    /// Print JSON: a list of dead letters; with --groups, a list of counts
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  flexcast dead show spring-renewals crm-4711")]
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
        let limit = match self.groups {
            true => Some(0),
            false => self.limit.rows(self.json),
        };
        let letters = service.read_models().dead_letters(campaign, limit).await?;
        match (self.json, self.groups) {
            (true, true) => output::json(&letters.groups)?,
            (true, false) => output::json(&letters.letters)?,
            (false, _) => show_letters(&letters, campaign, &state_flag(&service))?,
        }
        Ok(ExitCode::Success)
    }
}

/// Prints the counts, the latest dead letters, and what to do next. `campaign`: all are of this one. `state`: the flag of
/// the ledger.
fn show_letters(
    letters: &DeadLetters,
    campaign: Option<&CampaignId>,
    state: &str,
) -> io::Result<()> {
    let of = campaign.map_or(String::new(), |id| format!(" of {id}"));
    let total = match letters.total {
        0 => return say!("{}", paragraph("", &format!("No dead letters{of}"))),
        total => counted(total, "dead letter"),
    };
    say!("{}", paragraph("", &format!("{total}{of}, by reason")))?;
    let most = letters.groups.iter().map(|group| group.count.letters).max();
    let width = grouped(most.unwrap_or_default()).len();
    for group in &letters.groups {
        say!("")?;
        show_group(group, width, state)?;
    }
    match letters.letters.len() {
        0 => {}
        _ if letters.left_out == 0 => say!("\nAll of them, latest first")?,
        1 => say!("\nThe latest one")?,
        latest => say!("\nThe latest {}", grouped(latest as u64))?,
    }
    for row in &letters.letters {
        say!("")?;
        show_row(row, campaign.is_some())?;
    }
    let name = campaign.map_or(String::new(), |id| format!(" {id}"));
    say!("")?;
    if letters.left_out > 0 {
        let (left_out, total) = (letters.left_out, letters.total);
        let text = format!(
            "{} older ones are left out. To list all: flexcast dead list{name} --limit {total}{state}",
            grouped(left_out)
        );
        say!("{}", with_command(&text))?;
    }
    if letters.groups.iter().all(|group| group.count.refused) {
        return Ok(());
    }
    let all = campaign.map_or("CAMPAIGN", CampaignId::as_str);
    let text = format!(
        "To write the dead messages as CSV: flexcast campaign export {all} --failed{state}"
    );
    say!("{}", with_command(&text))
}

/// Prints how many dead letters failed in the same way, what that means, and how to see one of them.
fn show_group(group: &DeadGroup, width: usize, state: &str) -> io::Result<()> {
    let DeadGroup {
        count,
        meaning,
        action,
    } = group;
    let letters = format!("{:>width$}  ", grouped(count.letters));
    let indent = " ".repeat(letters.len());
    let mut title = count.reason.to_string();
    if let Some(step) = count.step {
        title += &format!(" at step {step}");
    }
    if let Some(code) = count.code {
        title += &format!(", Twilio error {code}");
    }
    if count.refused {
        title += ", refused when it arrived from its publisher";
    }
    say!("{}", paragraph(&letters, &title))?;
    let action = action.map_or(String::new(), |action| format!(" {action}"));
    say!("{}", paragraph(&indent, &format!("{meaning}{action}")))?;
    let example = match &count.example.id {
        Some(id) => format!(
            "flexcast dead show {} {}{state}",
            count.example.campaign,
            quote(id.as_str())
        ),
        None => count.example.failure.to_string(),
    };
    say!("{}", paragraph(&indent, &format!("Example: {example}")))
}

/// Prints one dead letter. Its campaign is named unless all are of one.
fn show_row(row: &DeadRow, is_of_one: bool) -> io::Result<()> {
    let name = match (&row.id, is_of_one) {
        (Some(id), true) => id.to_string(),
        (Some(id), false) => format!("{}/{id}", row.campaign),
        (None, true) => "a refused message".to_owned(),
        (None, false) => format!("a refused message to {}", row.campaign),
    };
    let customer = row.customer.as_ref();
    let customer = customer.map_or(String::new(), |customer| format!(" to {customer}"));
    let attempts = match row.attempts {
        0 => String::new(),
        1 => ", 1 attempt".to_owned(),
        attempts => format!(", {attempts} attempts"),
    };
    let at = output::time(row.at);
    say!(
        "{}",
        paragraph("", &format!("{name}{customer}, {at}{attempts}"))
    )?;
    let what_happened = what_happened(&row.failure, row.undo);
    say!(
        "{}",
        paragraph("  ", &format!("{}: {what_happened}", row.reason))
    )
}

fn what_happened(failure: &Failure, undo: Option<UpcomingUndo>) -> String {
    match undo {
        Some(UpcomingUndo { tries: 0, due }) => {
            format!(
                "{failure}; the undo is tried again at {}",
                output::time(due)
            )
        }
        Some(UpcomingUndo { tries, due }) => {
            let due = output::time(due);
            let tries = counted(tries.into(), "time");
            format!("{failure}; the undo was tried again {tries}, next at {due}")
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
        let agent = record.message.agent.as_ref();
        let agent = agent.map(|agent| ("agent", agent.worker.clone()));
        let others = [
            ("accepted", record.accepted_at.to_string()),
            ("attempts", record.attempts.to_string()),
        ];
        let facts = agent.into_iter().chain(others);
        let facts = facts.map(|(name, value)| (name.to_owned(), value));
        details::standing(facts.collect(), &record.standing)?;
        if !record.journal.is_empty() {
            say!("journal (UTC)")?;
        }
        for (at, event) in &record.journal {
            details::event(*at, event)?;
        }
        Ok(ExitCode::Success)
    }
}
