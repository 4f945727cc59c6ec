//! The limits that the consumers of a ledger share: the store of `pacing`.

use async_trait::async_trait;

use crate::ledger::interceptor::LedgerCall;
use crate::ledger::postgres::PostgresStore;
use crate::ledger::{Ledger, LedgerError, Result, Store};
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
