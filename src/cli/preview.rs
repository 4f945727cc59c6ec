//! What an import would do, shown before it does it.

use serde::Serialize;

use crate::campaign::Campaign;
use crate::clock::Clock;
use crate::config::Config;
use crate::engine::{AgentDirectory, AgentError, AgentRules};
use crate::intake::{ColumnUse, Preview, SegmentCount};
use crate::pacing::Senders;
use crate::service::looking_twilio;
use crate::twilio::Twilio;

use super::forecast::{Forecast, words};
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
        let workspace = workspace(config, campaign, &twilio).await?;
        let rules = AgentRules::default();
        let directory = AgentDirectory::new(workspace, rules, Clock::system());
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
    show_file(preview);
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
    let forecast = Forecast::of(preview, campaign, senders);
    if let Some(bound) = forecast.campaign {
        tell!(
            "At {} it takes at least {}.",
            bound.quota,
            words(bound.takes)
        );
    }
    if let Some(bound) = forecast.agent {
        let (agent, quota) = (bound.of, bound.quota);
        tell!(
            "{agent} gets {quota}: it takes at least {}.",
            words(bound.takes)
        );
    }
    if let Some(bound) = forecast.sender {
        let (sender, quota) = (bound.of.as_str(), bound.quota);
        let of = match preview.senders.len() {
            1 => String::new(),
            several => format!(", the longest of {several} senders"),
        };
        tell!(
            "From {sender} at {quota} it takes at least {}{of}.",
            words(bound.takes)
        );
    }
}

/// What the file was taken for, and its columns.
fn show_file(preview: &Preview) {
    tell!("{}: {}", preview.file, preview.shape);
    tell!("  {}", preview.mapping);
    for note in &preview.notes {
        tell!("  note: {note}");
    }
    for column in &preview.columns {
        show_column(column);
    }
}

/// What a template calls a column, and whether anything of it leaves.
fn show_column(column: &ColumnUse) {
    let header = output::brief(&column.header);
    let goes = match (column.in_text, column.in_task) {
        (true, true) => "in the text, and at Twilio with the task",
        (true, false) => "in the text",
        (false, true) => "at Twilio with the task",
        (false, false) => "stays here",
    };
    match &column.template {
        Some(name) => tell!(
            "  column {header:?}: {{{{ {} }}}}, {goes}",
            output::brief(name)
        ),
        None => tell!("  column {header:?}: {goes}"),
    }
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
