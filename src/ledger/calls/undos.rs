//! Retries of undos: those of messages that are dead and stuck.

use std::time::Duration;

use jiff::Timestamp;

use super::native;
use crate::ledger::interceptor::LedgerCall;
use crate::ledger::{Lease, Ledger, MessageKey, Result, Stuck, UndoSettlement};
use crate::message::Event;

impl Ledger {
    /// Stuck messages whose undo is due, the longest due first. Without those of campaigns that the program has paused,
    /// and those leased to a consumer.
    pub async fn due_undos(&self, now: Timestamp, limit: usize) -> Result<Vec<MessageKey>> {
        let call = LedgerCall::of_all("due_undos");
        native!(self, call, |store| store.due_undos(now, limit))
    }

    /// Leases a stuck message whose undo is due, to retry it. The message stays dead meanwhile. Its lease works like
    /// any other for `record` and `renew`. Returns `None` when the undo is not due, or is leased to another consumer.
    pub async fn take_undo(
        &self,
        key: &MessageKey,
        holder: &str,
        now: Timestamp,
        lease_for: Duration,
    ) -> Result<Option<Stuck>> {
        native!(self, LedgerCall::named("take_undo"), |store| store
            .take_undo(key, holder, now, lease_for))
    }

    /// Appends the last events and ends the lease of a retried undo.
    ///
    /// # Errors
    ///
    /// [`LedgerError::LeaseLost`](crate::ledger::LedgerError::LeaseLost), as [`Ledger::record`].
    pub async fn settle_undo(
        &self,
        lease: &Lease,
        events: &[Event],
        settlement: &UndoSettlement,
        now: Timestamp,
    ) -> Result<()> {
        native!(self, LedgerCall::named("settle_undo"), |store| store
            .settle_undo(lease, events, settlement, now))
    }
}
