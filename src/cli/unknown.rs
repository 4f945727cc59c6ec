//! `flexcast unknown`: messages that may or may not have been sent.

use std::io;

use clap::{ArgGroup, Args, Subcommand};
use shell_words::quote;

use crate::ledger::MessageKey;
use crate::message::{CampaignId, MessageId};
use crate::operate::{UnknownFinding, UnknownMessages, grouped};

use super::listing::{LimitArgs, paragraph, with_command};
use super::next_steps::state_flag;
use super::{ExitCode, GlobalArgs, Problem, output};

/// List messages whose outcome is unknown, and settle them.
#[derive(Debug, Subcommand)]
pub(super) enum UnknownCommand {
    /// List unknown messages, oldest first, with the evidence
    #[command(alias = "ls")]
    List(UnknownListArgs),
    /// Record whether an unknown message was sent, after you have checked in Twilio's console
    Settle(SettleArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  flexcast unknown list spring-renewals")]
pub(super) struct UnknownListArgs {
    /// List only the unknown messages of this campaign
    campaign: Option<CampaignId>,
    #[command(flatten)]
    limit: LimitArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("finding").required(true).args(["sent", "not_sent"]), after_help = "\
Example:
  flexcast unknown settle spring-renewals crm-4711 --sent")]
pub(super) struct SettleArgs {
    /// The campaign's id
    campaign: CampaignId,
    /// The message's id
    id: MessageId,
    /// The message was sent: it counts as done
    #[arg(long)]
    sent: bool,
    /// The message was not sent: it is queued again, and continues with the step whose outcome was unknown
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
        let limit = self.limit.rows(self.json);
        let unknowns = service.read_models().unknowns(campaign, limit).await?;
        match self.json {
            true => output::json(&unknowns.messages)?,
            false => show_unknowns(&unknowns, campaign, &state_flag(&service))?,
        }
        Ok(ExitCode::Success)
    }
}

/// Prints the unknown messages and what to do next. `campaign`: all are of this one. `state`: the flag of the ledger.
fn show_unknowns(
    unknowns: &UnknownMessages,
    campaign: Option<&CampaignId>,
    state: &str,
) -> io::Result<()> {
    let of = campaign.map_or(String::new(), |id| format!(" of {id}"));
    let total = match unknowns.total {
        0 => {
            return say!(
                "{}",
                paragraph("", &format!("No messages{of} with an unknown outcome"))
            );
        }
        1 => format!("1 message{of} whose outcome is unknown"),
        total => format!(
            "{} messages{of} whose outcome is unknown, oldest first",
            grouped(total)
        ),
    };
    say!("{}", paragraph("", &total))?;
    for message in &unknowns.messages {
        let row = &message.row;
        let name = match campaign {
            Some(_) => row.id.to_string(),
            None => format!("{}/{}", row.campaign, row.id),
        };
        let title = format!("{name} to {}, {}", row.customer, output::time(row.at));
        say!("\n{}", paragraph("", &title))?;
        say!("{}", paragraph("  ", message.meaning))?;
        say!("{}", paragraph("  ", &row.evidence))?;
    }
    say!("")?;
    if unknowns.left_out > 0 {
        let name = campaign.map_or(String::new(), |id| format!(" {id}"));
        let (left_out, total) = (unknowns.left_out, unknowns.total);
        let text = format!(
            "{} later ones are left out. To list all: flexcast unknown list{name} --limit {total}{state}",
            grouped(left_out)
        );
        say!("{}", with_command(&text))?;
    }
    let Some(first) = unknowns.messages.first() else {
        return Ok(());
    };
    let (campaign, id) = (&first.row.campaign, quote(first.row.id.as_str()));
    let text = format!(
        "Check each message in Twilio's console. Then say what you found, with --sent or --not-sent: flexcast unknown \
         settle {campaign} {id} --sent{state}"
    );
    say!("{}", with_command(&text))
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
            let text = format!("{key} is queued again; a consumer (flexcast work) carries it out.");
            say!("{}", paragraph("", &text))?;
        }
        Ok(ExitCode::Success)
    }
}
