//! Carries out a verdict: first on the ledger, then on the queue.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::ledger::{Ending, Lease, Ledger, LedgerError, Settlement, Wake};
use crate::message::{Effects, Event};
use crate::queue::{DeadLetter, Delivery, QueueError};

use super::Verdict;

/// The longest wait for which the queue delays a message. Longer waits are the ledger's, so that retry queues hold no
/// message for hours.
const QUEUE_WAIT_MAX: Duration = Duration::from_secs(60);

/// Carries out verdicts.
#[derive(Clone)]
pub struct Settler {
    ledger: Arc<Ledger>,
    clock: Clock,
}

/// How a message's turn ended.
#[derive(Debug)]
pub struct Conclusion<'a> {
    pub lease: &'a Lease,
    /// Journal events that must be written with the settlement.
    pub unwritten: &'a [Event],
    /// The message's effects at Twilio.
    pub effects: Effects,
    /// The number of attempts, this one included.
    pub attempt: u32,
    pub verdict: &'a Verdict,
}

/// Why a verdict was not carried out completely. The delivery returns, and the ledger's record decides what is done.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl Settler {
    /// A settler for this ledger.
    #[must_use]
    pub fn new(ledger: Arc<Ledger>, clock: Clock) -> Self {
        Self { ledger, clock }
    }

    /// Records the verdict, then acknowledges, returns or moves the delivery.
    ///
    /// # Errors
    ///
    /// [`SettleError`]. After a ledger's error the delivery is untouched. After a queue's error the delivery returns,
    /// and its message is found settled.
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
                // Without a step the message itself was unfit, and its publisher can correct it.
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

    /// Returns a message unchanged, because the consumer is stopping or the ledger is lost.
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
            } => Settlement::Waits {
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
