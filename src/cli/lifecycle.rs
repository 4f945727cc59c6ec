//! `flexcast campaign pause`, `resume` and `cancel`.

use clap::Args;

use crate::ledger::{ConsumerRow, PauseScope};
use crate::message::{Address, CampaignId};
use crate::operate::{Cancelled, PausedScope, counted, plural, scope_option, scope_title};

use super::listing::{paragraph, with_command};
use super::{ExitCode, GlobalArgs, Problem, output, question};

/// What `pause` and `resume` act on: a campaign, or all messages of a sender, of an agent or of everything.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct PausableArgs {
    /// The campaign's id
    campaign: Option<CampaignId>,
    /// Everything: all campaigns, with those that are applied later
    #[arg(long)]
    all: bool,
    /// The messages of all campaigns that are sent from this sender
    #[arg(long, value_name = "SENDER", value_parser = parse_sender)]
    sender: Option<Address>,
    /// The messages of all campaigns whose task goes to this agent: a Worker's SID, friendly name or identity
    #[arg(long, value_name = "AGENT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    agent: Option<String>,
}

fn parse_sender(text: &str) -> Result<Address, String> {
    Address::parse(text).map_err(|error| error.to_string())
}

/// A campaign, or a scope over all campaigns.
enum Pausable {
    Campaign(CampaignId),
    Scope(PauseScope),
}

impl PausableArgs {
    fn pausable(self) -> Pausable {
        match (self.campaign, self.sender, self.agent) {
            (Some(id), _, _) => Pausable::Campaign(id),
            (_, Some(sender), _) => Pausable::Scope(PauseScope::Sender(sender)),
            (_, _, Some(agent)) => Pausable::Scope(PauseScope::Agent(agent)),
            _ => Pausable::Scope(PauseScope::All),
        }
    }
}

/// The arguments of `flexcast campaign pause`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  flexcast campaign pause spring-renewals --reason \"wrong text\"
  flexcast campaign pause --all
  flexcast campaign pause --agent alice")]
pub(super) struct PauseArgs {
    #[command(flatten)]
    what: PausableArgs,
    /// The reason, which `status`, `campaign show` and `audit` show
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The arguments of `flexcast campaign cancel`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  flexcast campaign cancel spring-renewals --reason \"wrong list\"")]
pub(super) struct CancelArgs {
    /// The campaign's id
    campaign: CampaignId,
    /// The reason, which `status`, `campaign show` and `audit` show
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Cancel without a question
    #[arg(long, short)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The arguments of `flexcast campaign resume`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  flexcast campaign resume spring-renewals
  flexcast campaign resume --all")]
pub(super) struct ResumeArgs {
    #[command(flatten)]
    what: PausableArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl PauseArgs {
    pub(super) async fn run(self, global: &GlobalArgs) -> Result<ExitCode, Problem> {
        let service = global.reading().await?;
        let operations = service.operations();
        let id = match self.what.pausable() {
            Pausable::Campaign(id) => id,
            Pausable::Scope(scope) => {
                let pausing = operations.pause_scope(&scope, self.reason, &waiting);
                let paused = pausing.await?;
                match self.json {
                    true => output::json(&paused)?,
                    false => tell_paused(&paused)?,
                }
                return Ok(ExitCode::Success);
            }
        };
        let stopped = operations.pause(&id, self.reason, &waiting).await?;
        if self.json {
            output::json(&stopped)?;
            return Ok(ExitCode::Success);
        }
        let by = stopped.now.paused_by.as_ref();
        let by = by.map_or(String::new(), |by| format!(", by {by}"));
        match stopped.changed {
            true => say!("Campaign {id} is paused{by}: no first contact starts any more.")?,
            false => say!("Campaign {id} was paused already{by}: no first contact starts.")?,
        }
        confirmations(stopped.confirmed, &stopped.unconfirmed)?;
        let open = are_open(service.read_models().open_messages(&id).await?);
        let resume = format!("{open}. Resume the campaign with: flexcast campaign resume {id}");
        say!("{}", with_command(&resume))?;
        Ok(ExitCode::Success)
    }
}

impl ResumeArgs {
    pub(super) async fn run(self, global: &GlobalArgs) -> Result<ExitCode, Problem> {
        let service = global.reading().await?;
        let operations = service.operations();
        let id = &match self.what.pausable() {
            Pausable::Campaign(id) => id,
            Pausable::Scope(scope) => {
                let resumed = operations.resume_scope(&scope).await?;
                if self.json {
                    output::json(&resumed)?;
                } else if resumed.changed {
                    say!("The pause of {scope} is over: consumers continue within a second.")?;
                } else {
                    say!("There was no pause of {scope}.")?;
                }
                return Ok(ExitCode::Success);
            }
        };
        let resumed = operations.resume(id).await?;
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
        let (id, reason) = (&self.campaign, self.reason);
        let read = service.read_models();
        let record = read.campaign(id).await?;
        let open = read.open_messages(id).await?;
        let question = format!(
            "Cancel campaign {id} for good? Its {} {} unsent.",
            counted(open, "open message"),
            plural(open, "ends", "end")
        );
        let asks = record.state.can_be_cancelled() && !self.yes && question::can_ask();
        if asks && !question::ask(&question)? {
            tell!("The campaign was not cancelled. To pause it: flexcast campaign pause {id}");
            return Ok(ExitCode::TryAgain);
        }
        let operations = service.operations();
        let cancelled = operations.cancel(id, reason, &waiting).await?;
        if self.json {
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
    let stopped = &cancelled.stopped;
    confirmations(stopped.confirmed, &stopped.unconfirmed)?;
    let are = plural(cancelled.skipped, "is", "are");
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

/// Prints what a pause of everything, of a sender or of an agent stops, and how it is ended.
fn tell_paused(paused: &PausedScope) -> Result<(), Problem> {
    let PausedScope { pause, open, .. } = paused;
    let by = &pause.by;
    let (what, resume) = (scope_title(&pause.scope), scope_option(&pause.scope));
    let stops = match &pause.scope {
        PauseScope::All => "",
        PauseScope::Sender(_) => " from this sender",
        PauseScope::Agent(_) => " for this agent",
    };
    match paused.changed {
        true => say!("{what} is paused, by {by}: no first contact{stops} starts any more.")?,
        false => say!("{what} was paused already, by {by}: no first contact{stops} starts.")?,
    }
    confirmations(paused.confirmed, &paused.unconfirmed)?;
    let messages = match (open, &pause.scope) {
        (0, PauseScope::All) => "No message is open".to_owned(),
        (0, scope) => format!("No open message names {scope}"),
        (open, _) => are_open(*open),
    };
    let text = format!("{messages}. End the pause with: flexcast campaign resume {resume}");
    say!("{}", with_command(&text))?;
    Ok(())
}

/// `1 message is open`, `12 messages are open`.
fn are_open(messages: u64) -> String {
    let are = plural(messages, "is", "are");
    format!("{} {are} open", counted(messages, "message"))
}

/// Prints how many consumers have confirmed a stop, and which have not.
fn confirmations(confirmed: usize, unconfirmed: &[ConsumerRow]) -> Result<(), Problem> {
    match confirmed {
        0 => {}
        1 => say!("1 consumer confirmed it.")?,
        some => say!("{some} consumers confirmed it.")?,
    }
    for ConsumerRow { pid, host, .. } in unconfirmed {
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
