//! `flexcast campaign pause`, `resume` and `cancel`.

use clap::Args;

use crate::ledger::ConsumerRow;
use crate::message::CampaignId;
use crate::operate::{Cancelled, Stopped, counted};

use super::listing::{paragraph, with_command};
use super::{ExitCode, GlobalArgs, Problem, output, question};

/// The arguments that `pause` and `cancel` share.
#[derive(Debug, Args)]
pub(super) struct StopArgs {
    /// The campaign's id
    campaign: CampaignId,
    /// The reason, which `status` and `campaign show` show
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The arguments of `flexcast campaign pause`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  flexcast campaign pause spring-renewals --reason \"wrong text\"")]
pub(super) struct PauseArgs {
    #[command(flatten)]
    stop: StopArgs,
}

/// The arguments of `flexcast campaign cancel`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  flexcast campaign cancel spring-renewals --reason \"wrong list\"")]
pub(super) struct CancelArgs {
    #[command(flatten)]
    stop: StopArgs,
    /// Cancel without a question
    #[arg(long, short)]
    yes: bool,
}

/// The arguments of `flexcast campaign resume`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  flexcast campaign resume spring-renewals")]
pub(super) struct ResumeArgs {
    /// The campaign's id
    campaign: CampaignId,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl PauseArgs {
    pub(super) async fn run(self, global: &GlobalArgs) -> Result<ExitCode, Problem> {
        let service = global.reading().await?;
        let (id, reason) = (&self.stop.campaign, self.stop.reason);
        let operations = service.operations();
        let stopped = operations.pause(id, reason, &waiting).await?;
        if self.stop.json {
            output::json(&stopped)?;
            return Ok(ExitCode::Success);
        }
        let by = stopped.now.paused_by.as_ref();
        let by = by.map_or(String::new(), |by| format!(", by {by}"));
        match stopped.changed {
            true => say!("Campaign {id} is paused{by}: no first contact starts any more.")?,
            false => say!("Campaign {id} was paused already{by}: no first contact starts.")?,
        }
        confirmations(&stopped)?;
        let open = are_open(service.read_models().open_messages(id).await?);
        let resume = format!("{open}. Resume the campaign with: flexcast campaign resume {id}");
        say!("{}", with_command(&resume))?;
        Ok(ExitCode::Success)
    }
}

impl ResumeArgs {
    pub(super) async fn run(self, global: &GlobalArgs) -> Result<ExitCode, Problem> {
        let service = global.reading().await?;
        let id = &self.campaign;
        let resumed = service.operations().resume(id).await?;
        if self.json {
            output::json(&resumed)?;
            return Ok(ExitCode::Success);
        }
        let read = service.read_models();
        let open = read.open_messages(id).await?;
        match resumed.changed {
            true => say!("Campaign {id} runs again: {}.", are_open(open))?,
            false => say!("Campaign {id} was running already: {}.", are_open(open))?,
        }
        if open > 0 && read.consumers_at_work().await?.is_empty() {
            say!("No consumer is at work: start one with flexcast work.")?;
        }
        Ok(ExitCode::Success)
    }
}

impl CancelArgs {
    pub(super) async fn run(self, global: &GlobalArgs) -> Result<ExitCode, Problem> {
        let service = global.reading().await?;
        let (id, reason) = (&self.stop.campaign, self.stop.reason);
        let read = service.read_models();
        let record = read.campaign(id).await?;
        let open = counted(read.open_messages(id).await?, "open message");
        let ends = if open.starts_with("1 ") {
            "ends"
        } else {
            "end"
        };
        let question = format!("Cancel campaign {id} for good? Its {open} {ends} unsent.");
        let asks = record.state.can_be_cancelled() && !self.yes && question::can_ask();
        if asks && !question::ask(&question)? {
            tell!("The campaign was not cancelled. To pause it: flexcast campaign pause {id}");
            return Ok(ExitCode::TryAgain);
        }
        let operations = service.operations();
        let cancelled = operations.cancel(id, reason, &waiting).await?;
        if self.stop.json {
            output::json(&cancelled)?;
            return Ok(ExitCode::Success);
        }
        tell_cancelled(id, &cancelled)?;
        Ok(ExitCode::Success)
    }
}

fn tell_cancelled(id: &CampaignId, cancelled: &Cancelled) -> Result<(), Problem> {
    match cancelled.stopped.changed {
        true => say!("Campaign {id} is cancelled: no first contact starts any more.")?,
        false => say!("Campaign {id} was cancelled already: no first contact starts.")?,
    }
    confirmations(&cancelled.stopped)?;
    let are = if cancelled.skipped == 1 { "is" } else { "are" };
    let skipped = counted(cancelled.skipped, "message");
    say!("{skipped} that had not begun {are} skipped.")?;
    if cancelled.open > 0 {
        let text = format!(
            "{} had begun, or may have: a consumer (flexcast work) undoes them, or finishes those whose customers were \
             reached. See: flexcast status {id}",
            counted(cancelled.open, "message")
        );
        say!("{}", with_command(&text))?;
    }
    Ok(())
}

/// `1 message is open`, `12 messages are open`.
fn are_open(messages: u64) -> String {
    let are = if messages == 1 { "is" } else { "are" };
    format!("{} {are} open", counted(messages, "message"))
}

/// Prints which consumers have confirmed a stop, and which have not.
fn confirmations(stopped: &Stopped) -> Result<(), Problem> {
    match stopped.confirmed {
        0 => {}
        1 => say!("1 consumer confirmed it.")?,
        some => say!("{some} consumers confirmed it.")?,
    }
    for ConsumerRow { pid, host, .. } in &stopped.unconfirmed {
        let text = format!(
            "The consumer on {host} (process {pid}) did not confirm: its right to start calls has expired."
        );
        say!("{}", paragraph("", &text))?;
    }
    Ok(())
}

/// Prints the consumers whose confirmation is waited for.
pub(super) fn waiting(consumers: &[ConsumerRow]) {
    for ConsumerRow { pid, host, .. } in consumers {
        tell!(
            "Waiting for the consumer on {host} (process {pid}) to confirm, or for its right to start calls to \
            expire."
        );
    }
}
