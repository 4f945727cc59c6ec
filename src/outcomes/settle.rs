//! Carrying a verdict out: first the ledger, then the queue, exactly once each.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::ledger::{Ending, Lease, Ledger, LedgerError, Settlement, Wake};
use crate::message::{Effects, Event};
use crate::queue::{DeadLetter, Delivery, QueueError};

use super::Verdict;

/// The longest wait that the queue carries; longer ones are the ledger's, so that nothing lies
/// about in retry queues for hours.
const QUEUE_WAIT_MAX: Duration = Duration::from_secs(60);

/// Carries verdicts out.
#[derive(Clone)]
pub struct Settler {
    ledger: Arc<Ledger>,
    clock: Clock,
}

/// How a message's turn came to its end.
#[derive(Debug)]
pub struct Conclusion<'a> {
    pub lease: &'a Lease,
    /// Events of its journal that are to be written with the settlement.
    pub unwritten: &'a [Event],
    /// What stands at Twilio because of it.
    pub effects: Effects,
    /// How many attempts there were, this one included.
    pub attempt: u32,
    pub verdict: &'a Verdict,
}

/// Why a verdict was not carried out to its end. The delivery comes again, and the ledger knows.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl Settler {
    /// A settler over this ledger.
    #[must_use]
    pub fn new(ledger: Arc<Ledger>, clock: Clock) -> Self {
        Self { ledger, clock }
    }

    /// Records the verdict, then acknowledges the delivery, or gives it back, or moves it, as the verdict says.
    ///
    /// # Errors
    ///
    /// [`SettleError`]: after a ledger's error the delivery is untouched; after a queue's error the
    /// delivery comes again and is found settled.
    pub async fn settle(
        &self,
        delivery: Box<dyn Delivery>,
        conclusion: Conclusion<'_>,
    ) -> Result<(), SettleError> {
        let Conclusion {
            lease,
            unwritten,
            effects,
            attempt,
            verdict,
        } = conclusion;
        let settlement = self.settlement(verdict, effects);
        let now = self.clock.now();
        self.ledger
            .settle(lease, unwritten, &settlement, now)
            .await?;
        match verdict {
            Verdict::Again { wait, .. } if is_short(*wait) => delivery.retry_later(*wait).await?,
            Verdict::End(Ending::Dead { reason, failure }) => {
                let letter = DeadLetter {
                    reason: *reason,
                    step: failure.step,
                    code: failure.code,
                    attempt,
                    detail: failure.to_string(),
                };
                // No step: it was unfit, and its publisher can do something about it.
                if failure.step.is_none() {
                    let id = lease.key.id.to_string();
                    delivery.refuse(letter, Some(id)).await?
                } else {
                    delivery.dead_letter(letter).await?
                }
            }
            Verdict::Halt(_) => delivery.release().await?,
            _ => delivery.ack().await?,
        };
        Ok(())
    }

    /// Records that a message waits, without an attempt, and acknowledges its delivery.
    ///
    /// # Errors
    ///
    /// As [`Settler::settle`].
    pub async fn put_off(
        &self,
        delivery: Box<dyn Delivery>,
        lease: &Lease,
        settlement: Settlement,
    ) -> Result<(), SettleError> {
        let now = self.clock.now();
        self.ledger.settle(lease, &[], &settlement, now).await?;
        delivery.ack().await?;
        Ok(())
    }

    /// Gives a message back as it was: the consumer is stopping or the ledger let nothing be done.
    ///
    /// # Errors
    ///
    /// As [`Settler::settle`].
    pub async fn release(
        &self,
        delivery: Box<dyn Delivery>,
        lease: &Lease,
    ) -> Result<(), SettleError> {
        let settlement = Settlement::Released { queued: true };
        let now = self.clock.now();
        self.ledger.settle(lease, &[], &settlement, now).await?;
        delivery.release().await?;
        Ok(())
    }

    fn settlement(&self, verdict: &Verdict, effects: Effects) -> Settlement {
        match verdict.clone() {
            Verdict::End(ending) => Settlement::Ended {
                ending,
                effects: Box::new(effects),
            },
            Verdict::Again {
                reason,
                wait,
                failure,
                uses_attempt,
            } => Settlement::Deferred {
                reason,
                due: self.due(wait),
                wake: if is_short(wait) {
                    Wake::Queue
                } else {
                    Wake::Ledger
                },
                failure,
                uses_attempt,
            },
            Verdict::Halt(_) => Settlement::Released { queued: true },
        }
    }

    fn due(&self, wait: Duration) -> jiff::Timestamp {
        let now = self.clock.now();
        now.checked_add(wait).unwrap_or(now)
    }
}

fn is_short(wait: Duration) -> bool {
    wait <= QUEUE_WAIT_MAX
}
