//! Waits until a stop of a campaign is in force.
//!
//! In: the moment at which the ledger had the stop. Out: the consumers that confirmed it, and those whose
//! rights ran out instead. Always: it ends when the longest right that was renewed before the stop has run
//! out, whether the ledger answers or not.

use std::time::Duration;

use tokio::time::Instant;

use crate::ledger::{ConsumerRow, RIGHT_FOR};
use crate::operate::Operations;

/// How often the consumers are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The wait after which the operator is told which consumer is waited for.
const SAID_AFTER: Duration = Duration::from_millis(1_500);

/// How a wait ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Waited {
    /// How many consumers have confirmed.
    pub(super) confirmed: usize,
    /// The consumers whose rights have run out instead.
    pub(super) expired: Vec<ConsumerRow>,
}

impl Operations {
    /// Waits until every consumer has confirmed the changes of states that the ledger has now, or until its
    /// right has run out. `since`: when the ledger had answered. `waiting` is told once for whom the wait is.
    pub(super) async fn wait_until_confirmed(
        &self,
        since: Instant,
        waiting: &(dyn Fn(&[ConsumerRow]) + Send + Sync),
    ) -> Waited {
        // A right that a consumer renewed before the stop ends so long after its renewal, and so before this.
        let all_rights_end = since + RIGHT_FOR;
        let mut wanted = None;
        let mut waited = Waited::default();
        let mut is_said = false;
        loop {
            let asked = self.ledger.consumers(self.clock.now());
            let looked = tokio::time::timeout_at(all_rights_end, asked).await;
            if let Ok(Ok((change, consumers))) = looked {
                // The first look after the stop: a change that comes later is not waited for.
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
