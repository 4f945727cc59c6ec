//! Counts the messages that all consumers of a ledger have begun for agents.

use crate::ledger::interceptor::LedgerCall;
use crate::ledger::{AgentAnswer, AgentWish, Lease, Ledger, Result, Store};

impl Ledger {
    /// Counts a message as begun for its agent, if the agent has a place. Returns None where one consumer works at a
    /// time and counts for itself.
    ///
    /// # Errors
    ///
    /// [`LedgerError`](crate::ledger::LedgerError): the message may be counted all the same.
    pub async fn begin_for_agent(&self, wish: &AgentWish<'_>) -> Result<Option<AgentAnswer>> {
        let Store::Postgres(store) = &*self.store else {
            return Ok(None);
        };
        let call = LedgerCall::named("begin_for_agent");
        self.make(call, Box::pin(store.begin_for_agent(wish)))
            .await
            .map(Some)
    }

    /// Ends the count of a message that is no longer in flight. `may_stand`: its task may have been made.
    ///
    /// # Errors
    ///
    /// [`LedgerError`](crate::ledger::LedgerError): the message counts until its lease is over and a reading of the
    /// agent has shown its task.
    pub async fn end_for_agent(&self, lease: &Lease, may_stand: bool) -> Result<()> {
        let Store::Postgres(store) = &*self.store else {
            return Ok(());
        };
        let call = LedgerCall::named("end_for_agent");
        self.make(call, Box::pin(store.end_for_agent(lease, may_stand)))
            .await
    }
}
