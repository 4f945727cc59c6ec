//! `flexcast status`: shows the states of messages.

use std::io;

use clap::Args;

use crate::ledger::ImportReport;
use crate::message::CampaignId;
use crate::operate::{StatusReport, counted, grouped};

use super::listing::{LimitArgs, paragraph, with_command};
use super::next_steps::next_steps;
use super::place::LocatedReport;
use super::{ExitCode, GlobalArgs, Problem, broker, output};

/// Show the states of the messages of one campaign, or of all.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  flexcast status spring-renewals")]
pub(super) struct StatusArgs {
    /// The campaign's id; without one, all campaigns
    campaign: Option<CampaignId>,
    #[command(flatten)]
    limit: LimitArgs,
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
        let total = status.campaigns.len();
        // The latest campaigns are shown, and they are the last ones.
        let left_out = match (campaign, self.limit.rows(self.json)) {
            (None, Some(limit)) => total.saturating_sub(limit),
            _ => 0,
        };
        if self.json {
            let mut reports = status
                .of_each()
                .skip(left_out)
                .map(|report| LocatedReport::of(report, &service));
            match campaign {
                Some(_) => output::json(&reports.next())?,
                None => output::json(&reports.collect::<Vec<_>>())?,
            }
            return Ok(ExitCode::Success);
        }
        if total == 0 {
            say!("No campaigns. To add one:\n  flexcast campaign apply FILE")?;
        }
        if left_out > 0 {
            say!("{left_out} earlier campaigns are left out. To show all:")?;
            say!("  flexcast status --limit {total}\n")?;
        }
        for (at, report) in status.campaigns[left_out..].iter().enumerate() {
            if at > 0 {
                say!("")?;
            }
            output::report(report)?;
            output::notices(report.notices())?;
            output::notices(next_steps(&service, report))?;
            imports(&report.campaign, &report.imports)?;
        }
        consumers(&status)?;
        let shown = &status.shown;
        let busiest = self.limit.rows(false).unwrap_or_default();
        let busiest = &shown.lanes[..busiest.min(shown.lanes.len())];
        let others = (shown.lanes.len() - busiest.len()) as u64;
        output::lanes(busiest, shown.left_out + others)?;
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

/// How many imports a report shows; `--json` has all.
const IMPORTS_SHOWN: usize = 5;

/// Prints the latest imports of a campaign.
fn imports(campaign: &CampaignId, imports: &[ImportReport]) -> io::Result<()> {
    let left_out = imports.len().saturating_sub(IMPORTS_SHOWN);
    if left_out > 0 {
        let text = format!(
            "{left_out} earlier imports are left out. To list all: flexcast status {campaign} --json"
        );
        say!("{}", with_command(&text))?;
    }
    for import in &imports[left_out..] {
        let counts = &import.counts;
        let title = format!("Import of {}: {}", import.file, import.state);
        say!("{}", paragraph("", &title))?;
        let after = match import.after_row {
            0 => String::new(),
            after => format!(" after row {}", grouped(after)),
        };
        let text = format!(
            "{}{after}, {} accepted, {} rejected, {} duplicate",
            counted(counts.rows, "row"),
            grouped(counts.accepted),
            grouped(counts.rejected),
            grouped(counts.duplicate)
        );
        say!("{}", paragraph("  ", &text))?;
        let (begun, seen) = (output::time(import.begun_at), output::time(import.seen_at));
        say!("  {begun} to {seen}")?;
    }
    Ok(())
}

/// Prints the consumers that are at work on the ledger, or that none is.
fn consumers(status: &StatusReport) -> io::Result<()> {
    let names: Vec<_> = status.consumers.iter().map(ToString::to_string).collect();
    let text = match names.len() {
        0 if status.needs_consumer() => {
            "No consumer is at work: start one with flexcast work.".to_owned()
        }
        0 => "No consumer is at work.".to_owned(),
        1 => format!("1 consumer is at work: {}.", names[0]),
        count => format!("{count} consumers are at work: {}.", names.join(", ")),
    };
    say!("{}", paragraph("", &text))
}
