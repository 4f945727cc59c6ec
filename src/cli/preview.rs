//! What an import would do, shown before it does it.

use std::io::IsTerminal;
use std::time::Duration;

use serde::Serialize;

use crate::campaign::Campaign;
use crate::config::Config;
use crate::engine::{AgentDirectory, AgentError};
use crate::intake::{Preview, SegmentCount};
use crate::message::Address;
use crate::pacing::{Quota, Senders};
use crate::service::looking_twilio;
use crate::twilio::Twilio;

use super::{ExitCode, Problem, output};

/// How many agents are looked up before a campaign: TaskRouter answers a few such questions a second.
const AGENTS_MAX: usize = 100;

/// Which of a file's agents the account has.
#[derive(Debug, Default, Serialize)]
pub(super) struct Agents {
    found: Vec<String>,
    unknown: Vec<String>,
    /// Several Workers answer to the name.
    ambiguous: Vec<String>,
    not_looked_up: u64,
    /// Why not.
    because: Option<String>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct DryRun<'a> {
    #[serde(flatten)]
    preview: &'a Preview,
    agents_at_twilio: &'a Agents,
}

impl Agents {
    /// Looks the agents up in the account, where its credentials are at hand.
    pub(super) async fn look_up(config: &Config, campaign: &Campaign, preview: &Preview) -> Self {
        let mut agents = Self::default();
        if let Err(problem) = agents.ask(config, campaign, preview).await {
            agents.because = Some(problem.text);
        }
        let known = agents.found.len() + agents.unknown.len() + agents.ambiguous.len();
        agents.not_looked_up = (preview.agents.len() - known) as u64;
        agents
    }

    async fn ask(
        &mut self,
        config: &Config,
        campaign: &Campaign,
        preview: &Preview,
    ) -> Result<(), Problem> {
        if preview.agents.is_empty() {
            return Ok(());
        }
        let twilio = looking_twilio(config)?;
        let directory = AgentDirectory::new(workspace(config, campaign, &twilio).await?);
        for name in preview.agents.keys().take(AGENTS_MAX) {
            match directory.resolve(&twilio, name).await {
                Ok(_) => self.found.push(name.clone()),
                Err(AgentError::Unknown(_)) => self.unknown.push(name.clone()),
                Err(AgentError::Several { .. }) => self.ambiguous.push(name.clone()),
                Err(AgentError::Call(error)) => return Err(error.into()),
            }
        }
        if preview.agents.len() > AGENTS_MAX {
            self.because = Some(format!("only the first {AGENTS_MAX} are looked up"));
        }
        Ok(())
    }

    fn tell(&self) {
        let list = |what: &str, names: &[String]| {
            if !names.is_empty() {
                tell!("  {what} at Twilio: {}", names.join(", "));
            }
        };
        if !self.found.is_empty() {
            tell!("  found at Twilio: {}", self.found.len());
        }
        list("unknown", &self.unknown);
        list("ambiguous", &self.ambiguous);
        if let Some(because) = &self.because {
            tell!("  {} not looked up: {because}", self.not_looked_up);
        }
    }
}

async fn workspace(
    config: &Config,
    campaign: &Campaign,
    twilio: &Twilio,
) -> Result<String, Problem> {
    let told = campaign.flex.workspace_sid.clone();
    if let Some(sid) = told.or_else(|| config.file.flex.workspace_sid.clone()) {
        return Ok(sid);
    }
    let configuration = twilio.fetch_configuration().await?;
    configuration.taskrouter_workspace_sid.ok_or_else(|| {
        let text = "flex.workspace_sid: the account's Flex configuration names none";
        Problem::new(ExitCode::Config, text)
    })
}

/// Says on standard error what would happen.
pub(super) fn show(preview: &Preview, campaign: &Campaign, senders: &Senders, agents: &Agents) {
    tell!("{}: {}", preview.file, preview.shape);
    tell!("  {}", preview.mapping);
    for note in &preview.notes {
        tell!("  note: {note}");
    }
    tell!(
        "{}: {} rows, {} to accept, {} rejected, {} duplicate{}",
        preview.campaign,
        preview.rows,
        preview.acceptable,
        preview.rejected_total(),
        preview.duplicate,
        match preview.footers {
            0 => String::new(),
            footers => format!("; {footers} lines below the table"),
        }
    );
    for (reason, count) in &preview.rejected {
        tell!("  {reason}: {count}");
    }
    for row in &preview.first_rejected {
        output::rejected(row);
    }
    for (warning, count) in &preview.warnings {
        tell!("  warning {warning}: {count}");
    }
    for sample in &preview.first_messages {
        let agent = sample.agent.as_deref().unwrap_or("no agent");
        let body = sample.body.as_deref().unwrap_or("(no text of ours)");
        tell!(
            "line {} to {} for {agent}: {body}",
            sample.line,
            sample.address
        );
    }
    tell!(
        "{} agents, {} messages without one",
        preview.agents.len(),
        preview.without_agent
    );
    agents.tell();
    if let Some(segments) = &preview.segments {
        show_segments(segments);
    }
    if let Some(quota) = campaign.pace.campaign {
        let took = needed(quota, preview.acceptable);
        tell!("At {quota} it takes at least {took:?}.");
    }
    if let Some((sender, quota, took)) = slowest(preview, campaign, senders) {
        let sender = sender.as_str();
        let of = match preview.senders.len() {
            1 => String::new(),
            several => format!(", the longest of {several} senders"),
        };
        tell!("From {sender} at {quota} it takes at least {took:?}{of}.");
    }
}

/// The sender that takes longest for what it has to send, its quota, and how long that takes.
fn slowest<'a>(
    preview: &'a Preview,
    campaign: &Campaign,
    senders: &Senders,
) -> Option<(&'a Address, Quota, Duration)> {
    let loads = preview.loads.iter().filter_map(|((sender, kind), load)| {
        let quota = senders.quota(&sender.on(campaign.channel), kind.as_str())?;
        Some((sender, quota, needed(quota, *load)))
    });
    loads.max_by_key(|(_, _, took)| *took)
}

/// How long so many take, in whole seconds.
fn needed(quota: Quota, count: u64) -> Duration {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    let took = quota.period().mul_f64(f64::from(count));
    Duration::from_secs(took.as_secs())
}

fn show_segments(segments: &SegmentCount) {
    let each: Vec<_> = segments
        .messages
        .iter()
        .map(|(count, messages)| format!("{messages} of {count}"))
        .collect();
    tell!(
        "{} SMS segments: messages {}",
        segments.total,
        each.join(", ")
    );
    if segments.ucs2 > 0 {
        let because: Vec<_> = segments
            .ucs2_because
            .iter()
            .map(|(c, count)| format!("{c:?} (U+{:04X}) {count}", *c as u32))
            .collect();
        tell!(
            "  {} are UCS-2, 70 characters to a segment instead of 160, because of {}",
            segments.ucs2,
            because.join(", ")
        );
    }
}

/// Prints a dry run: as JSON, or for people.
pub(super) fn report(
    preview: &Preview,
    campaign: &Campaign,
    senders: &Senders,
    agents: &Agents,
    json: bool,
) -> Result<(), Problem> {
    if json {
        output::json(&DryRun {
            preview,
            agents_at_twilio: agents,
        })
    } else {
        show(preview, campaign, senders, agents);
        tell!("Nothing was taken: this was a dry run.");
        Ok(())
    }
}

/// Whether there is somebody to ask.
pub(super) fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks on the terminal.
pub(super) fn ask(question: &str) -> Result<bool, Problem> {
    dialoguer::Confirm::new()
        .with_prompt(question)
        .default(false)
        .interact()
        .map_err(|error| Problem::new(ExitCode::Failed, error.to_string()))
}
