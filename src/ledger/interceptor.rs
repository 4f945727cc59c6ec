//! The one place that every call passes: a test may intercept it here, and a lost store is detected here.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use futures::future::BoxFuture;

use super::{Ledger, Result};
use crate::message::MessageId;

/// One call of a ledger.
#[derive(Clone, Copy, Debug)]
pub struct LedgerCall<'a> {
    /// The method's name.
    pub name: &'static str,
    /// The message whose own content (its fields, its events, its ending) the call writes.
    pub content_of: Option<&'a MessageId>,
    /// Whether it reads across all messages: then one unreadable row blocks it for all.
    pub(super) is_whole: bool,
}

impl<'a> LedgerCall<'a> {
    pub(super) fn named(name: &'static str) -> Self {
        Self {
            name,
            content_of: None,
            is_whole: false,
        }
    }

    pub(super) fn of_all(name: &'static str) -> Self {
        Self {
            is_whole: true,
            ..Self::named(name)
        }
    }

    pub(super) fn writes(self, message: &'a MessageId) -> Self {
        Self {
            content_of: Some(message),
            ..self
        }
    }
}

/// The call itself. It is made when this future is awaited, and not made if it is dropped.
pub type MadeCall<'a> = BoxFuture<'a, Result<()>>;

/// Wraps each call of a ledger.
#[async_trait]
pub trait Interceptor: Send + Sync {
    /// Makes the call or does not. An error that it returns becomes the call's result.
    async fn around(&self, call: LedgerCall<'_>, making: MadeCall<'_>) -> Result<()>;
}

impl Ledger {
    /// Makes a call, and detects from its result whether the store is lost. It is boxed: nested in each other, the
    /// futures of a message's turn would overflow a thread's stack.
    pub(super) async fn make<T: Send>(
        &self,
        call: LedgerCall<'_>,
        making: BoxFuture<'_, Result<T>>,
    ) -> Result<T> {
        let result = self.pass(call, making).await;
        if call.is_whole {
            self.noted_whole(result).await
        } else {
            self.noted(result).await
        }
    }

    /// Makes a call without evaluating its result. For the calls that check whether the store is lost.
    pub(super) async fn pass<T: Send>(
        &self,
        call: LedgerCall<'_>,
        making: BoxFuture<'_, Result<T>>,
    ) -> Result<T> {
        let Some(interceptor) = &self.interceptor else {
            return making.await;
        };
        let made = Mutex::new(None);
        let making = async {
            let value = making.await?;
            *made.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
            Ok(())
        };
        interceptor.around(call, Box::pin(making)).await?;
        let value = made.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(value.expect("an interceptor that reports no error has made the call"))
    }
}
