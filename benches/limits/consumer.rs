//! A process that makes calls as fast as its pacer lets it, or a bare loop that only paces.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use flexcast::clock::Clock;
use flexcast::engine::PacedGate;
use flexcast::ledger::Ledger;
use flexcast::metrics::Metrics;
use flexcast::pacing::{Limits, Pacer, PacingSettings, SharedStore, Sharer};
use flexcast::simulator::{DEFAULT_ACCOUNT_SID, DEFAULT_AUTH_TOKEN};
use flexcast::twilio::{BaseUrl, ClientSettings, Credentials, Twilio, http_transport};
use tokio::task::JoinSet;

/// What a process is told by.
const VARIABLE: &str = "FLEXCAST_BENCH_LIMITS";

/// How many calls wait or are under way in each consumer.
const CALLS: usize = 100;

/// What a process does.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Role {
    url: String,
    quota: u32,
    /// The store that the quota is shared through.
    database: Option<String>,
    is_bare: bool,
    /// How many calls at once, whatever comes back; none: as the pacer finds out.
    at_once: Option<usize>,
}

impl Role {
    /// No quota, and always so many calls under way.
    pub(crate) fn at_once(url: &str, calls: usize) -> Self {
        Self {
            at_once: Some(calls),
            ..Self::feeling(url)
        }
    }

    /// No quota, and as many calls as the account takes.
    pub(crate) fn feeling(url: &str) -> Self {
        Self::alone(url, 0)
    }

    pub(crate) fn bare(url: &str, quota: u32) -> Self {
        Self {
            is_bare: true,
            ..Self::alone(url, quota)
        }
    }

    pub(crate) fn alone(url: &str, quota: u32) -> Self {
        Self {
            url: url.to_owned(),
            quota,
            database: None,
            is_bare: false,
            at_once: None,
        }
    }

    pub(crate) fn shared(url: &str, quota: u32, database: &str) -> Self {
        Self {
            database: Some(database.to_owned()),
            ..Self::alone(url, quota)
        }
    }

    /// What this process was started for, if it is a consumer.
    pub(crate) fn from_environment() -> anyhow::Result<Option<Self>> {
        match std::env::var(VARIABLE) {
            Ok(text) => Ok(Some(serde_json::from_str(&text)?)),
            Err(_) => Ok(None),
        }
    }

    pub(crate) async fn run(self) -> anyhow::Result<()> {
        if self.is_bare {
            return self.loop_bare().await;
        }
        let mut limits = Limits::lifted();
        if self.quota > 0 {
            let quota = format!("{}/s", self.quota).parse()?;
            limits.replace("fetch_configuration", Some(quota))?;
        }
        let settings = PacingSettings {
            limits,
            concurrency: 1_000.try_into()?,
            shared: self.database.is_some(),
            ..PacingSettings::default()
        };
        let clock = Clock::system();
        let pacer = Pacer::new(settings, clock);
        let gate = PacedGate::new(pacer.clone(), Metrics::new());
        let twilio = self.twilio()?.gated(Arc::new(gate));
        let mut calls = JoinSet::new();
        for _ in 0..self.at_once.unwrap_or(CALLS) {
            let twilio = twilio.clone();
            calls.spawn(async move {
                loop {
                    let _ = twilio.fetch_configuration().await;
                }
            });
        }
        if let Some(database) = &self.database {
            let ledger = Arc::new(Ledger::connect(database).await?);
            let sharer = Sharer {
                pacer,
                store: Arc::clone(&ledger) as Arc<dyn SharedStore>,
                holder: format!("bench-{}", std::process::id()),
                clock,
            };
            tokio::spawn(bring_back(ledger, clock));
            match sharer.keep().await {}
        }
        calls.join_all().await;
        Ok(())
    }

    /// Every call as soon as the one before is a period old, whatever it came to.
    async fn loop_bare(&self) -> anyhow::Result<()> {
        let twilio = self.twilio()?;
        let period = Duration::from_secs(1).mul_f64(1.02) / self.quota;
        let mut times = tokio::time::interval(period);
        times.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            times.tick().await;
            let twilio = twilio.clone();
            tokio::spawn(async move {
                let _ = twilio.fetch_configuration().await;
            });
        }
    }

    fn twilio(&self) -> anyhow::Result<Twilio> {
        let token = Some(DEFAULT_AUTH_TOKEN.into());
        let credentials = Credentials::new(DEFAULT_ACCOUNT_SID, token, None, None)?;
        let settings = ClientSettings::new(credentials, BaseUrl::at(&self.url)?);
        let transport = http_transport(&settings)?;
        Ok(Twilio::new(settings, transport))
    }
}

/// As the worker does: a lost store is asked until it is there.
async fn bring_back(ledger: Arc<Ledger>, clock: Clock) {
    loop {
        ledger.lost().await;
        clock.sleep(Duration::from_millis(500)).await;
        ledger.try_again().await;
    }
}

/// A consumer's process, killed when this is dropped.
pub(crate) struct Consumer(Child);

impl Consumer {
    pub(crate) fn start(role: &Role) -> anyhow::Result<Self> {
        let child = Command::new(std::env::current_exe()?)
            .env(VARIABLE, serde_json::to_string(role)?)
            .stdin(Stdio::null())
            .spawn()?;
        Ok(Self(child))
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
