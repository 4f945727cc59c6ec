//! The work on a message: its lease, its journal, its settlement.

use std::time::Duration;

use jiff::Timestamp;

use super::native;
use crate::ledger::interceptor::LedgerCall;
use crate::ledger::{Lease, Ledger, Result, Settlement, Taken};
use crate::message::{Event, Message};

impl Ledger {
    /// Shows to those who share the ledger that this consumer lives, until its process ends: they then
    /// know whether the holder of a lease is dead, or only slow. Before its first take.
    pub async fn show_alive(&self, holder: &str) -> Result<()> {
        let call = LedgerCall::named("show_alive");
        native!(self, call, |store| store.show_alive(holder))
    }

    /// Takes a delivered message: accepts it first when a publisher sent it and the ledger does not
    /// know it, then leases it to `holder` for `lease_for`.
    ///
    /// A message that is deferred and due within [`EARLY`](crate::ledger::EARLY) is taken too: the queue that brings it
    /// back runs on another clock. So is one whose lease has run out, whoever held it; while a lease lasts
    /// nobody else has the message, not even its own holder a second time.
    pub async fn take(
        &self,
        message: &Message,
        holder: &str,
        now: Timestamp,
        lease_for: Duration,
    ) -> Result<Taken> {
        let id = message.id();
        let call = LedgerCall::named("take").writes(&id);
        native!(self, call, |store| store
            .take(message, holder, now, lease_for))
    }

    /// Appends events to a leased message's journal.
    ///
    /// # Errors
    ///
    /// [`LedgerError::LeaseLost`](crate::ledger::LedgerError::LeaseLost) when the lease's number is no longer the
    /// message's, or the message is no longer in flight. A lease that has run out and that nobody took is still good.
    pub async fn record(&self, lease: &Lease, events: &[Event], now: Timestamp) -> Result<()> {
        let call = LedgerCall::named("record").writes(&lease.key.id);
        native!(self, call, |store| store.record(lease, events, now))
    }

    /// Makes a lease last until `now + lease_for`.
    ///
    /// # Errors
    ///
    /// [`LedgerError::LeaseLost`](crate::ledger::LedgerError::LeaseLost), as [`Ledger::record`].
    pub async fn renew(&self, lease: &Lease, now: Timestamp, lease_for: Duration) -> Result<Lease> {
        let call = LedgerCall::named("renew");
        native!(self, call, |store| store.renew(lease, now, lease_for))
    }

    /// Appends the last events and ends the lease: the message is over, deferred or given back.
    ///
    /// # Errors
    ///
    /// [`LedgerError::LeaseLost`](crate::ledger::LedgerError::LeaseLost), as [`Ledger::record`].
    pub async fn settle(
        &self,
        lease: &Lease,
        events: &[Event],
        settlement: &Settlement,
        now: Timestamp,
    ) -> Result<()> {
        let call = LedgerCall::named("settle");
        let call = match settlement {
            Settlement::Ended { .. } => call.writes(&lease.key.id),
            _ => call,
        };
        native!(self, call, |store| store
            .settle(lease, events, settlement, now))
    }

    /// Says that nothing more is done under a lease, which may have been lost long since: a consumer that took the
    /// message over need not wait for this holder any more. A lease that still is the message's ends, and
    /// the message waits on the queue, which brings it back.
    pub async fn release_lease(&self, lease: &Lease) -> Result<()> {
        native!(self, LedgerCall::named("release_lease"), |store| store
            .release_lease(lease))
    }

    /// Ends every lease of holders that are certainly dead: called by the one consumer of a store
    /// that only one consumer can hold. Their messages wait on the queue, which brings back what was
    /// not acknowledged. Returns how many there were.
    pub async fn release_leases(&self) -> Result<u64> {
        let call = LedgerCall::named("release_leases");
        native!(self, call, |store| store.release_leases())
    }

    /// Ends at most `limit` leases that ran out and whose holders are dead; `holder` is the caller, who lives.
    /// Their messages wait on the queue, which brings back what was not acknowledged. Returns how many there
    /// were.
    pub async fn sweep_leases(&self, holder: &str, now: Timestamp, limit: usize) -> Result<u64> {
        let call = LedgerCall::named("sweep_leases");
        native!(self, call, |store| store.sweep_leases(holder, now, limit))
    }
}
