//! Undos that are tried again: of messages that are dead, and stuck.

use std::time::Duration;

use jiff::Timestamp;

use super::native;
use crate::ledger::interceptor::LedgerCall;
use crate::ledger::{Lease, Ledger, MessageKey, Result, Stuck, UndoSettlement};
use crate::message::Event;

impl Ledger {
    /// Stuck messages whose undo is due, the longest due first: without those of paused campaigns, and
    /// without those that a consumer tries.
    pub async fn due_undos(&self, now: Timestamp, limit: usize) -> Result<Vec<MessageKey>> {
        let call = LedgerCall::of_all("due_undos");
        native!(self, call, |store| store.due_undos(now, limit))
    }

    /// Takes a stuck message whose undo is due, to try it again. It stays dead meanwhile; its lease is
    /// recorded under and renewed as any other. `None` when it is not due, or leased to another consumer.
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

    /// Appends the last events and ends the lease of an undo that was tried again.
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
