//! Shows the state of a consumer's lanes: each lane to `status`, through the ledger, and sums by kind to Prometheus.
//!
//! In: the pacer's lanes. Out: one record a consumer, about once a second while lanes change, and again before the last
//! one is outdated. Always: the record is bounded, with the busiest lanes first and the number of those left out; it
//! contains no sender's whole number; a ledger that does not accept it delays nothing.

use std::convert::Infallible;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::metrics::LanesOfKind;
use crate::pacing::{LaneKind, LaneView};
use crate::queue::NodeInUse;
use crate::shown_lanes::ShownLanes;

use crate::worker::WorkerState;

/// How often lanes are read, and for how many lanes that interval grows by one second.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const LANES_A_LOOK: usize = 10_000;

/// After how long an unchanged record is written again: well below [`crate::shown_lanes::SEEN_FOR`].
const SHOW_AGAIN: Duration = Duration::from_secs(4);

/// How often the log repeats that shared lanes are not served.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// The maximum time to remove the record from the ledger at the end.
const LAST_WORD: Duration = Duration::from_secs(2);

/// Shows the lanes for as long as the future is polled.
pub(in crate::worker) async fn keep(shared: &WorkerState) -> Infallible {
    let parts = &shared.parts;
    let mut shown: Option<(ShownLanes, Instant)> = None;
    let mut unserved = Unserved::default();
    loop {
        let views = parts.pacer.lanes();
        let store_takes = parts.pacer.store_takes();
        parts.metrics.store_takes(store_takes);
        unserved.look(&views, store_takes, parts.clock.instant());
        let rare = u32::try_from(views.len() / LANES_A_LOOK).unwrap_or(u32::MAX);
        count(shared, &views);
        let lanes = ShownLanes {
            obstacles: parts.queue.obstacles(),
            away: parts.twilio.outages().away(parts.clock.now()),
            nodes: in_use(parts.queue.nodes()),
            ..ShownLanes::of(&views)
        };
        let now = parts.clock.instant();
        let is_news = shown
            .as_ref()
            .is_none_or(|(last, at)| *last != lanes || now >= *at + SHOW_AGAIN);
        if is_news && !parts.ledger.is_lost() {
            let value = serde_json::to_value(&lanes).unwrap_or(Value::Null);
            let showing = parts
                .ledger
                .show_lanes(&parts.holder, Some(&value), parts.clock.now());
            match showing.await {
                Ok(()) => shown = Some((lanes, now)),
                Err(error) => tracing::debug!(%error, "limits are not shown"),
            }
        }
        parts.clock.sleep(LOOK_EVERY * (1 + rare)).await;
    }
}

/// The nodes that this process has a connection to.
fn in_use(mut nodes: Vec<NodeInUse>) -> Vec<NodeInUse> {
    nodes.retain(|node| node.connections > 0);
    nodes
}

/// Removes this consumer's record from the ledger when the consumer ends.
pub(in crate::worker) async fn hide(shared: &WorkerState) {
    let parts = &shared.parts;
    let hiding = parts
        .ledger
        .show_lanes(&parts.holder, None, parts.clock.now());
    if !parts.ledger.is_lost() {
        // Otherwise the record becomes outdated by itself.
        drop(tokio::time::timeout(LAST_WORD, hiding).await);
    }
}

/// When the log was last told that shared lanes are not served. None while they are.
#[derive(Default)]
struct Unserved(Option<Instant>);

impl Unserved {
    /// Logs when lanes are not served any more, repeats it while that lasts, and logs when all lanes are served again.
    fn look(&mut self, views: &[LaneView], store_takes: Duration, now: Instant) {
        let lanes = || views.iter().filter(|view| view.unserved.is_some());
        let Some(first) = lanes().max_by_key(|view| view.unserved) else {
            if self.0.take().is_some() {
                tracing::info!("all shared limits are served again");
            }
            return;
        };
        if self.0.is_some_and(|told| now < told + TELL_AGAIN) {
            return;
        }
        self.0 = Some(now);
        tracing::warn!(
            lanes = lanes().count(), longest = %first.lane,
            waited_s = first.unserved.unwrap_or_default().as_secs(),
            database_answers_after_ms = u64::try_from(store_takes.as_millis()).unwrap_or(u64::MAX),
            "shared limits are not served: the database grants less than they allow, or answers too late; see \
             FlexcastLimitNotServed in docs/runbooks.md"
        );
    }
}

fn count(shared: &WorkerState, views: &[LaneView]) {
    for kind in LaneKind::ALL {
        let mut of_kind = LanesOfKind::default();
        for view in views.iter().filter(|view| view.lane.kind() == *kind) {
            of_kind.lanes += 1;
            of_kind.waiting += u64::from(view.waiting);
            of_kind.resting += u64::from(view.resting.is_some());
            of_kind.unserved += u64::from(view.unserved.is_some());
            of_kind.used_last_minute += u64::from(view.used_last_minute);
        }
        shared.parts.metrics.lanes(*kind, of_kind);
    }
}
