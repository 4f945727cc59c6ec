//! What consumers share: lanes, and places for calls under way. Each has its part from the store.
//!
//! In: what the pacer wants. Out: what the store gives. Always: nothing is asked while the store is lost,
//! and what was not given is not used; one consumer alone, whose ledger nobody shares, needs none of this.

use std::convert::Infallible;
use std::time::Duration;

use crate::ledger::{LedgerError, ServerTime, SharedLanes};
use crate::pacing::{Pacer, Reading, StoreClock, share_places};

use super::Shared;

/// How often a consumer looks after its share of the places: one that comes has its part of them when
/// the others have looked once.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The pause after a request that failed.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Asks for as long as it is polled.
pub(super) async fn keep(shared: &Shared) -> Infallible {
    let Some(lanes) = &shared.parts.lanes else {
        return std::future::pending().await;
    };
    tokio::select! {
        biased;
        never = ask(shared, lanes) => never,
        never = look(shared, lanes) => never,
    }
}

/// Asks for lanes whenever somebody waits for them.
async fn ask(shared: &Shared, lanes: &SharedLanes) -> Infallible {
    let (pacer, ledger) = (&shared.parts.pacer, &shared.parts.ledger);
    let holder = &shared.parts.holder;
    let mut clock = StoreClock::default();
    loop {
        pacer.wants_to_ask().await;
        ledger.back().await;
        let Some(asked) = pacer.asks() else {
            continue;
        };
        let names = asked.lanes();
        let asking = lanes.change(&names, |rows, time| {
            clock.read(reading(pacer, time));
            asked.carry_out(rows, holder, &clock, time.now)
        });
        match asking.await {
            Ok(given) => pacer.give(&asked, &given),
            Err(error) => {
                pacer.not_given(&asked);
                failed(shared, &error).await;
            }
        }
    }
}

/// Looks after the share of places.
async fn look(shared: &Shared, lanes: &SharedLanes) -> Infallible {
    let parts = &shared.parts;
    let all = parts.pacer.concurrency();
    loop {
        parts.ledger.back().await;
        let taken = parts.pacer.under_way();
        let sharing = lanes.change_places(|members, time| {
            share_places(members, &parts.holder, all, taken, time.now)
        });
        match sharing.await {
            Ok(share) => parts.pacer.set_share(share),
            Err(error) => failed(shared, &error).await,
        }
        parts.clock.sleep(LOOK_EVERY).await;
    }
}

fn reading(pacer: &Pacer, time: ServerTime) -> Reading {
    Reading {
        sent: pacer.nanos_at(time.asked),
        store: time.now,
        received: pacer.nanos_at(time.answered),
    }
}

async fn failed(shared: &Shared, error: &LedgerError) {
    tracing::debug!(%error, "no part of the shared lanes");
    shared.parts.ledger.heard(error);
    shared.parts.clock.sleep(AFTER_FAILURE).await;
}
