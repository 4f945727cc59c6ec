//! Leases whose turn ended without a settlement: they are ended, and whoever took the message over is
//! told that nothing more comes.
//!
//! In: leases, as their turns break off; takes that the ledger did not answer. Out: the ledger knows.
//! Always: told again until the ledger has it; a message in doubt may wait for it. Nothing is written to a
//! journal: what stands there, whoever takes the message next reads.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::ledger::{Lease, Ledger, LedgerError, MessageKey, Standing, Taken};

/// Leases that the ledger is still to be told of.
#[derive(Debug, Default)]
pub(crate) struct AbandonedLeases {
    leases: Mutex<Vec<Lease>>,
    /// Messages whose take the ledger did not answer, and when each is looked at.
    unanswered: Mutex<BTreeMap<MessageKey, Timestamp>>,
}

/// Who looks at messages whose take was not answered, and when.
pub(in crate::worker) struct Looker<'a> {
    /// The consumer's own name in leases.
    pub(in crate::worker) holder: &'a str,
    pub(in crate::worker) now: Timestamp,
    pub(in crate::worker) lease_for: Duration,
}

impl AbandonedLeases {
    /// Watches over a turn: unless it is settled, its lease is noted as abandoned when the watch is dropped.
    pub(in crate::worker) fn unless_settled(&self, lease: &Lease) -> LeaseWatch<'_> {
        LeaseWatch {
            to: self,
            lease: Some(lease.clone()),
        }
    }

    /// Tells the ledger of all there are.
    ///
    /// # Errors
    ///
    /// The ledger's: what it did not take is told again the next time.
    pub(in crate::worker) async fn tell(&self, ledger: &Ledger) -> Result<(), LedgerError> {
        let mut later = Vec::new();
        let mut told = Ok(());
        while let Some(lease) = self.pop() {
            match ledger.release_lease(&lease).await {
                Ok(()) => {}
                // One that the store refuses for its own sake holds up no other.
                Err(LedgerError::Refused { .. }) => later.push(lease),
                Err(error) => {
                    later.push(lease);
                    told = Err(error);
                    break;
                }
            }
        }
        for lease in later {
            self.push(lease);
        }
        told
    }

    /// Takes note of a take's result. One without an answer may stand all the same, under a lease that no turn
    /// knows: the message is looked at after `until`, when that lease has run out. What the queue delivers meanwhile
    /// finds it held.
    pub(in crate::worker) fn note_take(
        &self,
        key: &MessageKey,
        taken: &Result<Taken, LedgerError>,
        until: Timestamp,
    ) {
        match taken {
            // Perhaps by the very take that was not answered.
            Ok(Taken::Held { .. }) => {}
            Ok(_) => drop(self.unanswered().remove(key)),
            Err(LedgerError::Refused { .. } | LedgerError::Damaged(_)) => {}
            Err(_) => drop(self.unanswered().insert(key.clone(), until)),
        }
    }

    /// Ends the leases of takes without an answer, where they stand and have run out. Mostly a redelivery takes the
    /// message before; but the queue may have lost it, and only what waits is published again.
    ///
    /// # Errors
    ///
    /// The ledger's: what was not looked at is looked at the next time.
    pub(in crate::worker) async fn end_unanswered(
        &self,
        ledger: &Ledger,
        looker: &Looker<'_>,
    ) -> Result<(), LedgerError> {
        let mut due = Vec::new();
        for (key, at) in self.unanswered().iter() {
            if *at <= looker.now {
                due.push(key.clone());
            }
        }
        for key in due {
            match self.end_one(ledger, looker, &key).await {
                Ok(()) => {}
                // One that the store refuses for its own sake holds up no other; `status` names it when it comes.
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
        looker: &Looker<'_>,
        key: &MessageKey,
    ) -> Result<(), LedgerError> {
        let found = ledger.find(key).await?;
        let found = found.map(|record| (record.message, record.standing));
        let message = match found {
            Some((message, Standing::InFlight { holder, until })) if holder == looker.holder => {
                if until > looker.now {
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
        // Otherwise a turn of this consumer has it by now.
        if !self.unanswered().contains_key(key) {
            return Ok(());
        }
        // As after a redelivery: only a take gives the number of a lease.
        let taking = ledger.take(&message, looker.holder, looker.now, looker.lease_for);
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

    /// Looks at a message later, unless a turn has it by now.
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

/// See [`AbandonedLeases::unless_settled`].
pub(in crate::worker) struct LeaseWatch<'a> {
    to: &'a AbandonedLeases,
    lease: Option<Lease>,
}

impl LeaseWatch<'_> {
    /// The turn is settled: its lease is over.
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
