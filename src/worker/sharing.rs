//! What consumers share: lanes, and places for calls under way. Each has its part from the store.
//!
//! In: what the pacer wants. Out: what the store gives. Always: nothing is asked while the store is lost,
//! and what was not given is not used; one consumer alone, whose ledger nobody shares, needs none of this.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::ledger::{LedgerError, ServerTime, SharedLanes, Watched};
use crate::pacing::{Pacer, Reading, StoreClock, share_places};

/// How often a consumer looks after its share of the places: one that comes has its part of them when
/// the others have looked once.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The pause after a request that failed.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// One consumer among those who share.
pub struct Sharer {
    pub pacer: Pacer,
    /// Told when the store is lost, and asked nothing while it is.
    pub ledger: Arc<Watched>,
    pub lanes: SharedLanes,
    /// This consumer's name among them.
    pub holder: String,
    pub clock: Clock,
}

impl Sharer {
    /// Keeps this consumer's part for as long as it is polled.
    pub async fn keep(&self) -> Infallible {
        tokio::select! {
            biased;
            never = self.ask() => never,
            never = self.look() => never,
        }
    }

    /// Asks for lanes whenever somebody waits for them.
    async fn ask(&self) -> Infallible {
        let mut clock = StoreClock::default();
        loop {
            self.pacer.wants_to_ask().await;
            self.ledger.back().await;
            let Some(asked) = self.pacer.asks() else {
                continue;
            };
            let began = self.clock.instant();
            let names = asked.lanes();
            let asking = self.lanes.change(&names, |rows, time| {
                clock.read(self.reading(time));
                asked.carry_out(rows, &self.holder, &clock, time.now)
            });
            match asking.await {
                Ok(given) => self.pacer.give(&asked, &given, began.elapsed()),
                Err(error) => {
                    self.pacer.not_given(&asked);
                    self.failed(error).await;
                }
            }
        }
    }

    /// Looks after the share of places.
    async fn look(&self) -> Infallible {
        let all = self.pacer.concurrency();
        loop {
            self.ledger.back().await;
            let taken = self.pacer.under_way();
            let sharing = self.lanes.change_places(|members, time| {
                share_places(members, &self.holder, all, taken, time.now)
            });
            match sharing.await {
                Ok(share) => self.pacer.set_share(share),
                Err(error) => self.failed(error).await,
            }
            self.clock.sleep(LOOK_EVERY).await;
        }
    }

    fn reading(&self, time: ServerTime) -> Reading {
        Reading {
            sent: self.pacer.nanos_at(time.asked),
            store: time.now,
            received: self.pacer.nanos_at(time.answered),
        }
    }

    async fn failed(&self, error: LedgerError) {
        tracing::debug!(%error, "no part of the shared lanes");
        self.ledger.hear(error).await;
        self.clock.sleep(AFTER_FAILURE).await;
    }
}
