//! `flexcast try`: sends one real message as a test of a campaign.
//!
//! The message has its own campaign id, ledger and queue. It is not in the campaign's books, its resources at Twilio
//! have other names, and the command can run beside `flexcast work`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use tokio_util::task::AbortOnDropHandle;

use crate::campaign::{self, Campaign};
use crate::clock::Clock;
use crate::ledger::{Ending, MessageKey, Standing};
use crate::message::{Address, CampaignId, Message};
use crate::operate::{OperateError, TrialError, TrialRequest, trial_id, trial_message};
use crate::service::{Service, trial_folder};
use crate::worker::{RunEnd, Until};

use super::campaign::apply;
use super::draining::drained;
use super::exit::halted;
use super::question::{self, Destination};
use super::voice::Voice;
use super::{ExitCode, GlobalArgs, Problem, details, outages, output, signals};

/// Send one real message as a test of a campaign.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  flexcast try spring-renewals.toml --to +12025550173")]
pub(super) struct TryArgs {
    /// The campaign file
    campaign: PathBuf,
    /// The address to write to: your own
    #[arg(long, value_name = "ADDRESS")]
    to: String,
    /// The agent who gets the task [default: the campaign's]
    #[arg(long, value_name = "WORKER")]
    agent: Option<String>,
    /// The customer's name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// One of the customer's attributes, such as plan=gold
    #[arg(long, value_name = "ATTRIBUTE=VALUE", value_parser = parse_attribute)]
    set: Vec<(String, String)>,
    /// Send without a question; without a terminal, nothing is sent without this flag
    #[arg(long, short)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn parse_attribute(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| format!("{text:?} is not an attribute; write ATTRIBUTE=VALUE"))?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

/// The JSON that `--json` prints.
#[derive(Serialize)]
struct TryReport<'a> {
    campaign: &'a CampaignId,
    /// The state folder with the books of the message.
    folder: String,
    #[serde(flatten)]
    standing: &'a Standing,
}

impl TryArgs {
    pub(super) async fn run(self, global: &GlobalArgs) -> Result<ExitCode, Problem> {
        let mut campaign = campaign::load(&self.campaign)?;
        let message = trial_message(&campaign, self.request());
        let message = message.map_err(|error| self.problem(error))?;
        let to = &message.customer.address;
        let sender = message.sender.as_ref();
        let asks = question::asks_before_sending(self.yes)?;
        let mut config = global.load()?;
        let destination = Destination::of(&config)?;
        tell!(
            "To {to} from {}, {destination}:",
            sender.map_or("", Address::as_str)
        );
        tell!(
            "  {}",
            message
                .body
                .as_deref()
                .unwrap_or("(flexcast sends no text)")
        );
        if asks && !question::ask("Send this one message?")? {
            tell!("Nothing was sent.");
            return Ok(ExitCode::TryAgain);
        }
        let clock = Clock::system();
        config.state = trial_folder(&config.state, "tries", clock)?;
        (config.amqp_url, config.database_url) = (None, None);
        let stamp = config.state.file_name().unwrap_or_default();
        campaign.id = trial_id(&campaign.id, &stamp.to_string_lossy())
            .map_err(|error| Problem::new(ExitCode::Config, error.to_string()))?;
        let service = Service::open(config, clock).await?;
        self.send(&service, campaign, message).await
    }

    async fn send(
        &self,
        service: &Service,
        campaign: Campaign,
        mut message: Message,
    ) -> Result<ExitCode, Problem> {
        let state = service.config.state.display().to_string();
        let twilio = service.twilio()?;
        let hold = service.hold()?;
        let record = apply(service, &twilio, campaign).await?;
        message.campaign = record.id.clone();
        let queue = service.queue().await?;
        let key = MessageKey::of(&message);
        service
            .operations()
            .accept_message(message, &*queue)
            .await?;

        let stop = signals::stopper(Voice::Sentences)?;
        let following = outages::follow(Arc::clone(twilio.outages()), service.clock);
        let following = AbortOnDropHandle::new(tokio::spawn(following));
        let worker = service
            .worker(Arc::clone(&queue), twilio, &hold, None)
            .await?;
        let only = [record.id.clone()];
        let voice = Voice::Sentences;
        let end = drained(service, &worker, &only, Until::Idle, &stop, voice).await?;
        drop(following);
        queue.close().await;
        if let Some(RunEnd::Halted(failure)) = end {
            return Err(halted(&failure));
        }
        let read = service.read_models();
        let found = read.message(&key).await.map_err(|error| match error {
            OperateError::NoMessage { key, .. } => {
                let text = format!("message {key} is not in the ledger in {state}");
                Problem::new(ExitCode::Failed, text)
            }
            error => error.into(),
        })?;
        let report = read.report(&record.id, None).await?;
        if self.json {
            output::json(&TryReport {
                campaign: &record.id,
                folder: state,
                standing: &found.standing,
            })?;
        } else {
            show(&found.standing)?;
            tell!(
                "To see its books: flexcast status {} --state {state}",
                record.id
            );
        }
        Ok(report.outcome().into())
    }

    fn request(&self) -> TrialRequest {
        let attributes = self.set.iter();
        TrialRequest {
            to: self.to.clone(),
            agent: self.agent.clone(),
            name: self.name.clone(),
            attributes: attributes
                .map(|(name, value)| (name.clone(), value.as_str().into()))
                .collect(),
        }
    }

    /// The problem of an error, with the flag or the file that is wrong.
    fn problem(&self, error: TrialError) -> Problem {
        let usage = |text: String| Problem::new(ExitCode::Usage, text);
        match error {
            TrialError::Address(why) => usage(format!("--to: {why}")),
            TrialError::NoAgent => {
                usage("--agent: the campaign needs an agent, and has no agents.default".to_owned())
            }
            TrialError::Texts(why) => Problem::new(ExitCode::Config, why),
            TrialError::Missing(why) => usage(format!("{why}; set it with --name or --set")),
            TrialError::Refused(why) => usage(format!("{}: {why}", self.campaign.display())),
        }
    }
}

fn show(standing: &Standing) -> Result<(), Problem> {
    match standing {
        Standing::Over {
            ending: Ending::Done { .. },
            effects,
            ..
        } => {
            say!("The message was sent. Created at Twilio:")?;
            details::object(effects)
        }
        Standing::Over {
            ending: Ending::Unknown { .. },
            ..
        } => {
            say!("It is unknown whether the message was sent.")?;
            details::standing(Vec::new(), standing)
        }
        _ => {
            say!("The message was not sent.")?;
            details::standing(Vec::new(), standing)
        }
    }
}
