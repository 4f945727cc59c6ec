//! The sharer: it carries the pacer's requests to the shared store, and the store's answers back.
//!
//! In: the pacer's requests for lanes. Out: granted slices and starts, and this consumer's share of the account's
//! concurrency. Always: nothing is asked while the store is lost, and nothing is used that was not granted. A consumer
//! that is alone with its store needs no sharer.

use std::convert::Infallible;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::asking::PendingRequest;
use super::store_clock::{ClockReading, StoreClock};
use crate::clock::Clock;
use crate::pacing::line::Schedule;
use crate::pacing::{
    ConcurrencyShare, Lane, LaneAnswers, LaneRequest, Pacer, ServerTime, SharedStore, StoreFailure,
    nanos,
};

/// How often a consumer renews its share of the concurrency. A new consumer has its share once each of the others has
/// renewed its own.
const RENEW_EVERY: Duration = Duration::from_millis(500);

/// How often the store's clock is read before the first request. All readings together tell the clock's time and how
/// far away the store is.
const FIRST_READINGS: u32 = 3;

/// The pause after a request that failed.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

fn locked(clock: &Mutex<StoreClock>) -> MutexGuard<'_, StoreClock> {
    clock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One of the consumers that share a store.
pub struct Sharer {
    pub pacer: Pacer,
    pub store: Arc<dyn SharedStore>,
    /// This consumer's name, unique among them.
    pub holder: String,
    pub clock: Clock,
}

impl Sharer {
    /// Asks for shared lanes, and renews the share of concurrency, for as long as it is polled.
    pub async fn keep(&self) -> Infallible {
        let clock = Mutex::default();
        tokio::select! {
            biased;
            never = self.ask(&clock) => never,
            never = self.renew_share(&clock) => never,
        }
    }

    /// Asks for lanes whenever a call or a message waits for them.
    async fn ask(&self, clock: &Mutex<StoreClock>) -> Infallible {
        self.measure(clock).await;
        loop {
            self.pacer.shared.asking().await;
            self.store.back().await;
            let Some(asked) = self.pacer.next_request() else {
                continue;
            };
            let request = asked.request(&locked(clock));
            match self.store.hand_out(&request).await {
                Ok((answers, time)) => {
                    self.read(clock, time);
                    let answers = answers.on_consumer_clock(&locked(clock));
                    self.pacer.answered_by_store(&asked, Some(&answers));
                }
                Err(error) => {
                    self.pacer.answered_by_store(&asked, None);
                    self.failed(error).await;
                }
            }
        }
    }

    /// Measures how far away the store is and what its clock shows, before the first request.
    async fn measure(&self, clock: &Mutex<StoreClock>) {
        let nothing = LaneRequest::default();
        let mut readings = 0;
        while readings < FIRST_READINGS {
            self.store.back().await;
            match self.store.hand_out(&nothing).await {
                Ok((_, time)) => {
                    readings += 1;
                    self.read(clock, time);
                }
                Err(error) => self.failed(error).await,
            }
        }
    }

    fn read(&self, clock: &Mutex<StoreClock>, time: ServerTime) {
        locked(clock).read(ClockReading {
            sent: self.pacer.shared.nanos_at(time.asked),
            store: time.now,
            received: self.pacer.shared.nanos_at(time.answered),
        });
        self.pacer
            .store_took(time.answered.saturating_duration_since(time.asked));
    }

    /// Renews this consumer's share of the account's concurrency, again and again.
    async fn renew_share(&self, clock: &Mutex<StoreClock>) -> Infallible {
        let all = self.pacer.account_concurrency().get();
        loop {
            self.store.back().await;
            let taken = self.pacer.under_way();
            match self.store.share_concurrency(&self.holder, all, taken).await {
                Ok((share, time)) => {
                    self.read(clock, time);
                    self.pacer.set_share(share);
                }
                Err(error) => self.failed(error).await,
            }
            self.clock.sleep(RENEW_EVERY).await;
        }
    }

    async fn failed(&self, error: StoreFailure) {
        tracing::debug!(%error, "the store of shared limits did not answer");
        self.clock.sleep(AFTER_FAILURE).await;
    }
}

/// The pacer's side of the sharer.
impl Pacer {
    /// How many calls of the account may be under way at once, at all consumers together.
    fn account_concurrency(&self) -> NonZeroU32 {
        self.shared.with(|schedule, _| schedule.table.concurrency())
    }

    /// How many of this consumer's calls are under way.
    fn under_way(&self) -> u32 {
        self.shared.with(|schedule, now| {
            let id = schedule.table.id(&Lane::Account, now);
            let concurrency = schedule.table.tracks[id].concurrency;
            concurrency.map_or(0, |concurrency| concurrency.taken())
        })
    }

    /// Sets this consumer's share of the account's concurrency, and how many consumers there are: a waiter of a shared
    /// lane also waits for the other consumers' waiters.
    fn set_share(&self, share: ConcurrencyShare) {
        self.set_concurrency(&Lane::Account, Some(share.concurrency));
        self.shared.with(|schedule, _| {
            schedule.table.consumers = u64::from(share.consumers).max(1);
        });
    }

    /// The next request to the store; none: there is nothing to tell or ask. Its result is reported to
    /// [`Self::answered_by_store`].
    fn next_request(&self) -> Option<PendingRequest> {
        self.shared.with(Schedule::next_request)
    }

    /// Applies the store's answers. None: the store did not answer, and is asked again.
    fn answered_by_store(&self, request: &PendingRequest, answers: Option<&LaneAnswers>) {
        self.shared
            .with(|schedule, now| schedule.answered(request, answers, now));
    }

    /// Takes note of how long the store took to answer: requests are planned with it.
    fn store_took(&self, took: Duration) {
        self.shared
            .with(|schedule, _| schedule.table.distance.note(nanos(took)));
    }
}
