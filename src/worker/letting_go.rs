//! Leases whose turn ended without a settlement: they are ended, and whoever took the message over is
//! told that nothing more comes.
//!
//! In: leases, as their turns break off. Out: the ledger knows. Always: told again until the ledger has
//! it; a message in doubt may wait for it. Nothing is written to a journal: what stands there, whoever
//! takes the message next reads.

use std::sync::{Mutex, PoisonError};

use crate::ledger::{Lease, Ledger, LedgerError};

/// Leases that the ledger is still to be told of.
#[derive(Debug, Default)]
pub(crate) struct LettingGo(Mutex<Vec<Lease>>);

impl LettingGo {
    /// Watches over a turn: unless it is settled, its lease is let go when the watch is dropped.
    pub(super) fn unless_settled(&self, lease: &Lease) -> Watch<'_> {
        Watch {
            to: self,
            lease: Some(lease.clone()),
        }
    }

    /// Tells the ledger of all there are.
    ///
    /// # Errors
    ///
    /// The ledger's: what it did not take is told again the next time.
    pub(super) async fn tell(&self, ledger: &dyn Ledger) -> Result<(), LedgerError> {
        let mut later = Vec::new();
        let mut told = Ok(());
        while let Some(lease) = self.pop() {
            match ledger.let_go(&lease).await {
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

    fn push(&self, lease: Lease) {
        let mut leases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        leases.push(lease);
    }

    fn pop(&self) -> Option<Lease> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

/// See [`LettingGo::unless_settled`].
pub(super) struct Watch<'a> {
    to: &'a LettingGo,
    lease: Option<Lease>,
}

impl Watch<'_> {
    /// The turn is settled: its lease is over.
    pub(super) fn settled(mut self) {
        self.lease = None;
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            self.to.push(lease);
        }
    }
}
