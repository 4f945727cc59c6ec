//! Releases the leases of turns that ended without a settlement, so that a message's next holder knows that its
//! previous one sends nothing more.
//!
//! In: leases whose turns were interrupted; takes that the ledger did not answer. Out: leases released in the ledger.
//! Always: a release is retried until the ledger has it, because an uncertain message may wait for it; nothing is
//! written to the journal, which the next holder reads.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::ledger::{Lease, Ledger, LedgerError, MessageKey, Standing, Taken};

/// Leases that are still to be released in the ledger.
#[derive(Debug, Default)]
pub(crate) struct AbandonedLeases {
    leases: Mutex<Vec<Lease>>,
    /// The messages whose take the ledger did not answer, and when each is checked.
    unanswered: Mutex<BTreeMap<MessageKey, Timestamp>>,
}

/// The consumer that checks messages whose take was not answered, and the time of the check.
pub(in crate::worker) struct UnansweredCheck<'a> {
    /// The consumer's name in leases.
    pub(in crate::worker) holder: &'a str,
    pub(in crate::worker) now: Timestamp,
    pub(in crate::worker) lease_for: Duration,
}

impl AbandonedLeases {
    /// Watches a turn: unless it is settled, its lease is recorded as abandoned when the watch is dropped.
    pub(in crate::worker) fn unless_settled(&self, lease: &Lease) -> LeaseWatch<'_> {
        LeaseWatch {
            to: self,
            lease: Some(lease.clone()),
        }
    }

    /// Releases all recorded leases in the ledger.
    ///
    /// # Errors
    ///
    /// The ledger's error. Leases that were not released are retried at the next call.
    pub(in crate::worker) async fn release_all(&self, ledger: &Ledger) -> Result<(), LedgerError> {
        let mut later = Vec::new();
        let mut released = Ok(());
        while let Some(lease) = self.pop() {
            match ledger.release_lease(&lease).await {
                Ok(()) => {}
                // A lease whose own release the store refuses does not delay the others.
                Err(LedgerError::Refused { .. }) => later.push(lease),
                Err(error) => {
                    later.push(lease);
                    released = Err(error);
                    break;
                }
            }
        }
        for lease in later {
            self.push(lease);
        }
        released
    }

    /// Records the result of a take. A take without an answer may have succeeded, with a lease that no turn knows. So
    /// the message is checked after `until`, when that lease has expired. Until then, redeliveries find the message
    /// held.
    pub(in crate::worker) fn note_take(
        &self,
        key: &MessageKey,
        taken: &Result<Taken, LedgerError>,
        until: Timestamp,
    ) {
        match taken {
            // Perhaps held by the take that was not answered.
            Ok(Taken::Held { .. }) => {}
            Ok(_) => drop(self.unanswered().remove(key)),
            Err(LedgerError::Refused { .. } | LedgerError::Damaged(_)) => {}
            Err(_) => drop(self.unanswered().insert(key.clone(), until)),
        }
    }

    /// Ends the leases of takes without an answer, if the takes succeeded and the leases have expired. Usually a
    /// redelivery takes the message first. But the queue may have lost it, and only waiting messages are published
    /// again.
    ///
    /// # Errors
    ///
    /// The ledger's error. Messages that were not checked are checked at the next call.
    pub(in crate::worker) async fn end_unanswered(
        &self,
        ledger: &Ledger,
        check: &UnansweredCheck<'_>,
    ) -> Result<(), LedgerError> {
        let mut due = Vec::new();
        for (key, at) in self.unanswered().iter() {
            if *at <= check.now {
                due.push(key.clone());
            }
        }
        for key in due {
            match self.end_one(ledger, check, &key).await {
                Ok(()) => {}
                // A message that the store refuses does not delay the others. `status` names it when it is taken.
                Err(LedgerError::Refused { .. } | LedgerError::Damaged(_)) => {
                    self.unanswered().remove(&key);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn end_one(
        &self,
        ledger: &Ledger,
        check: &UnansweredCheck<'_>,
        key: &MessageKey,
    ) -> Result<(), LedgerError> {
        let found = ledger.find(key).await?;
        let found = found.map(|record| (record.message, record.standing));
        let message = match found {
            Some((message, Standing::InFlight { holder, until })) if holder == check.holder => {
                if until > check.now {
                    self.note_standing(key, until);
                    return Ok(());
                }
                message
            }
            _ => {
                self.unanswered().remove(key);
                return Ok(());
            }
        };
        // Otherwise a turn of this consumer has it already.
        if !self.unanswered().contains_key(key) {
            return Ok(());
        }
        // As after a redelivery: only a take returns a lease's number.
        let taking = ledger.take(&message, check.holder, check.now, check.lease_for);
        match taking.await? {
            Taken::Leased(taken) => {
                self.unanswered().remove(key);
                self.push(taken.lease);
            }
            Taken::Held { until } => self.note_standing(key, until),
            _ => drop(self.unanswered().remove(key)),
        }
        Ok(())
    }

    /// Checks the message at a later time, unless a turn has it already.
    fn note_standing(&self, key: &MessageKey, until: Timestamp) {
        if let Some(at) = self.unanswered().get_mut(key) {
            *at = until;
        }
    }

    fn unanswered(&self) -> MutexGuard<'_, BTreeMap<MessageKey, Timestamp>> {
        let unanswered = self.unanswered.lock();
        unanswered.unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, lease: Lease) {
        self.leases().push(lease);
    }

    fn pop(&self) -> Option<Lease> {
        self.leases().pop()
    }

    fn leases(&self) -> MutexGuard<'_, Vec<Lease>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Records its lease as abandoned when dropped. See [`AbandonedLeases::unless_settled`].
pub(in crate::worker) struct LeaseWatch<'a> {
    to: &'a AbandonedLeases,
    lease: Option<Lease>,
}

impl LeaseWatch<'_> {
    /// Marks the turn as settled: its lease is over.
    pub(in crate::worker) fn settled(mut self) {
        self.lease = None;
    }
}

impl Drop for LeaseWatch<'_> {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            self.to.push(lease);
        }
    }
}
