//! What consumers share: lanes, and places for calls under way. Each has its part from the store.
//!
//! In: what the pacer wants. Out: what the store gives. Always: nothing is asked while the store is lost,
//! and what was not given is not used; one consumer alone, which shares its store with nobody, needs none of this.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::pacing::{
    Given, Pacer, Reading, Request, ServerTime, SharedStore, StoreClock, StoreFailure,
};

/// How often a consumer looks after its share of the places: one that comes has its part of them when
/// the others have looked once.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How often the store's clock is read before the first request: the reading that came back fastest says what it shows,
/// and the slower ones how far away the store is.
const LOOKS: u32 = 3;

/// The pause after a request that failed.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

fn locked(clock: &Mutex<StoreClock>) -> MutexGuard<'_, StoreClock> {
    clock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One consumer among those who share.
pub struct Sharer {
    pub pacer: Pacer,
    pub store: Arc<dyn SharedStore>,
    /// This consumer's name among them.
    pub holder: String,
    pub clock: Clock,
}

impl Sharer {
    /// Keeps this consumer's part for as long as it is polled.
    pub async fn keep(&self) -> Infallible {
        let clock = Mutex::default();
        tokio::select! {
            biased;
            never = self.ask(&clock) => never,
            never = self.look(&clock) => never,
        }
    }

    /// Asks for lanes whenever a call or a message waits for them.
    async fn ask(&self, clock: &Mutex<StoreClock>) -> Infallible {
        self.find(clock).await;
        loop {
            self.pacer.wants_to_ask().await;
            self.store.back().await;
            let Some(asked) = self.pacer.asks() else {
                continue;
            };
            let request = asked.request(&locked(clock));
            match self.store.hand_out(&request).await {
                Ok((answers, time)) => {
                    self.read(clock, time);
                    let given = Given::new(&answers, &locked(clock));
                    self.pacer.give(&asked, &given);
                }
                Err(error) => {
                    self.pacer.not_given(&asked);
                    self.failed(error).await;
                }
            }
        }
    }

    /// Finds out how far away the store is and what its clock shows, before anything is asked of it.
    async fn find(&self, clock: &Mutex<StoreClock>) {
        let nothing = Request::default();
        let mut looks = 0;
        while looks < LOOKS {
            self.store.back().await;
            match self.store.hand_out(&nothing).await {
                Ok((_, time)) => {
                    looks += 1;
                    self.read(clock, time);
                }
                Err(error) => self.failed(error).await,
            }
        }
    }

    fn read(&self, clock: &Mutex<StoreClock>, time: ServerTime) {
        locked(clock).read(Reading {
            sent: self.pacer.nanos_at(time.asked),
            store: time.now,
            received: self.pacer.nanos_at(time.answered),
        });
        self.pacer
            .store_took(time.answered.saturating_duration_since(time.asked));
    }

    /// Looks after the share of places.
    async fn look(&self, clock: &Mutex<StoreClock>) -> Infallible {
        let all = self.pacer.concurrency().get();
        loop {
            self.store.back().await;
            let taken = self.pacer.under_way();
            match self.store.share_places(&self.holder, all, taken).await {
                Ok((share, time)) => {
                    self.read(clock, time);
                    self.pacer.set_share(share);
                }
                Err(error) => self.failed(error).await,
            }
            self.clock.sleep(LOOK_EVERY).await;
        }
    }

    async fn failed(&self, error: StoreFailure) {
        tracing::debug!(%error, "no part of the shared lanes");
        self.clock.sleep(AFTER_FAILURE).await;
    }
}
