//! `flexcast simulator`: serves a fake Twilio on a port.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use tokio::net::TcpListener;

use crate::campaign::parse_duration;
use crate::clock::Clock;
use crate::simulator::{Faults, RequestLimits, Settings, Simulator};

use super::voice::Voice;
use super::{ExitCode, Problem, signals};

/// Serve a fake Twilio, with Twilio's behaviour, limits and faults.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  flexcast simulator --port 8080 --agent alice")]
pub(super) struct SimulatorArgs {
    /// The address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    host: std::net::IpAddr,
    /// The port to listen on; with 0, the system chooses a free port
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// A file of faults, as JSON (docs/simulator.md)
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// The seed of all SIDs and faults
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The name of an agent. Repeat the flag for several agents; without it, every agent that is asked for exists
    #[arg(long = "agent", value_name = "NAME")]
    agents: Vec<String>,
    /// How long agents need for a task, such as 5m; they accept, work, wrap up and complete it. 0: at once. none: agents
    /// do nothing by themselves
    #[arg(long, value_name = "TIME", default_value = "none")]
    handle_time: HandleTime,
    /// The time that each request takes, in milliseconds
    #[arg(long, default_value_t = 0, value_name = "MS")]
    latency_ms: u64,
    /// Lift Twilio's published limits: no request is answered with 429
    #[arg(long)]
    no_limits: bool,
    /// The SMS segments that a sender sends in a second; its queue holds the segments of ten hours, then it answers
    /// 21611
    #[arg(long = "sender-rate", value_name = "SENDER=N", value_parser = parse_rate)]
    sender_rates: Vec<(String, u32)>,
    /// Write every request and its reply to this file, as JSON lines
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

/// The value of `--handle-time`: how long a simulated agent needs for a task. `None`: agents do nothing by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HandleTime(pub(super) Option<Duration>);

impl FromStr for HandleTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let time = match text.trim() {
            "none" => return Ok(Self(None)),
            "0" => Ok(Duration::ZERO),
            text => parse_duration(text),
        };
        let time = time.map_err(|_| {
            format!("{text:?} is not a handle time; write 0, none, or a duration such as 5s or 6m")
        })?;
        Ok(Self(Some(time)))
    }
}

fn parse_rate(text: &str) -> Result<(String, u32), String> {
    let rate = text.split_once('=').and_then(|(sender, rate)| {
        let rate = rate.parse().ok().filter(|rate| *rate > 0)?;
        Some((sender.to_owned(), rate))
    });
    rate.ok_or_else(|| format!("{text:?} is not a rate; write SENDER=SEGMENTS_PER_SECOND"))
}

impl SimulatorArgs {
    pub(super) async fn run(self) -> Result<ExitCode, Problem> {
        let mut settings = Settings {
            seed: self.seed,
            hire_unknown_agents: self.agents.is_empty(),
            agents: self.agents,
            handle_time: self.handle_time.0,
            latency: Duration::from_millis(self.latency_ms),
            record: self.record,
            ..Settings::default()
        };
        settings.sending.rates = self.sender_rates.into_iter().collect();
        if self.no_limits {
            settings.limits = RequestLimits::unlimited();
        }
        let address = SocketAddr::new(self.host, self.port);
        let listener = TcpListener::bind(address).await.map_err(|error| {
            Problem::new(
                ExitCode::Unavailable,
                format!("cannot listen on {address}: {error}"),
            )
        })?;
        // Printed on standard output, so that a script that asked for port 0 can read the port.
        say!("FLEXCAST_TWILIO_URL=http://{}", listener.local_addr()?)?;
        say!("TWILIO_ACCOUNT_SID={}", settings.account_sid)?;
        say!("TWILIO_AUTH_TOKEN={}", crate::simulator::DEFAULT_AUTH_TOKEN)?;
        if std::io::stdout().is_terminal() {
            tell!(
                "The simulator runs until Ctrl-C. Set these three variables in another terminal, and use flexcast there."
            );
        }
        let simulator = Simulator::new(settings, Clock::system());
        if let Some(path) = &self.faults {
            set_faults(&simulator, path)?;
        }
        simulator
            .serve(listener, signals::stopper(Voice::Log)?)
            .await?;
        Ok(ExitCode::Success)
    }
}

/// Sets the faults of a simulator from a file.
pub(super) fn set_faults(simulator: &Simulator, path: &Path) -> Result<(), Problem> {
    let named =
        |detail: String| Problem::new(ExitCode::Config, format!("{}: {detail}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| named(error.to_string()))?;
    let faults: Faults = serde_json::from_str(&text).map_err(|error| named(error.to_string()))?;
    let set = simulator.set_faults(faults);
    set.map_err(|error| named(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_time_is_a_duration_or_none() {
        let table = [
            ("none", Some(None)),
            ("0", Some(Some(Duration::ZERO))),
            ("0s", Some(Some(Duration::ZERO))),
            ("6m", Some(Some(Duration::from_secs(360)))),
            ("6", None),
            ("-5s", None),
            ("soon", None),
        ];
        for (text, expected) in table {
            let found = text.parse::<HandleTime>();
            assert_eq!(found.as_ref().ok().map(|time| time.0), expected, "{text}");
            if let Err(error) = found {
                assert!(error.contains("5s or 6m"), "{error}");
            }
        }
    }
}
