//! The work on one message: its lease, its journal, its settlement.

use std::time::Duration;

use jiff::Timestamp;

use super::native;
use crate::ledger::interceptor::LedgerCall;
use crate::ledger::{Lease, Ledger, Result, Settlement, Taken};
use crate::message::{Event, Message};

impl Ledger {
    /// Shows other processes that this consumer is alive, until its process ends: from it they know whether the holder
    /// of an expired lease is dead or only slow. Called before the first take.
    pub async fn show_alive(&self, holder: &str) -> Result<()> {
        let call = LedgerCall::named("show_alive");
        native!(self, call, |store| store.show_alive(holder))
    }

    /// Takes a delivered message: leases it to `holder` for `lease_for`. A publisher's message that the ledger does not
    /// know is accepted first.
    ///
    /// A waiting message that is due within [`EARLY`](crate::ledger::EARLY) is taken too, because the queue that
    /// brings it back has another clock. A message whose lease has expired is taken too, by any consumer. While a
    /// lease is valid, no consumer can take the message, not even its holder.
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
    /// message's, or the message is no longer in flight. An expired lease remains valid until the message is taken.
    pub async fn record(&self, lease: &Lease, events: &[Event], now: Timestamp) -> Result<()> {
        let call = LedgerCall::named("record").writes(&lease.key.id);
        native!(self, call, |store| store.record(lease, events, now))
    }

    /// Extends a lease until `now + lease_for`.
    ///
    /// # Errors
    ///
    /// [`LedgerError::LeaseLost`](crate::ledger::LedgerError::LeaseLost), as [`Ledger::record`].
    pub async fn renew(&self, lease: &Lease, now: Timestamp, lease_for: Duration) -> Result<Lease> {
        let call = LedgerCall::named("renew");
        native!(self, call, |store| store.renew(lease, now, lease_for))
    }

    /// Appends the last events and ends the lease: the message is over, waits for a later time, or is returned.
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

    /// Releases a lease: its holder does nothing more under it. If the lease is still the message's, it ends, and the
    /// message waits on the queue, which delivers it again. If another consumer has taken the message since, that
    /// consumer need not wait for this holder any more.
    pub async fn release_lease(&self, lease: &Lease) -> Result<()> {
        native!(self, LedgerCall::named("release_lease"), |store| store
            .release_lease(lease))
    }

    /// Ends every lease. For a caller that knows that no other consumer is alive: the one that holds a store alone. The
    /// messages wait on the queue, which redelivers unacknowledged messages. Returns how many leases of messages it
    /// ended.
    pub async fn release_leases(&self) -> Result<u64> {
        let call = LedgerCall::named("release_leases");
        native!(self, call, |store| store.release_leases())
    }

    /// Ends at most `limit` expired leases whose holders are dead. `holder` is the caller. The messages wait on the
    /// queue, which redelivers unacknowledged messages. Returns how many leases it ended.
    pub async fn sweep_leases(&self, holder: &str, now: Timestamp, limit: usize) -> Result<u64> {
        let call = LedgerCall::named("sweep_leases");
        native!(self, call, |store| store.sweep_leases(holder, now, limit))
    }
}
