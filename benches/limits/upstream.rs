//! A simulator over TCP, without limits, whose log tells when requests were read.

use std::time::Duration;

use flexcast::clock::Clock;
use flexcast::shutdown::Stopper;
use flexcast::simulator::{Limits, Settings, Simulator};

use crate::window::Times;

pub(crate) struct Upstream {
    pub(crate) url: String,
    simulator: Simulator,
    clock: Clock,
    stop: Stopper,
}

impl Upstream {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let settings = Settings {
            limits: Limits::unlimited(),
            latency: Duration::from_millis(20),
            ..Settings::default()
        };
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
