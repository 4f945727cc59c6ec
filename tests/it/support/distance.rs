//! Consumers that share one lane through a PostgreSQL that is not next door: what they begin, and when.
//!
//! The benchmark `distance` uses this file and `link.rs` too.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flexcast::clock::Clock;
use flexcast::ledger::Ledger;
use flexcast::pacing::{Lane, Limits, Pacer, PacingSettings, Sharer};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::link::{Link, server_of};

/// How many wait at each consumer, all the time.
const CROWD: usize = 64;

/// A consumer of this name shares its lanes through the store, for as long as this is kept.
pub(crate) fn keep_sharing(pacer: &Pacer, store: Ledger, name: &str) -> AbortOnDropHandle<()> {
    let sharer = Sharer {
        pacer: pacer.clone(),
        store: Arc::new(store),
        holder: name.to_owned(),
        clock: Clock::system(),
    };
    let keeping = tokio::spawn(async move { match sharer.keep().await {} });
    AbortOnDropHandle::new(keeping)
}

/// When permits were given, over all consumers.
#[derive(Clone)]
pub(crate) struct Log(Arc<Mutex<Vec<Instant>>>);

impl Log {
    fn new() -> Self {
        Self(Arc::default())
    }

    fn note(&self) {
        let now = Clock::system().instant();
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.push(now);
    }

    /// How many were given until now.
    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The most in any window of a second, its end not included.
    pub(crate) fn worst_second(&self) -> usize {
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut times = log.clone();
        times.sort_unstable();
        let second = Duration::from_secs(1);
        let (mut first, mut worst) = (0, 0);
        for (last, at) in times.iter().enumerate() {
            while times[first] + second <= *at {
                first += 1;
            }
            worst = worst.max(last + 1 - first);
        }
        worst
    }
}

/// Consumers that share `lanes`, each over a link of its own, each with a crowd that waits for all of the lanes.
pub(crate) struct Consumers {
    pub(crate) log: Log,
    pub(crate) pacers: Vec<Pacer>,
    keeping: Vec<AbortOnDropHandle<()>>,
    crowds: JoinSet<()>,
}

impl Consumers {
    /// Starts them, `round_trip` and a quarter more or less away from the database. `quotas`: the lanes and what may
    /// pass each.
    pub(crate) async fn start(
        database: &str,
        round_trip: Duration,
        consumers: usize,
        quotas: &[(Lane, &str)],
    ) -> Self {
        let mut all = Self {
            log: Log::new(),
            pacers: Vec::new(),
            keeping: Vec::new(),
            crowds: JoinSet::new(),
        };
        for n in 0..consumers {
            all.join(database, round_trip, &format!("consumer-{n}"), quotas)
                .await;
        }
        all
    }

    async fn join(
        &mut self,
        database: &str,
        round_trip: Duration,
        name: &str,
        quotas: &[(Lane, &str)],
    ) {
        let server = server_of(database);
        let link = Link::uneven(server, round_trip);
        let url = link.url(database, server);
        let store = Ledger::connect(&url).await.expect("a ledger");
        let settings = PacingSettings {
            limits: Limits::lifted(),
            shared: true,
            ..PacingSettings::default()
        };
        let pacer = Pacer::new(settings, Clock::system());
        for (lane, quota) in quotas {
            pacer.set_quota(lane, Some(quota.parse().expect("a quota")));
        }
        self.keeping.push(keep_sharing(&pacer, store, name));
        let lanes: Arc<[Lane]> = quotas.iter().map(|(lane, _)| lane.clone()).collect();
        for _ in 0..CROWD {
            let (pacer, log, lanes) = (pacer.clone(), self.log.clone(), Arc::clone(&lanes));
            self.crowds.spawn(async move {
                loop {
                    let permit = pacer.permit(&lanes, NonZeroU32::MIN).await;
                    log.note();
                    drop(permit);
                }
            });
        }
        self.pacers.push(pacer);
    }
}
