//! `flexcast why`: the story of one message.

use clap::Args;

use crate::message::CampaignId;
use crate::operate::{Story, UnusedRows, WhyAnswer};

use super::listing::{paragraph, with_command};
use super::{ExitCode, GlobalArgs, Problem, output};

/// Show why a message is where it is, and what comes next: its story in order, and what holds it; or why a row of a file
/// did not become a message.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  flexcast why spring-renewals crm-4711
  flexcast why spring-renewals +12025550173")]
pub(super) struct WhyArgs {
    /// The campaign's id
    campaign: CampaignId,
    /// The message's id, or the customer's address
    #[arg(value_name = "ID|ADDRESS")]
    message: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl WhyArgs {
    pub(super) async fn run(self, global: &GlobalArgs) -> Result<ExitCode, Problem> {
        let service = global.reading().await?;
        let read = service.read_models();
        let answer = read.why(&self.campaign, &self.message).await?;
        match (self.json, &answer) {
            (true, _) => output::json(&answer)?,
            (false, WhyAnswer::Message(story)) => show(story)?,
            (false, WhyAnswer::Rows(rows)) => show_rows(rows)?,
        }
        Ok(ExitCode::Success)
    }
}

fn show_rows(found: &UnusedRows) -> Result<(), Problem> {
    let UnusedRows { campaign, id, .. } = found;
    say!("Campaign {campaign} has no message {id}. Rows of its files have this id:\n")?;
    for (row, text) in found.rows.iter().zip(&found.texts) {
        let at = row.at.strftime("%Y-%m-%d %H:%M:%S%.3f");
        say!("{}", paragraph(&format!("{at}  "), text))?;
    }
    say!("\n{}", with_command(&format!("Next: {}", found.next)))?;
    Ok(())
}

fn show(story: &Story) -> Result<(), Problem> {
    let Story { campaign, id, .. } = story;
    let agent = story.agent.as_ref();
    let agent = agent.map_or(String::new(), |agent| format!(", for agent {agent}"));
    let sender = story.sender.as_ref();
    let sender = sender.map_or(String::new(), |sender| format!(", from {sender}"));
    let title = format!("{campaign}/{id} to {}{sender}{agent}", story.customer);
    say!("{}\n", paragraph("", &title))?;
    for event in &story.events {
        let at = event.at.strftime("%Y-%m-%d %H:%M:%S%.3f");
        say!("{}", paragraph(&format!("{at}  "), &event.text))?;
    }
    say!("\n{}", with_command(&format!("Now: {}", story.now)))?;
    say!("{}", with_command(&format!("Next: {}", story.next)))?;
    if !story.at_twilio.is_empty() {
        say!("\nAt Twilio (in the console):")?;
    }
    for one in &story.at_twilio {
        let text = format!("{} {}: {}", one.resource, one.sid, one.place);
        say!("{}", paragraph("  ", &text))?;
    }
    Ok(())
}
