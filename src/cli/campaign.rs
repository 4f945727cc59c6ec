//! `flexcast campaign`: apply a campaign file; list, show, finish and export campaigns. The subcommand `pace` is in
//! `pace.rs`, and `pause`, `resume` and `cancel` are in `lifecycle.rs`.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use comfy_table::Cell;

use crate::campaign::{self, Campaign};
use crate::ledger::{CampaignRecord, CampaignState};
use crate::message::{Address, CampaignId};
use crate::operate::{
    AppliedCampaign, CampaignList, ExportWhich, OperateError, Replacing, counted, definition,
    notices, paused_notice, plural,
};
use crate::service::Service;
use crate::twilio::Twilio;

use super::lifecycle::{CancelArgs, PauseArgs, ResumeArgs, waiting};
use super::listing::{LimitArgs, with_command};
use super::pace::PaceArgs;
use super::{ExitCode, GlobalArgs, Problem, difference, output, question};

/// Apply, list, show, pause, resume, cancel and export campaigns.
#[derive(Debug, Subcommand)]
pub(super) enum CampaignCommand {
    /// Check a campaign file against the account, fill in the missing SIDs, and record it in the ledger
    Apply(ApplyArgs),
    /// List campaigns with the states of their messages, in the order in which they were first applied
    #[command(alias = "ls")]
    List(CampaignListArgs),
    /// Show one campaign as it is recorded, with the SIDs that were found in the account
    Show(CampaignShowArgs),
    /// Change the pace of a campaign while it runs: consumers follow within a second
    ///
    /// The pace holds until the campaign is applied again: then the pace in its file holds. A limit that is not given
    /// here does not change.
    Pace(PaceArgs),
    /// Pause a campaign, a sender, an agent or everything: once this command returns, no first contact starts
    ///
    /// A pause of a sender, an agent or everything (--all) covers all campaigns, and does not change their own states.
    /// The command returns when every consumer has confirmed the pause, or when the right of each other consumer to
    /// start calls has expired. That takes at most three seconds. An undo that has begun is finished.
    Pause(PauseArgs),
    /// Resume a paused campaign, or end a pause of a sender, an agent or everything
    Resume(ResumeArgs),
    /// Cancel a campaign for good: messages that have not begun are skipped, messages that are half done are undone
    ///
    /// Messages whose customers were already reached are finished.
    Cancel(CancelArgs),
    /// Close a campaign to new messages: its publishers send no more, and no message is open
    ///
    /// A campaign whose messages come from files alone finishes by itself.
    Finish(FinishArgs),
    /// Write a campaign to standard output as CSV: one line for each message and each rejected row
    Export(ExportArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  flexcast campaign apply spring-renewals.toml")]
pub(super) struct ApplyArgs {
    /// The campaign file
    file: PathBuf,
    /// Move messages to this sender of the file if they have not begun and the file no longer has their sender
    #[arg(long, value_name = "SENDER")]
    move_to: Option<String>,
    /// Only show what the file would change
    #[arg(long)]
    dry_run: bool,
    /// Change a campaign with open messages without a question
    #[arg(long, short)]
    yes: bool,
    /// Print JSON: the campaign; with --dry-run, the difference
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  flexcast campaign list")]
pub(super) struct CampaignListArgs {
    #[command(flatten)]
    limit: LimitArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  flexcast campaign show spring-renewals")]
pub(super) struct CampaignShowArgs {
    /// The campaign's id
    campaign: CampaignId,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  flexcast campaign finish spring-renewals")]
pub(super) struct FinishArgs {
    /// The campaign's id
    campaign: CampaignId,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  flexcast campaign export spring-renewals --failed > failed.csv")]
pub(super) struct ExportArgs {
    /// The campaign's id
    campaign: CampaignId,
    /// Write only dead messages and rejected rows; with --skipped, both
    #[arg(long)]
    failed: bool,
    /// Write only skipped messages; with --as-input, without customers who have opted out
    #[arg(long)]
    skipped: bool,
    /// Write a file of contacts that can be imported again, with all attributes, and without the rejected rows (they
    /// are in FILE.rejects.csv)
    #[arg(long)]
    as_input: bool,
}

impl CampaignCommand {
    pub(super) async fn run(self, global: &GlobalArgs) -> Result<ExitCode, Problem> {
        match self {
            Self::Apply(apply) => apply.run(global).await,
            Self::List(list) => list.run(global).await,
            Self::Show(show) => show.run(global).await,
            Self::Pace(pace) => pace.run(global).await,
            Self::Pause(pause) => pause.run(global).await,
            Self::Resume(resume) => resume.run(global).await,
            Self::Cancel(cancel) => cancel.run(global).await,
            Self::Finish(finish) => finish.run(global).await,
            Self::Export(export) => export.run(global).await,
        }
    }
}

impl ApplyArgs {
    async fn run(self, global: &GlobalArgs) -> Result<ExitCode, Problem> {
        let campaign = campaign::load(&self.file)?;
        let service = global.service().await?;
        let twilio = service.twilio()?;
        let replacing = Replacing {
            move_to: self.move_to()?,
        };
        let campaign = checked(&service, &twilio, campaign).await?;
        let difference = service.read_models().apply_difference(&campaign).await?;
        if self.dry_run {
            match self.json {
                true => output::json(&difference)?,
                false => say!("{}", difference::text(&campaign.id, &difference))?,
            }
            return Ok(ExitCode::Success);
        }
        if !difference.changes.is_empty() {
            tell!("{}", difference::text(&campaign.id, &difference));
            let asks = difference.open > 0 && !self.yes && question::can_ask();
            if asks && !question::ask(&format!("Apply the file to campaign {}?", campaign.id))? {
                tell!("Nothing was applied.");
                return Ok(ExitCode::TryAgain);
            }
        }
        let applied = applied(&service, campaign, &replacing).await?;
        let record = applied.record;
        // The queue exists before the first import.
        service.queue().await?.open(&record.id).await?;
        if self.json {
            output::json(&record)?;
        } else {
            say!("Campaign {} is {}.", record.id, record.state)?;
            if let Some(to) = &self.move_to {
                say!("{} moved to {to}.", were(applied.moved))?;
            }
            if applied.kept > 0 {
                let kept = counted(applied.kept, "message");
                let begun = plural(
                    applied.kept,
                    "has begun and keeps its sender",
                    "have begun and keep their senders",
                );
                say!("{kept} {begun}.")?;
            }
            match record.state {
                CampaignState::Paused => output::notices(notices(&record))?,
                _ => say!("Next: flexcast import {} CONTACTS.csv", record.id)?,
            }
        }
        Ok(ExitCode::Success)
    }

    fn move_to(&self) -> Result<Option<Address>, Problem> {
        let address = self.move_to.as_deref().map(Address::parse).transpose();
        address.map_err(|error| Problem::new(ExitCode::Usage, format!("--move-to: {error}")))
    }
}

/// `1 message was`, `12 messages were`.
fn were(messages: u64) -> String {
    let were = plural(messages, "was", "were");
    format!("{} {were}", counted(messages, "message"))
}

/// Checks a campaign, fills it in from the account and records it. Prints warnings on standard error.
pub(super) async fn apply(
    service: &Service,
    twilio: &Twilio,
    campaign: Campaign,
) -> Result<CampaignRecord, Problem> {
    let campaign = checked(service, twilio, campaign).await?;
    let difference = service.read_models().apply_difference(&campaign).await?;
    if !difference.changes.is_empty() {
        tell!("{}", difference::text(&campaign.id, &difference));
    }
    Ok(applied(service, campaign, &Replacing::default())
        .await?
        .record)
}

/// Checks a campaign and fills it in from the account.
async fn checked(
    service: &Service,
    twilio: &Twilio,
    campaign: Campaign,
) -> Result<Campaign, Problem> {
    let defaults = &service.config.file.flex;
    // The account is checked first: a ledger that is bound to another account must not be written.
    let twilio = service.patient(twilio);
    let checked = campaign::apply(&twilio, campaign, defaults).await?;
    service.bind(&twilio).await?;
    for warning in checked.warnings {
        alert!("warning: {warning}");
    }
    Ok(checked.campaign)
}

async fn applied(
    service: &Service,
    campaign: Campaign,
    replacing: &Replacing,
) -> Result<AppliedCampaign, Problem> {
    let operations = service.operations();
    Ok(operations.apply(campaign, replacing, &waiting).await?)
}

/// Finds the campaign that a command names: by the id of an applied campaign, or by a campaign file, which is applied
/// first.
pub(super) async fn named(service: &Service, name: &str) -> Result<CampaignRecord, Problem> {
    let path = Path::new(name);
    if path.is_file() {
        let campaign = campaign::load(path)?;
        let twilio = service.twilio()?;
        return apply(service, &twilio, campaign).await;
    }
    let id = CampaignId::parse(name).map_err(|error| {
        Problem::new(
            ExitCode::Usage,
            format!("{error}; and there is no file of this name"),
        )
    })?;
    match service.read_models().campaign(&id).await {
        Err(error @ OperateError::NoCampaign { .. }) => {
            let problem = Problem::from(error);
            // The name may be that of a file which is elsewhere.
            let text = format!("there is no file {name:?}, and {}", problem.text);
            Err(Problem::new(problem.code, text))
        }
        found => Ok(found?),
    }
}

impl FinishArgs {
    async fn run(self, global: &GlobalArgs) -> Result<ExitCode, Problem> {
        let service = global.reading().await?;
        let operations = service.operations();
        operations.finish(&self.campaign, &service).await?;
        say!("Campaign {} is finished.", self.campaign)?;
        Ok(ExitCode::Success)
    }
}

impl ExportArgs {
    async fn run(self, global: &GlobalArgs) -> Result<ExitCode, Problem> {
        let service = global.reading().await?;
        let read = service.read_models();
        let which = ExportWhich {
            failed: self.failed,
            skipped: self.skipped,
        };
        let mut export = match self.as_input {
            true => read.export_contacts(&self.campaign, which).await?,
            false => read.export(&self.campaign, which).await?,
        };
        let mut out = output::data();
        while let Some(piece) = export.next().await? {
            out.write_all(&piece)?;
        }
        out.flush()?;
        Ok(ExitCode::Success)
    }
}

impl CampaignListArgs {
    async fn run(self, global: &GlobalArgs) -> Result<ExitCode, Problem> {
        let service = global.reading().await?;
        let limit = self.limit.rows(self.json);
        let list = service.read_models().campaign_list(limit).await?;
        match self.json {
            true => output::json(&list.campaigns)?,
            false => show_list(&list)?,
        }
        Ok(ExitCode::Success)
    }
}

/// Prints the campaigns and what to do next.
fn show_list(list: &CampaignList) -> io::Result<()> {
    if list.total == 0 {
        let text = "No campaigns. To add one: flexcast campaign apply FILE";
        return say!("{}", with_command(text));
    }
    let header = [
        "campaign", "state", "accepted", "open", "done", "skipped", "dead", "unknown",
    ];
    let mut table = output::table(&header);
    for row in &list.campaigns {
        let numbers = [
            row.accepted,
            row.open,
            row.done,
            row.skipped,
            row.dead,
            row.unknown,
        ];
        let record = &row.record;
        let names = [Cell::new(&record.id), Cell::new(record.state)];
        table.add_row(names.into_iter().chain(numbers.map(output::number)));
    }
    say!("{table}\n")?;
    if list.left_out > 0 {
        let (left_out, total) = (list.left_out, list.total);
        let text = format!(
            "{left_out} earlier campaigns are left out. To list all: flexcast campaign list --limit {total}"
        );
        say!("{}", with_command(&text))?;
    }
    say!("Details: flexcast status CAMPAIGN")
}

impl CampaignShowArgs {
    async fn run(self, global: &GlobalArgs) -> Result<ExitCode, Problem> {
        let service = global.reading().await?;
        let read = service.read_models();
        let record = read.campaign(&self.campaign).await?;
        if self.json {
            output::json(&record)?;
            return Ok(ExitCode::Success);
        }
        say!("# {}, applied {}", record.state, record.applied_at)?;
        if let Some(notice) = paused_notice(&record) {
            say!("# {notice}")?;
        } else if let Some(reason) = &record.reason {
            say!("# {reason}")?;
        }
        let file = toml::to_string(&definition(&record)?)
            .map_err(|error| Problem::new(ExitCode::Failed, error.to_string()))?;
        say!("{file}")?;
        output::report(&read.report(&record.id, None).await?)?;
        Ok(ExitCode::Success)
    }
}
