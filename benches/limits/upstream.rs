//! A simulator over TCP, without limits, whose log tells when requests were read.

use std::collections::BTreeMap;
use std::time::Duration;

use flexcast::clock::Clock;
use flexcast::shutdown::Stopper;
use flexcast::simulator::{EffectKind, RequestLimits, Settings, Simulator};

use crate::window::Times;

pub(crate) struct Upstream {
    pub(crate) url: String,
    simulator: Simulator,
    clock: Clock,
    stop: Stopper,
}

impl Upstream {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        Self::with(Settings {
            limits: RequestLimits::unlimited(),
            latency: Duration::from_millis(20),
            ..Settings::default()
        })
        .await
    }

    /// One with these agents.
    pub(crate) async fn with_agents(agents: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        Self::with(Settings {
            agents: agents.collect(),
            limits: RequestLimits::unlimited(),
            latency: Duration::from_millis(20),
            ..Settings::default()
        })
        .await
    }

    /// One that takes so many calls at once, each of which takes 100 ms.
    pub(crate) async fn taking(at_once: usize) -> anyhow::Result<Self> {
        let limits = RequestLimits {
            concurrency: Some(at_once),
            ..RequestLimits::unlimited()
        };
        Self::with(Settings {
            limits,
            latency: Duration::from_millis(100),
            ..Settings::default()
        })
        .await
    }

    async fn with(settings: Settings) -> anyhow::Result<Self> {
        let clock = Clock::system();
        let simulator = Simulator::new(settings, clock);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (serving, stop) = (simulator.clone(), Stopper::new());
        let stopped = stop.clone();
        tokio::spawn(async move { serving.serve(listener, stopped).await });
        Ok(Self {
            url,
            simulator,
            clock,
            stop,
        })
    }

    /// The simulator's time, in milliseconds.
    pub(crate) fn now(&self) -> u64 {
        ms(self.clock.now())
    }

    /// How many requests a second were carried out and refused, from `head` ms after the first to the last.
    pub(crate) async fn answers(self, head: u64) -> (f64, f64) {
        let requests = self.simulator.requests();
        self.stop.stop();
        let time = |n: usize| requests.get(n).map_or(0, |request| ms(request.time));
        let (from, to) = (time(0) + head, time(requests.len().saturating_sub(1)));
        let rate = |status: u16| {
            let counted = requests
                .iter()
                .filter(|it| ms(it.time) >= from && it.status == Some(status));
            counted.count() as f64 * 1e3 / to.saturating_sub(from).max(1) as f64
        };
        (rate(200), rate(429))
    }

    /// How many effects of a kind these customers had.
    pub(crate) fn effects(&self, kind: EffectKind, whose: fn(&str) -> bool) -> usize {
        let effects = self.simulator.effects();
        let theirs = effects
            .iter()
            .filter(|it| it.kind == kind && it.customer.as_deref().is_some_and(whose));
        theirs.count()
    }

    /// When each agent's tasks were made, in order.
    pub(crate) fn tasks_by_agent(&self) -> BTreeMap<String, Vec<u64>> {
        let mut times = BTreeMap::<String, Vec<u64>>::new();
        for effect in self.simulator.effects() {
            if effect.kind == EffectKind::Task
                && let Some(agent) = effect.agent
            {
                times.entry(agent).or_default().push(ms(effect.time));
            }
        }
        times
    }

    /// From the first request of all to the last message of these customers.
    pub(crate) fn span(&self, whose: fn(&str) -> bool) -> (u64, u64) {
        let creates = self.simulator.requests();
        let first = creates
            .iter()
            .find(|request| request.operation == "create_conversation");
        let effects = self.simulator.effects();
        let theirs = effects.iter().filter(|it| {
            it.kind == EffectKind::Message && it.customer.as_deref().is_some_and(whose)
        });
        let last = theirs.map(|it| ms(it.time)).max();
        (first.map_or(0, |it| ms(it.time)), last.unwrap_or(0))
    }

    /// When requests were read.
    pub(crate) async fn times(self) -> Times {
        let requests = self.simulator.requests();
        self.stop.stop();
        let mut times: Vec<u64> = requests.iter().map(|request| ms(request.time)).collect();
        times.sort_unstable();
        Times(times)
    }
}

fn ms(time: jiff::Timestamp) -> u64 {
    u64::try_from(time.as_millisecond()).unwrap_or(0)
}
