//! What the consumers of a ledger share: the limits, as the store of `pacing`, and the count of messages that they have
//! begun for agents.

use async_trait::async_trait;

use crate::ledger::interceptor::LedgerCall;
use crate::ledger::postgres::PostgresStore;
use crate::ledger::{AgentAnswer, AgentWish, Lease, Ledger, LedgerError, Result, Store};
use crate::pacing::{
    ConcurrencyShare, LaneAnswers, LaneRequest, ServerTime, SharedStore, StoreFailure,
};

impl Ledger {
    fn server(&self) -> Result<&PostgresStore> {
        match &*self.store {
            Store::Postgres(store) => Ok(store),
            Store::Sqlite(_) => Err(LedgerError::Misconfigured(
                "a ledger in a file has one consumer and shares no limits".to_owned(),
            )),
        }
    }

    /// Counts a message as begun for its agent, if the agent has a place. Returns None where one consumer works at a
    /// time and counts for itself.
    ///
    /// # Errors
    ///
    /// [`LedgerError`]: the message may be counted all the same.
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
    /// [`LedgerError`]: the message counts until its lease is over and a reading of the
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

#[async_trait]
impl SharedStore for Ledger {
    async fn back(&self) {
        Ledger::back(self).await;
    }

    async fn hand_out(
        &self,
        request: &LaneRequest,
    ) -> std::result::Result<(LaneAnswers, ServerTime), StoreFailure> {
        let call = LedgerCall::named("hand_out");
        let handing_out = Box::pin(async { self.server()?.hand_out(request).await });
        Ok(self.make(call, handing_out).await?)
    }

    async fn share_concurrency(
        &self,
        holder: &str,
        all: u32,
        taken: u32,
    ) -> std::result::Result<(ConcurrencyShare, ServerTime), StoreFailure> {
        let call = LedgerCall::named("share_concurrency");
        let sharing =
            Box::pin(async { self.server()?.share_concurrency(holder, all, taken).await });
        Ok(self.make(call, sharing).await?)
    }
}

impl From<LedgerError> for StoreFailure {
    fn from(error: LedgerError) -> Self {
        Self(error.to_string())
    }
}
