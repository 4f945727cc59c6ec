//! What people type: one file a command.

/// A line on standard output: `say!(...)?`. A reader who has read enough (`| head`) is no failure.
macro_rules! say {
    ($($text:tt)*) => { $crate::cli::output::say(format_args!($($text)*)) };
}

/// A line on standard error. When that is closed nobody is left to tell.
macro_rules! tell {
    ($($text:tt)*) => { $crate::cli::output::tell(format_args!($($text)*)) };
}

mod broker;
mod campaign;
mod dead;
mod exit;
mod import;
mod init;
mod ledger;
mod lifecycle;
mod listing;
mod mapping;
mod output;
mod pace;
mod place;
mod preview;
mod question;
mod schema;
mod send;
mod signals;
mod simulator;
mod status;
mod stdout;
mod try_one;
mod unknown;
mod work;

pub use exit::{ExitCode, Problem};

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::clock::Clock;
use crate::config::Config;
use crate::service::Service;
use crate::telemetry;

/// Bulk outbound campaigns for Twilio Flex: once each, at a pace Twilio and the agents can bear.
#[derive(Debug, Parser)]
#[command(name = "flexcast", version, propagate_version = true, after_help = exit::EXIT_CODES)]
pub struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
struct GlobalArgs {
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        help = "Where the ledger and the embedded queue live [env: FLEXCAST_STATE] \
                [default: .flexcast]"
    )]
    state: Option<PathBuf>,
    /// The configuration file [default: flexcast.toml, when there is one]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The whole job on one machine: import a file, work until nothing is open, report
    Send(send::SendArgs),
    /// Write a campaign file from what the account has
    Init(init::InitArgs),
    /// Send one real message before a hundred thousand
    Try(try_one::TryArgs),
    /// Check a file's rows, have the ledger accept them, and put them on the queue
    Import(import::ImportArgs),
    /// Consume: carry out the messages of all running campaigns
    Work(work::WorkArgs),
    /// Apply, list, show, finish and export campaigns
    #[command(subcommand)]
    Campaign(campaign::CampaignCommand),
    /// Where the messages of a campaign are, or of all campaigns
    Status(status::StatusArgs),
    /// Dead letters: what failed for good, and why
    #[command(subcommand)]
    Dead(dead::DeadCommand),
    /// Unknowns: what nobody can say went out; list them, and say what you found out
    #[command(subcommand)]
    Unknown(unknown::UnknownCommand),
    /// The ledger as a whole: back it up
    #[command(subcommand)]
    Ledger(ledger::LedgerCommand),
    /// The JSON Schema of a message, a refusal or a campaign file
    Schema(schema::SchemaArgs),
    /// Serve a fake Twilio: its behaviour, limits and faults
    Simulator(simulator::SimulatorArgs),
}

/// Parses the command line, runs the command, and says how to end.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            // What was typed stands in it.
            tell!("{}", error.render().to_string().trim_end());
            return ExitCode::Usage;
        }
        // Help and version.
        Err(error) => error.exit(),
    };
    let log_format = std::env::var("LOG_FORMAT").ok();
    let level = match &cli.command {
        Command::Work(_) | Command::Simulator(_) => "info",
        // What an operator waits for is said.
        _ => {
            "error,flexcast::twilio::patience=warn,flexcast::marks=warn,flexcast::queue=warn,flexcast::service=warn"
        }
    };
    telemetry::start(level, log_format.as_deref());
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            tell!("error: the runtime does not start: {error}");
            return ExitCode::Failed;
        }
    };
    match runtime.block_on(run(cli)) {
        Ok(code) => code,
        Err(problem) => {
            tell!("error: {}", problem.text);
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
        Command::Ledger(ledger) => ledger.run(global).await,
        Command::Schema(schema) => schema.run(),
        Command::Simulator(simulator) => simulator.run().await,
    }
}

impl GlobalArgs {
    fn load(&self) -> Result<Config, Problem> {
        let environment = |name: &str| std::env::var(name).ok();
        let config = Config::load(self.config.as_deref(), self.state.as_deref(), &environment)?;
        Ok(config)
    }

    /// The service over the real state; says which that is.
    async fn service(&self) -> Result<Service, Problem> {
        opened(self.load()?).await
    }

    /// The service of a command that only looks: a ledger must be there.
    async fn reading(&self) -> Result<Service, Problem> {
        opened(self.with_ledger()?).await
    }

    /// The configuration of a command that needs a ledger which is there.
    fn with_ledger(&self) -> Result<Config, Problem> {
        let config = self.load()?;
        if !Service::has_ledger(&config) {
            let text = format!(
                "there is no ledger in {}: name another with --state, or apply a campaign first",
                config.state.display()
            );
            return Err(Problem::new(ExitCode::Config, text));
        }
        Ok(config)
    }
}

/// The service over this state, which is named: an error names it itself.
async fn opened(config: Config) -> Result<Service, Problem> {
    let service = Service::open(config, Clock::system()).await?;
    place::tell(&service.config);
    Ok(service)
}
