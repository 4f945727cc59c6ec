//! The command line: one file for each command.

/// Prints a line on standard output: `say!(...)?`. A closed pipe (`| head`) is no error.
macro_rules! say {
    ($($text:tt)*) => { $crate::cli::output::say(format_args!($($text)*)) };
}

/// Prints a note on standard error, unless the command is quiet. Errors of standard error are ignored.
macro_rules! tell {
    ($($text:tt)*) => { $crate::cli::output::tell(format_args!($($text)*)) };
}

/// Prints an error, a warning or what a question is about on standard error, also if the command is quiet.
macro_rules! alert {
    ($($text:tt)*) => { $crate::cli::output::alert(format_args!($($text)*)) };
}

mod audit;
mod broker;
mod campaign;
mod completions;
mod dead;
mod details;
mod difference;
mod draining;
mod exit;
mod import;
mod imported;
mod init;
mod ledger;
mod lifecycle;
mod listing;
mod man;
mod mapping;
mod next_steps;
mod outages;
mod output;
mod pace;
mod place;
mod preview;
mod progress;
mod question;
mod schema;
mod send;
mod signals;
mod simulator;
mod status;
mod stdout;
mod terminal;
mod tips;
mod try_one;
mod unknown;
mod voice;
mod why;
mod work;

pub use exit::{ExitCode, Problem};

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::clock::Clock;
use crate::config::Config;
use crate::service::Service;
use crate::telemetry;
use crate::twilio::PATIENCE_LOG;

/// Run bulk outbound campaigns through Twilio Flex: each customer is contacted once, at a pace that Twilio and the
/// agents can handle.
#[derive(Debug, Parser)]
#[command(
    name = "flexcast",
    version,
    propagate_version = true,
    term_width = 80,
    after_help = exit::EXIT_CODES
)]
pub struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

/// The heading of the options of every command in `--help`.
const GLOBAL_OPTIONS: &str = "Global options";

/// The arguments of every command.
#[derive(Debug, Args)]
struct GlobalArgs {
    #[arg(
        long,
        global = true,
        help_heading = GLOBAL_OPTIONS,
        value_name = "DIR",
        help = "The folder of the ledger and the embedded queue [env: FLEXCAST_STATE] \
                [default: .flexcast]"
    )]
    state: Option<PathBuf>,
    /// The configuration file [default: flexcast.toml, if it exists]
    #[arg(long, global = true, help_heading = GLOBAL_OPTIONS, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print no notes and no progress on standard error: only errors, warnings and questions
    #[arg(long, short, global = true, help_heading = GLOBAL_OPTIONS, conflicts_with = "verbose")]
    quiet: bool,
    /// Log more on standard error; given twice, log what developers need
    #[arg(long, short, global = true, help_heading = GLOBAL_OPTIONS, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a campaign on one machine: import a file, send its messages, report
    Send(send::SendArgs),
    /// Write a campaign file from the resources of the account
    Init(init::InitArgs),
    /// Send one real message as a test of a campaign
    Try(try_one::TryArgs),
    /// Add a file of customers to a campaign
    Import(import::ImportArgs),
    /// Run a consumer: carry out the messages of all running campaigns
    Work(work::WorkArgs),
    /// Apply, list, show, pause, resume, cancel and export campaigns
    #[command(subcommand)]
    Campaign(campaign::CampaignCommand),
    /// Show the states of the messages of one campaign, or of all
    Status(status::StatusArgs),
    /// Show why a message is where it is, and what comes next
    Why(why::WhyArgs),
    /// Show dead letters: messages that failed for good, and why
    #[command(subcommand)]
    Dead(dead::DeadCommand),
    /// List messages whose outcome is unknown, and settle them
    #[command(subcommand)]
    Unknown(unknown::UnknownCommand),
    /// Show who changed what, when and why
    Audit(audit::AuditArgs),
    /// Back up the ledger
    #[command(subcommand)]
    Ledger(ledger::LedgerCommand),
    /// Print the JSON Schema of a message, a refusal or a campaign file
    Schema(schema::SchemaArgs),
    /// Serve a fake Twilio, with Twilio's behaviour, limits and faults
    Simulator(simulator::SimulatorArgs),
    /// Print the completion script of a shell
    Completions(completions::CompletionsArgs),
    /// Print the manual page, or write the pages of all commands
    Man(man::ManArgs),
}

/// The modules whose warnings an operator sees who waits for a command. Outcomes of messages, a pause and an outage of
/// Twilio are printed as sentences instead ([`output::report`], [`outages`]).
const WARNINGS: &str = "flexcast::marks=warn,flexcast::queue=warn,flexcast::service=warn,\
    flexcast::worker=warn,flexcast::worker::turn=error,flexcast::worker::turn::report=off,\
    flexcast::worker::paused=off,flexcast::twilio::outages=off";

/// Parses the command line, runs the command, and returns the exit code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            // The error quotes the command line, so that it is printed with escapes.
            alert!("{}", tips::with_tip(error).render().to_string().trim_end());
            return ExitCode::Usage;
        }
        // `--help` and `--version`.
        Err(error) => error.exit(),
    };
    let is_service = matches!(cli.command, Command::Work(_) | Command::Simulator(_));
    // The warnings of other commands stand among their sentences.
    let log_format = std::env::var("LOG_FORMAT").ok();
    let log_format = log_format.or_else(|| (!is_service).then(|| "text".to_owned()));
    if cli.global.quiet {
        output::be_quiet();
    }
    telemetry::start(&cli.global.log_level(is_service), log_format.as_deref());
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            alert!("error: the runtime cannot be started: {error}");
            return ExitCode::Failed;
        }
    };
    match runtime.block_on(run(cli)) {
        Ok(code) => code,
        Err(problem) => {
            alert!("error: {}", problem.text);
            problem.code
        }
    }
}

async fn run(cli: Cli) -> Result<ExitCode, Problem> {
    let global = &cli.global;
    match cli.command {
        Command::Send(send) => send.run(global).await,
        Command::Init(init) => init.run(global).await,
        Command::Try(one) => one.run(global).await,
        Command::Import(import) => import.run(global).await,
        Command::Work(work) => work.run(global).await,
        Command::Campaign(campaign) => campaign.run(global).await,
        Command::Status(status) => status.run(global).await,
        Command::Dead(dead) => dead.run(global).await,
        Command::Unknown(unknown) => unknown.run(global).await,
        Command::Why(why) => why.run(global).await,
        Command::Audit(audit) => audit.run(global).await,
        Command::Ledger(ledger) => ledger.run(global).await,
        Command::Schema(schema) => schema.run(),
        Command::Simulator(simulator) => simulator.run().await,
        Command::Completions(completions) => completions.run(),
        Command::Man(man) => man.run(),
    }
}

impl GlobalArgs {
    /// What is logged. A service logs its work; of other commands, an operator who waits sees the warnings of some modules.
    fn log_level(&self, is_service: bool) -> String {
        match (is_service, self.quiet, self.verbose) {
            (true, true, _) => "warn".to_owned(),
            (true, false, 0) | (false, _, 1) => "info".to_owned(),
            (true, false, 1) | (false, _, 2..) => "info,flexcast=debug".to_owned(),
            (true, false, 2..) => "info,flexcast=trace".to_owned(),
            (false, _, 0) => format!("error,{WARNINGS},{PATIENCE_LOG}=warn"),
        }
    }

    fn load(&self) -> Result<Config, Problem> {
        let environment = |name: &str| std::env::var(name).ok();
        let config = Config::load(self.config.as_deref(), self.state.as_deref(), &environment)?;
        Ok(config)
    }

    /// Opens the service, and prints which ledger it uses.
    async fn service(&self) -> Result<Service, Problem> {
        opened(self.load()?).await
    }

    /// Opens the service of a command that does not create a ledger.
    async fn reading(&self) -> Result<Service, Problem> {
        opened(self.with_ledger()?).await
    }

    /// The configuration of a command that needs an existing ledger.
    fn with_ledger(&self) -> Result<Config, Problem> {
        let config = self.load()?;
        if !Service::has_ledger(&config) {
            let text = format!(
                "there is no ledger in {}: name another folder with --state, or apply a campaign first",
                config.state.display()
            );
            return Err(Problem::new(ExitCode::Config, text));
        }
        Ok(config)
    }
}

/// Opens the service and prints its ledger. An error names the ledger itself.
async fn opened(config: Config) -> Result<Service, Problem> {
    let service = Service::open(config, Clock::system()).await?;
    place::tell(&service.config);
    Ok(service)
}
