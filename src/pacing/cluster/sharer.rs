//! What consumers share: lanes, and places for calls under way. Each has its part from the store.
//!
//! In: what the pacer wants. Out: what the store gives. Always: nothing is asked while the store is lost,
//! and what was not given is not used; one consumer alone, which shares its store with nobody, needs none of this.

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

/// How often a consumer looks after its share of the concurrency: one that comes has its part of them when
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

    /// Finds out how far away the store is and what its clock shows, before anything is asked of it.
    async fn find(&self, clock: &Mutex<StoreClock>) {
        let nothing = LaneRequest::default();
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
        locked(clock).read(ClockReading {
            sent: self.pacer.shared.nanos_at(time.asked),
            store: time.now,
            received: self.pacer.shared.nanos_at(time.answered),
        });
        self.pacer
            .store_took(time.answered.saturating_duration_since(time.asked));
    }

    /// Looks after the share of concurrency.
    async fn look(&self, clock: &Mutex<StoreClock>) -> Infallible {
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
            self.clock.sleep(LOOK_EVERY).await;
        }
    }

    async fn failed(&self, error: StoreFailure) {
        tracing::debug!(%error, "no part of the shared lanes");
        self.clock.sleep(AFTER_FAILURE).await;
    }
}

/// What a pacer tells its sharer, and is told by it.
impl Pacer {
    /// How many calls of the account may be under way at once, over all consumers.
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

    /// Sets this consumer's share of the account's concurrency, and how many consumers there are: a message that waits
    /// for a shared lane waits for the others' messages too.
    fn set_share(&self, share: ConcurrencyShare) {
        self.set_concurrency(&Lane::Account, Some(share.concurrency));
        self.shared.with(|schedule, _| {
            schedule.table.consumers = u64::from(share.consumers).max(1);
        });
    }

    /// What the store is to be told and asked now, if anything. The result is reported to [`Self::answered_by_store`].
    fn next_request(&self) -> Option<PendingRequest> {
        self.shared.with(Schedule::next_request)
    }

    /// Takes the store's answers, which are in force at once. None: the store gave no answer, and is told and asked the
    /// same again.
    fn answered_by_store(&self, request: &PendingRequest, answers: Option<&LaneAnswers>) {
        self.shared
            .with(|schedule, now| schedule.answered(request, answers, now));
    }

    /// Takes note of how long the store took to answer: requests are planned by that.
    fn store_took(&self, took: Duration) {
        self.shared
            .with(|schedule, _| schedule.table.distance.note(nanos(took)));
    }
}
