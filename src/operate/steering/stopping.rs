//! Waits until a stop of a campaign is in force.
//!
//! In: the time at which the ledger recorded the stop. Out: the consumers that confirmed it, and those whose rights
//! expired instead. Always: the wait ends when the last right that was renewed before the stop has expired, whether
//! the ledger answers or not.

use std::time::Duration;

use tokio::time::Instant;

use crate::ledger::{ConsumerRow, RIGHT_FOR};
use crate::operate::Operations;

/// How often the consumers are checked.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The time after which the operator is told which consumers are waited for.
const SAID_AFTER: Duration = Duration::from_millis(1_500);

/// The result of a wait.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Waited {
    /// The number of consumers that confirmed.
    pub(super) confirmed: usize,
    /// The consumers whose rights expired instead.
    pub(super) expired: Vec<ConsumerRow>,
}

impl Operations {
    /// Waits until every consumer has confirmed the current state changes of the ledger, or until its right has
    /// expired. `since` is the time of the ledger's answer. `waiting` is called once with the consumers that are
    /// waited for.
    pub(super) async fn wait_until_confirmed(
        &self,
        since: Instant,
        waiting: &(dyn Fn(&[ConsumerRow]) + Send + Sync),
    ) -> Waited {
        // A right that was renewed before the stop expires before this time.
        let all_rights_end = since + RIGHT_FOR;
        let mut wanted = None;
        let mut waited = Waited::default();
        let mut is_said = false;
        loop {
            let asked = self.ledger.consumers(self.clock.now());
            let looked = tokio::time::timeout_at(all_rights_end, asked).await;
            if let Ok(Ok((change, consumers))) = looked {
                // The first reading after the stop: later changes are not waited for.
                let wanted = *wanted.get_or_insert(change);
                let (confirmed, expired): (Vec<_>, Vec<_>) = consumers
                    .into_iter()
                    .partition(|one| one.confirmed.is_some_and(|number| number >= wanted));
                waited = Waited {
                    confirmed: confirmed.len(),
                    expired,
                };
                if waited.expired.is_empty() {
                    return waited;
                }
            }
            let now = self.clock.instant();
            if now >= all_rights_end {
                return waited;
            }
            if !is_said && now >= since + SAID_AFTER {
                is_said = true;
                waiting(&waited.expired);
            }
            tokio::time::sleep_until(all_rights_end.min(now + LOOK_EVERY)).await;
        }
    }
}
