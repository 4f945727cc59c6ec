//! `flexcast init`: writes a campaign file from the resources of the account.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::de::DeserializeOwned;

use crate::campaign::{self, Campaign, DiscoveryError, PLACEHOLDER_BODY};
use crate::intake::{Contacts, ContactsOptions};
use crate::message::{Api, CampaignId, Channel, Strategy};
use crate::service::looking_twilio;

use super::{ExitCode, GlobalArgs, Problem};

/// Write a campaign file from the resources of the account.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  flexcast init --sender +12025550100 --channel sms --id spring-renewals")]
pub(super) struct InitArgs {
    /// The sender that the customer sees: a number or an identity. Repeat the flag for several senders
    #[arg(long = "sender", value_name = "SENDER", required = true)]
    senders: Vec<String>,
    /// The channel to the customers
    #[arg(long, value_name = "CHANNEL", value_parser = one_of::<Channel>(Channel::ALL.iter().map(|one| one.as_str()).collect()))]
    channel: Channel,
    /// When the agent's task is created: at once, or when the customer replies
    #[arg(
        long,
        value_name = "STRATEGY",
        default_value = "task_now",
        value_parser = one_of::<Strategy>(Strategy::ALL.iter().map(|one| one.as_str()).collect())
    )]
    strategy: Strategy,
    /// The generation of Twilio's API
    #[arg(
        long,
        value_name = "API",
        default_value = "conversations",
        value_parser = one_of::<Api>(Api::ALL.iter().map(|one| one.as_str()).collect())
    )]
    api: Api,
    /// The campaign's id
    #[arg(long, value_name = "ID", default_value = "new-campaign")]
    id: CampaignId,
    #[arg(
        long,
        value_name = "SID",
        help = "The Studio flow that handles the customer's reply (task_on_reply on conversations)"
    )]
    studio_flow_sid: Option<String>,
    /// A file of contacts: its columns are written into the campaign file as candidates for task.show
    #[arg(long, value_name = "FILE")]
    contacts: Option<PathBuf>,
    /// The file to write [default: ID.toml]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// A parser of one of these words, which the help lists.
fn one_of<T: DeserializeOwned + Clone + Send + Sync + 'static>(
    words: Vec<&'static str>,
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(words).try_map(|word| serde_json::from_value(word.into()))
}

impl InitArgs {
    pub(super) async fn run(self, global: &GlobalArgs) -> Result<ExitCode, Problem> {
        let usual = PathBuf::from(format!("{}.toml", self.id));
        let path = self.output.clone().unwrap_or(usual);
        if path.exists() {
            let text = format!(
                "{} exists already: name another file with --output",
                path.display()
            );
            return Err(Problem::new(ExitCode::Usage, text));
        }
        let mut campaign = self.start()?;
        let columns = self.columns(&campaign)?;
        let config = global.load()?;
        let twilio = looking_twilio(&config)?;
        let gap = match campaign::discover(&twilio, &mut campaign).await {
            Ok(()) => None,
            Err(DiscoveryError::NotOne { key, found }) => Some((key, found)),
            Err(DiscoveryError::Call(error)) => return Err(error.into()),
        };
        let text = self.written(&campaign, gap.as_ref(), &columns);
        write_new(&path, &text)?;
        say!("{}", path.display())?;
        if let Some((key, found)) = &gap {
            tell!("{key}: {found}; set it in the file");
        }
        // The text is the next step; what else is missing is said before it.
        let written = text.replace(PLACEHOLDER_BODY, "Hello");
        if let Err(error) = campaign::parse(&path.display().to_string(), &written) {
            tell!("Before the file can be used: {error}");
        }
        tell!(
            "Next: write the text, then run: flexcast try {} --to NUMBER",
            path.display()
        );
        Ok(ExitCode::Success)
    }

    /// The campaign as far as the command line defines it.
    fn start(&self) -> Result<Campaign, Problem> {
        let mut start = serde_json::json!({
            "id": self.id, "strategy": self.strategy, "api": self.api, "channel": self.channel,
            "flex": {"studio_flow_sid": self.studio_flow_sid},
        });
        match self.senders.as_slice() {
            [sender] => start["sender"] = sender.as_str().into(),
            several => start["senders"] = several.into(),
        }
        let campaign: Campaign = serde_json::from_value(start)
            .map_err(|error| Problem::new(ExitCode::Usage, error.to_string()))?;
        let wrong = campaign::check(&campaign)
            .into_iter()
            .find(|notice| notice.refused && notice.text.starts_with("sender"));
        match wrong {
            Some(notice) => {
                let why = notice.text.split_once(": ").map_or("", |(_, why)| why);
                Err(Problem::new(ExitCode::Usage, format!("--sender: {why}")))
            }
            None => Ok(campaign),
        }
    }

    /// The columns of the file of contacts that can be shown in a task.
    fn columns(&self, campaign: &Campaign) -> Result<Vec<String>, Problem> {
        let Some(path) = &self.contacts else {
            return Ok(Vec::new());
        };
        let contacts = Contacts::open(path, &ContactsOptions::new(self.channel))?;
        let names = contacts
            .columns()
            .attributes()
            .map(|(_, name)| name.to_owned());
        Ok(names.filter(|name| !campaign.is_reserved(name)).collect())
    }

    fn written(
        &self,
        campaign: &Campaign,
        gap: Option<&(&'static str, String)>,
        columns: &[String],
    ) -> String {
        let mut text = format!(
            "id = {}\nstrategy = \"{}\"\napi = \"{}\"\nchannel = \"{}\"\n",
            quoted(self.id.as_str()),
            self.strategy,
            self.api,
            self.channel,
        );
        let senders: Vec<String> = self.senders.iter().map(|one| quoted(one)).collect();
        let _ = match senders.as_slice() {
            [sender] => writeln!(text, "sender = {sender}"),
            several => writeln!(text, "senders = [{}]", several.join(", ")),
        };
        let body = format!("body = '{PLACEHOLDER_BODY}'");
        let is_sent = (self.strategy, self.api) != (Strategy::TaskNow, Api::Proxy);
        let lines = [
            if is_sent {
                body
            } else {
                "# body: with proxy and task_now the agent writes first".to_owned()
            },
            "on_missing = \"reject\"          # or a substitute text for missing values".to_owned(),
            "# default_region = \"US\"        # of numbers that are written without a country"
                .to_owned(),
            String::new(),
            "[flex]                         # found in the account".to_owned(),
        ];
        for line in lines {
            let _ = writeln!(text, "{line}");
        }
        let flex = &campaign.flex;
        let keys = [
            ("workspace_sid", &flex.workspace_sid),
            ("workflow_sid", &flex.workflow_sid),
            ("queue_sid", &flex.queue_sid),
            ("task_channel", &flex.task_channel),
            ("chat_service_sid", &flex.chat_service_sid),
            ("proxy_service_sid", &flex.proxy_service_sid),
            ("studio_flow_sid", &flex.studio_flow_sid),
        ];
        for (key, value) in keys {
            if let Some(value) = value {
                let _ = writeln!(text, "{key} = {}", quoted(value));
            } else if let Some((_, found)) = gap.filter(|(of, _)| of.ends_with(key)) {
                let _ = writeln!(text, "# {key} = \"\"  # {found}");
            } else if key == "studio_flow_sid" {
                let _ = writeln!(
                    text,
                    "# studio_flow_sid = \"FW...\"    # takes the customer's answer; never guessed"
                );
            }
        }
        let columns: Vec<String> = columns.iter().map(|name| quoted(name)).collect();
        let _ = writeln!(
            text,
            "\n[task]\n# Columns that agents see and workflows route by. They stay at Twilio; no other column leaves with the \
             task.\n# show = [{}]",
            columns.join(", ")
        );
        text.push_str(
            "\n[agents]\n# default = \"alice\"             # for rows without an agent\n",
        );
        text.push_str("\n[pace]\n# campaign = \"5/s\"              # messages begun, over the whole campaign\n");
        text
    }
}

/// A text as a TOML string.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn write_new(path: &Path, text: &str) -> Result<(), Problem> {
    use std::io::Write as _;
    let file = std::fs::File::create_new(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| {
            let text = format!("{} cannot be written: {error}", path.display());
            Problem::new(ExitCode::Usage, text)
        })
}
