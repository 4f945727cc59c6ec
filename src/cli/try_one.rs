//! `flexcast try`: one real message, before a hundred thousand.
//!
//! It has a campaign id, a ledger and a queue of its own: the campaign's books do not know of it, its
//! names at Twilio are not the campaign's, and it runs beside a `work`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use crate::campaign::{self, Arrivals, Campaign, Texts};
use crate::clock::Clock;
use crate::intake::enqueue;
use crate::ledger::{MessageKey, Publication, Standing};
use crate::message::{Address, AgentRef, CampaignId, Customer, Effects, Message, WIRE_VERSION};
use crate::service::{Service, trial_folder};
use crate::worker::{RunEnd, Until};

use super::campaign::{apply, definition};
use super::question::{self, Destination};
use super::work::{drained, halted};
use super::{ExitCode, Global, Problem, output, signals};

/// Send one real message before a hundred thousand.
#[derive(Debug, Args)]
pub(super) struct Try {
    /// The campaign file
    campaign: PathBuf,
    /// Whom to write to: yourself
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
    /// Do not ask before sending; without a terminal nothing is sent that this does not ask for
    #[arg(long, short)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn parse_attribute(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| format!("{text:?} is no attribute; it takes ATTRIBUTE=VALUE"))?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

/// What `--json` prints.
#[derive(Serialize)]
struct Tried<'a> {
    campaign: &'a CampaignId,
    /// The state folder with its books.
    folder: String,
    #[serde(flatten)]
    standing: &'a Standing,
}

impl Try {
    pub(super) async fn run(self, global: &Global) -> Result<ExitCode, Problem> {
        let mut campaign = campaign::load(&self.campaign)?;
        let message = self.message(&campaign)?;
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
            message.body.as_deref().unwrap_or("(no text of ours)")
        );
        if asks && !question::ask("Send this one message?")? {
            tell!("Nothing was sent.");
            return Ok(ExitCode::TryAgain);
        }
        let clock = Clock::system();
        config.state = trial_folder(&config.state, "tries", clock)?;
        (config.amqp_url, config.database_url) = (None, None);
        campaign.id = own_id(&campaign.id, &config.state)?;
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
        message.campaign = definition(&record)?.id;
        let queue = service.queue().await?;
        queue.open(&record.id).await?;
        let now = service.clock.now();
        let ledger = &service.ledger;
        let one = std::slice::from_ref(&message);
        ledger.accept(&record.id, one, None, now, now).await?;
        let publication = Publication::first(&message);
        let key = MessageKey::of(&message);
        enqueue(&*queue, ledger, &record.id, &[(publication, message)]).await?;

        let stop = signals::stopper()?;
        let worker = service
            .worker(Arc::clone(&queue), twilio, &hold, None)
            .await?;
        let only = [record.id.clone()];
        let end = drained(service, &worker, &only, Until::Idle, &stop).await?;
        queue.close().await;
        if let Some(RunEnd::Halted(failure)) = end {
            return Err(halted(&failure));
        }
        let found = ledger.find(&key).await?;
        let Some(found) = found else {
            let text = format!("message {key} is not in the ledger in {state}");
            return Err(Problem::new(ExitCode::Failed, text));
        };
        if self.json {
            output::json(&Tried {
                campaign: &record.id,
                folder: state,
                standing: &found.standing,
            })?;
        } else {
            let books = ledger.books(Some(&record.id)).await?;
            show(&found.standing, books.done > 0)?;
            tell!("Its books: flexcast status {} --state {state}", record.id);
        }
        let books = ledger.books(Some(&record.id)).await?;
        Ok(output::exit_code(&books))
    }

    /// The one message, rendered as an import would.
    fn message(&self, campaign: &Campaign) -> Result<Message, Problem> {
        let wrong = |error: String| Problem::new(ExitCode::Usage, format!("--to: {error}"));
        let address = Address::parse(&self.to).map_err(|error| wrong(error.to_string()))?;
        address
            .check(campaign.channel)
            .map_err(|error| wrong(error.to_string()))?;
        let agent = self.agent.clone();
        let agent = agent.or_else(|| campaign.agents.default.clone());
        if agent.is_none() && campaign.needs_agent() {
            let text = "--agent: the campaign needs one, and has no agents.default";
            return Err(Problem::new(ExitCode::Usage, text));
        }
        let attributes = self.set.iter();
        let attributes: BTreeMap<_, _> = attributes
            .map(|(name, value)| (name.clone(), value.as_str().into()))
            .collect();
        let customer = Customer {
            address,
            name: self.name.clone(),
            time_zone: None,
            attributes,
        };
        let rendered = Texts::of(campaign)
            .map_err(|detail| Problem::new(ExitCode::Config, detail))?
            .render(&customer, agent.as_deref())
            .map_err(|detail| {
                let text = format!("{detail}; --name and --set say what the customer has");
                Problem::new(ExitCode::Usage, text)
            })?;
        let mut message = Message {
            version: WIRE_VERSION,
            campaign: campaign.id.clone(),
            id: None,
            sender: campaign.sender_for(&customer.address).cloned(),
            customer,
            agent: agent.map(|worker| AgentRef { worker }),
            strategy: None,
            body: rendered.body,
            content_variables: rendered.content_variables,
            not_before: None,
            expires_at: None,
        };
        message.id = Some(message.id());
        Arrivals::of(campaign).check(&message).map_err(|failure| {
            let text = format!("{}: {failure}", self.campaign.display());
            Problem::new(ExitCode::Usage, text)
        })?;
        Ok(message)
    }
}

/// An id that no campaign has: what is made at Twilio is named after it, and the campaign must not
/// find its own message to the same number there.
fn own_id(campaign: &CampaignId, folder: &std::path::Path) -> Result<CampaignId, Problem> {
    const KEPT: usize = 80;
    let stamp = folder.file_name().map(|name| name.to_string_lossy());
    let stamp = stamp.unwrap_or_default().to_lowercase();
    let kept: String = campaign.as_str().chars().take(KEPT).collect();
    CampaignId::parse(&format!("{kept}-try-{stamp}"))
        .map_err(|error| Problem::new(ExitCode::Config, error.to_string()))
}

fn show(standing: &Standing, is_done: bool) -> Result<(), Problem> {
    let text = serde_json::to_string_pretty(standing)
        .map_err(|error| Problem::new(ExitCode::Failed, error.to_string()))?;
    match standing {
        Standing::Over { effects, .. } if is_done => {
            say!("It is out. At Twilio there are now:")?;
            say!("{}", made(effects)?)?;
        }
        _ => say!("{text}")?,
    }
    Ok(())
}

fn made(effects: &Effects) -> Result<String, Problem> {
    serde_json::to_string_pretty(effects)
        .map_err(|error| Problem::new(ExitCode::Failed, error.to_string()))
}
