//! `flexcast send`: runs a campaign on one machine.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use tokio_util::task::AbortOnDropHandle;

use crate::campaign::{self, Campaign, Flex};
use crate::clock::Clock;
use crate::config::Config;
use crate::files::private;
use crate::intake::{ImportSummary, Input};
use crate::ledger::CampaignRecord;
use crate::marks::{MarkError, ProcessMarks};
use crate::message::CampaignId;
use crate::operate::{ImportRequest, PreviewLedger, counted, definition};
use crate::queue::Queue;
use crate::service::{Service, client_settings, trial_folder};
use crate::shutdown::Stopper;
use crate::simulator::{Settings, Simulator};
use crate::twilio::{
    BaseUrl, CallError, ClientSettings, Credentials, Transport, Twilio, patiently,
};
use crate::worker::{RunEnd, Until};

use super::campaign::apply;
use super::draining::drained;
use super::exit::{self, halted};
use super::import::{self, Confirmation, Question};
use super::mapping::{MappingArgs, StrictnessArgs};
use super::next_steps::next_steps;
use super::place::{self, LocatedReport};
use super::preview::{self, AssumptionArgs, PreviewSettings};
use super::progress::{RowsRead, RunProgress};
use super::question::{self, Destination};
use super::simulator::set_faults;
use super::voice::Voice;
use super::work::check_login;
use super::{ExitCode, GlobalArgs, Problem, broker, imported, outages, output, signals};

/// Run a campaign on one machine: import a file, send its messages, report.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  flexcast send spring-renewals.toml customers.csv --simulate")]
pub(super) struct SendArgs {
    /// The campaign file
    campaign: PathBuf,
    /// The file of contacts: CSV with a header in any encoding, an .xlsx workbook, or messages as .jsonl
    contacts: PathBuf,
    #[command(flatten)]
    mapping: MappingArgs,
    #[command(flatten)]
    strictness: StrictnessArgs,
    #[command(flatten)]
    assumptions: AssumptionArgs,
    /// Print a check-list of what would be sent, and import and send nothing
    #[arg(long, conflicts_with = "simulate")]
    dry_run: bool,
    /// Use a fake Twilio in this process, with a separate state: no customer is contacted
    #[arg(long)]
    simulate: bool,
    /// With --simulate: a file of faults, as JSON (docs/simulator.md)
    #[arg(long, value_name = "FILE", requires = "simulate")]
    faults: Option<PathBuf>,
    /// With --simulate: the seed of all SIDs and faults
    #[arg(long, default_value_t = 1, requires = "simulate")]
    seed: u64,
    /// With --simulate: write everything that was created at the fake Twilio to this file, as JSON
    #[arg(long, value_name = "FILE", requires = "simulate")]
    effects: Option<PathBuf>,
    /// With --simulate: write every request and its reply to this file, as JSON lines
    #[arg(long, value_name = "FILE", requires = "simulate")]
    record: Option<PathBuf>,
    /// Send without a question; without a terminal, nothing is sent without this flag
    #[arg(long, short)]
    yes: bool,
    /// Take over a campaign from another ledger, or from a newer state of this ledger: each message is first looked
    /// for at Twilio
    #[arg(long, conflicts_with = "simulate")]
    take_over: bool,
    /// Do not wait for scheduled or held messages: end with exit code 75 and leave them to the next run
    #[arg(long)]
    no_wait: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// The Twilio that a campaign is sent through: the real one, or a fake one.
struct SendTarget {
    service: Service,
    twilio: Twilio,
    campaign: Campaign,
    simulator: Option<Simulator>,
}

impl SendArgs {
    pub(super) async fn run(self, global: &GlobalArgs) -> Result<ExitCode, Problem> {
        self.check_order()?;
        let campaign = campaign::load(&self.campaign)?;
        if self.dry_run {
            return self.dry_run(global, &campaign).await;
        }
        let asks_columns = !self.simulate && !self.yes && question::can_ask();
        // The file is opened first: a file that cannot be read is the commonest mistake.
        let contacts = self.mapping.open(&campaign, &self.contacts, asks_columns)?;
        // A simulated run contacts no customer, so that it asks no question.
        let asks = !self.simulate && question::asks_before_sending(self.yes)?;
        if !self.is_wanted(global, &campaign, &contacts, asks).await? {
            tell!("Nothing was sent.");
            return Ok(ExitCode::TryAgain);
        }
        let target = self.target(global, campaign).await?;
        let service = &target.service;
        let hold = service.hold()?;
        let record = apply(service, &target.twilio, target.campaign.clone()).await?;
        check_login(&service.patient(&target.twilio)).await?;
        let marks = if self.simulate {
            None
        } else {
            let marks = service.marks(&target.twilio, self.take_over);
            own(&marks, &record).await?;
            Some(marks)
        };
        let queue = service.queue().await?;
        let said = broker::warn(&*queue).await;
        let stop = signals::stopper(Voice::Sentences)?;
        let campaign = definition(&record)?;
        // Before a question, the check-list has said how the file is read.
        if !asks {
            imported::opened(&campaign, &contacts);
        }
        let request = ImportRequest {
            record: &record,
            campaign: &campaign,
            rejects: self.mapping.rejects(&contacts),
            input: contacts,
            again: false,
        };
        self.import(service, &*queue, request, &stop).await?;

        let worker = service
            .worker(Arc::clone(&queue), target.twilio.clone(), &hold, marks)
            .await?;
        let until = if self.no_wait {
            Until::NothingDue
        } else {
            Until::Idle
        };
        let progress = RunProgress::begin(service.read_models(), record.id.clone());
        let following = broker::follow(Arc::clone(&queue), said, service.clock);
        let outages = outages::follow(Arc::clone(target.twilio.outages()), service.clock);
        let following = [
            AbortOnDropHandle::new(tokio::spawn(following)),
            AbortOnDropHandle::new(tokio::spawn(outages)),
        ];
        let only = [record.id.clone()];
        let end = drained(service, &worker, &only, until, &stop, Voice::Sentences).await;
        progress.end().await;
        drop(following);
        self.save_effects(&target)?;
        let unread = service.read_models().unread(&record.id, &*queue).await.ok();
        queue.close().await;
        self.report(service, &record.id, unread, end?, &stop).await
    }

    /// Refuses a file of contacts in place of the campaign file: an error of TOML would not help.
    fn check_order(&self) -> Result<(), Problem> {
        let ends_with = |path: &Path, endings: &[&str]| {
            let ending = path.extension().and_then(OsStr::to_str);
            ending.is_some_and(|ending| endings.iter().any(|one| ending.eq_ignore_ascii_case(one)))
        };
        if !ends_with(&self.campaign, &["csv", "tsv", "xlsx", "jsonl"]) {
            return Ok(());
        }
        let (first, second) = (self.campaign.display(), self.contacts.display());
        let mut text = format!("{first} is a file of contacts: the campaign file comes first");
        if ends_with(&self.contacts, &["toml"]) {
            text += &format!(":\n  flexcast send {second} {first}");
        }
        Err(Problem::new(ExitCode::Usage, text))
    }

    /// Checks the file by the rules; `asks`: and asks whether to send it. The
    /// ledger, which the preview reads, is closed before the service opens it.
    async fn is_wanted(
        &self,
        global: &GlobalArgs,
        campaign: &Campaign,
        contacts: &Input,
        asks: bool,
    ) -> Result<bool, Problem> {
        let config = global.load()?;
        // Before the question: another ledger would contact the same customers again.
        if !self.simulate {
            has_account(&config)?;
            place::tell(&config);
        }
        let destination = asks.then(|| Destination::of(&config)).transpose()?;
        // A question needs the preview, and so the ledger.
        let recorded = match &destination {
            Some(_) => preview::recorded(&config).await,
            None => PreviewLedger::Missing,
        };
        let confirmation = Confirmation {
            preview: self.preview(&config, recorded),
            asks: destination.map(Question::Send),
        };
        confirmation.confirm(campaign, contacts).await
    }

    async fn dry_run(&self, global: &GlobalArgs, campaign: &Campaign) -> Result<ExitCode, Problem> {
        let input = self.mapping.open(campaign, &self.contacts, false)?;
        let config = global.load()?;
        place::tell_existing(&config);
        let recorded = preview::recorded(&config).await;
        let settings = self.preview(&config, recorded);
        settings.dry_run(campaign, input, self.json).await
    }

    fn preview<'a>(&self, config: &'a Config, recorded: PreviewLedger) -> PreviewSettings<'a> {
        PreviewSettings {
            config,
            recorded,
            rules: self.strictness.rules(),
            assumptions: self.assumptions.assumptions(),
        }
    }

    /// Opens the real account, or a fake one in this process with a new state.
    async fn target(
        &self,
        global: &GlobalArgs,
        mut campaign: Campaign,
    ) -> Result<SendTarget, Problem> {
        if !self.simulate {
            let service = Service::open(global.load()?, Clock::system()).await?;
            return Ok(SendTarget {
                twilio: service.twilio()?,
                service,
                campaign,
                simulator: None,
            });
        }
        let clock = Clock::system();
        let mut config = global.load()?;
        config.state = trial_folder(&config.state, "simulated", clock)?;
        // A simulated run has its own ledger and queue, and nothing of the real account.
        (config.amqp_url, config.database_url) = (None, None);
        tell!(
            "Simulated: no customer is contacted. State: {}",
            config.state.display()
        );
        campaign.flex = simulated(&campaign.flex);
        config.file.flex = simulated(&config.file.flex);
        let settings = Settings {
            seed: self.seed,
            hire_unknown_agents: true,
            handle_time: self.assumptions.simulated_handle_time(),
            record: self.record.clone(),
            // The simulated workflow reads the agent from the attribute that the campaign writes.
            target_attributes: vec![campaign.proxy.target_attribute.clone()],
            ..Settings::default()
        };
        let service = Service::open(config, clock).await?;
        let credentials =
            Credentials::auth_token(&settings.account_sid, settings.auth_token.clone())
                .map_err(|error| Problem::new(ExitCode::Config, error.to_string()))?;
        let base = BaseUrl::at("http://simulator.invalid")
            .map_err(|error| Problem::new(ExitCode::Config, error.to_string()))?;
        let mut client = ClientSettings::new(credentials, base);
        client.timeout = service.config.file.work.call_timeout;
        let simulator = Simulator::new(settings, clock);
        if let Some(path) = &self.faults {
            set_faults(&simulator, path)?;
        }
        let transport = Transport::InProcess(Arc::new(simulator.clone()));
        Ok(SendTarget {
            twilio: service.twilio_over(client, transport)?,
            service,
            campaign,
            simulator: Some(simulator),
        })
    }

    async fn import(
        &self,
        service: &Service,
        queue: &dyn Queue,
        request: ImportRequest<'_>,
        stop: &Stopper,
    ) -> Result<(), Problem> {
        let file = self.contacts.display().to_string();
        let id = &request.record.id;
        let rows = RowsRead::begin(service.clock);
        let progress = |summary: &ImportSummary| rows.show(summary.rows);
        let operations = service.operations();
        // The rows read so far are accounted for, as after a crash.
        let importing = operations.import(request, queue, &progress);
        let imported = stop.run_until_stopped(importing).await;
        drop(rows);
        let Some(imported) = imported.transpose()? else {
            tell!("Stopping: the rows that were read so far stay imported.");
            queue.close().await;
            return Err(import::stopped(&file));
        };
        imported::summary(&file, id, &imported.summary);
        Ok(())
    }

    fn save_effects(&self, target: &SendTarget) -> Result<(), Problem> {
        let (Some(path), Some(simulator)) = (&self.effects, &target.simulator) else {
            return Ok(());
        };
        let text = serde_json::to_string_pretty(&simulator.effects())
            .map_err(|error| Problem::new(ExitCode::Failed, error.to_string()))?;
        let mut options = std::fs::File::options();
        options.create(true).write(true).truncate(true);
        let written = private(&mut options).open(path);
        let written = written.and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|error| {
            Problem::new(
                ExitCode::Failed,
                format!("--effects {}: {error}", path.display()),
            )
        })
    }

    async fn report(
        &self,
        service: &Service,
        id: &CampaignId,
        unread: Option<u64>,
        end: Option<RunEnd>,
        stop: &Stopper,
    ) -> Result<ExitCode, Problem> {
        // The report is read after the worker's last change: the campaign may be finished by now.
        let report = service.read_models().report(id, unread).await?;
        if self.json {
            output::json(&LocatedReport::of(&report, service))?;
        } else {
            output::report(&report)?;
        }
        for step in next_steps(service, &report) {
            tell!("{step}");
        }
        if let Some(RunEnd::Halted(failure)) = end {
            return Err(halted(&failure));
        }
        let open = report.books.open();
        if let Some(notice) = report.paused_notice.as_ref().filter(|_| open > 0) {
            tell!("{notice}");
            return Ok(exit::of_pause(report.program_pause()));
        }
        if stop.is_stopped() && open > 0 {
            let open = counted(open, "message");
            tell!("Stopped with {open} open. Repeat the command to continue.");
        }
        Ok(report.outcome().into())
    }
}

/// Checks that the environment names an account. A new user without one can use the simulator.
fn has_account(config: &Config) -> Result<(), Problem> {
    let Err(error) = client_settings(config) else {
        return Ok(());
    };
    let mut problem = Problem::from(error);
    if config.twilio.account_sid.is_none() {
        problem.text += ". To try a campaign without an account, add --simulate.";
    }
    Err(problem)
}

/// Claims the campaign for this ledger, before a row is accepted.
async fn own(marks: &ProcessMarks, record: &CampaignRecord) -> Result<(), Problem> {
    let claiming = || async {
        marks.beat().await?;
        marks.claim(&record.id).await
    };
    // Both calls are idempotent.
    Ok(patiently(claiming, retriable).await?)
}

/// The failed call of a mark, if it may succeed a moment later.
fn retriable(error: &MarkError) -> Option<&CallError> {
    match error {
        MarkError::Twilio(error) if error.may_pass() => Some(error),
        _ => None,
    }
}

/// The Flex settings for a fake account. Its SIDs are not those of the real account, so that they are discovered
/// again. The Studio flow is never discovered and stays.
fn simulated(flex: &Flex) -> Flex {
    Flex {
        studio_flow_sid: flex.studio_flow_sid.clone(),
        ..Flex::default()
    }
}
