//! The last stage: a message whose saga has run. It is judged and settled.

use crate::engine::{Delivered, Interrupted};
use crate::ledger::LedgerError;
use crate::message::Failure;
use crate::metrics::InFlight;
use crate::outcomes::{Circumstances, Conclusion, judge};
use crate::twilio::Closed;

use super::agent::CountedPlace;
use super::leased::{Leased, kind};
use super::ready::Ready;
use super::set_aside::damaged;
use super::{AFTER_FAILURE, HELD_AGAIN, Left};
use crate::worker::in_flight::InFlightSlot;

/// A message whose saga has reached an outcome.
pub(super) struct Executed<'a> {
    leased: Leased<'a>,
    delivered: Delivered,
    circumstances: Circumstances,
    counted: CountedPlace,
    _in_flight: InFlight,
    _slot: InFlightSlot,
}

impl<'a> Ready<'a> {
    /// Runs the saga.
    pub(super) async fn execute(self) -> Result<Executed<'a>, Left> {
        let Self { mut leased, slot } = self;
        let shared = leased.session.shared;
        let parts = &shared.parts;
        let in_flight = parts.metrics.message_begins();
        let began = parts.clock.instant();
        // Read once: the verdict must agree with the engine's decision whether a failure was final and so to be undone.
        let circumstances = leased.circumstances();
        let policy = &parts.policy;
        let for_good = |failure: &Failure| policy.is_for_good(failure, circumstances);
        let delivered = match parts.engine.deliver(leased.job(), &for_good).await {
            Ok(delivered) => delivered,
            Err(Interrupted::Closed(closed)) => return Err(leased.give_back(&closed).await),
            // The journal events may be stored although the ledger reported a failure. So this lease writes nothing
            // more, and the next consumer reads what is stored.
            Err(_) if parts.ledger.is_lost() => {
                leased.delivery.release().await?;
                shared.store_refusals.settled(&leased.taken.lease.key);
                return Err(Left::BrokenOff);
            }
            Err(interrupted) => return Err(leased.interrupt(interrupted).await?),
        };
        let counted = CountedPlace::over(&mut leased, &delivered);
        let (strategy, api) = kind(leased.session.active, leased.message());
        parts.metrics.saga(strategy, api, began.elapsed());
        leased.taken.lease = delivered.lease.clone();
        Ok(Executed {
            leased,
            delivered,
            circumstances,
            counted,
            _in_flight: in_flight,
            _slot: slot,
        })
    }
}

impl Executed<'_> {
    /// Judges and settles the message.
    pub(super) async fn settle(self) -> Result<(), Left> {
        let Self {
            leased,
            delivered,
            circumstances,
            counted,
            _in_flight,
            _slot,
        } = self;
        let shared = leased.session.shared;
        let verdict = judge(delivered.ended, &shared.parts.policy, circumstances);
        leased.note(&verdict).await;
        let conclusion = Conclusion {
            lease: &leased.taken.lease,
            unwritten: &delivered.unwritten,
            effects: delivered.saga.effects,
            attempt: leased.taken.attempts + 1,
            verdict: &verdict,
        };
        let settling = shared.settler.settle(leased.delivery, conclusion);
        // Concurrently: neither waits for the other's round trip to the ledger.
        let (settled, ()) = tokio::join!(settling, counted.end(shared));
        let lease = &leased.taken.lease;
        match leased.session.over(settled, lease, leased.watch) {
            Left::Settled => Ok(()),
            left => Err(left),
        }
    }
}

impl Leased<'_> {
    /// Returns a message whose call could not start.
    async fn give_back(self, closed: &Closed) -> Left {
        tracing::info!(message.id = %self.key().id.in_log(), %closed, "message given back");
        if closed.is_away() {
            // Where its campaign does not wait for the product that is away, the message is redelivered at once.
            let pause = self.session.shared.parts.clock.sleep(AFTER_FAILURE);
            self.session.stop.run_until_stopped(pause).await;
        }
        self.release().await
    }

    /// Handles an interrupted saga: its delivery returns after a pause, or is dead-lettered if the message's records
    /// are damaged.
    async fn interrupt(self, interrupted: Interrupted) -> Result<Left, Left> {
        let (shared, key) = (self.session.shared, &self.taken.lease.key);
        match interrupted {
            Interrupted::Ledger(error @ LedgerError::Refused { .. }) => {
                let pause = shared.store_refusals.pause(key);
                self.delivery.retry_later(pause).await?;
                return Err(error.into());
            }
            Interrupted::Ledger(LedgerError::Damaged(detail)) => {
                damaged(shared, self.delivery, key, detail).await?;
            }
            Interrupted::Journal(illegal) => {
                let detail = format!("its journal: {illegal}");
                damaged(shared, self.delivery, key, detail).await?;
            }
            interrupted => {
                tracing::warn!(message.id = %key.id.in_log(), %interrupted, "interrupted");
                self.delivery.retry_later(HELD_AGAIN).await?;
            }
        }
        shared.store_refusals.settled(key);
        Ok(Left::BrokenOff)
    }
}
