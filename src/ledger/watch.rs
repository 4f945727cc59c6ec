//! Detects from the results of calls whether the store is lost.
//!
//! In: the results of calls. Out: the same results, and whether the store is lost. Always: it is lost from the first
//! result which shows that the store cannot be used, until a probe passes; if a refusal does not show its cause, a
//! probe decides; a result that concerns one call alone (a lost lease, damaged records) says nothing about the store.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::Notify;

use super::interceptor::LedgerCall;
use super::{Ledger, LedgerError, Result};

/// What one process knows of the state of its store.
#[derive(Default)]
pub(super) struct Watch {
    state: Arc<StoreState>,
    /// The ledger's id when it was first read. Another id at the same place is another ledger.
    id: OnceLock<String>,
    /// One probe at a time. Callers that wait for it use its result.
    probing: tokio::sync::Mutex<()>,
}

/// Whether the store is lost, and the tasks that wait for a change. They are woken in the order in which they came, so
/// that a drill's run depends on its seed alone.
#[derive(Default)]
struct StoreState {
    /// The loss, while the store is lost.
    loss: Mutex<Option<Loss>>,
    changed: Notify,
}

impl StoreState {
    fn loss(&self) -> MutexGuard<'_, Option<Loss>> {
        // A panic leaves no half-written value.
        self.loss.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state. `change` returns whether it changed something.
    fn change(&self, change: impl FnOnce(&mut Option<Loss>) -> bool) {
        let has_changed = change(&mut self.loss());
        if has_changed {
            self.changed.notify_waiters();
        }
    }

    async fn until(&self, is_so: fn(Option<&Loss>) -> bool) {
        loop {
            // Registered before the check: no change in between is missed.
            let changed = self.changed.notified();
            if is_so(self.loss().as_ref()) {
                return;
            }
            changed.await;
        }
    }
}

/// The state of a store that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The reason: a sentence without a secret.
    pub why: Arc<str>,
    /// Whether the store does not recover by itself: it is corrupt, or another store is in its place.
    pub for_good: bool,
}

impl Ledger {
    /// Whether nothing can be recorded now, so that nothing may begin.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.watch.state.loss().is_some()
    }

    /// The loss, while the store is lost.
    #[must_use]
    pub fn loss(&self) -> Option<Loss> {
        self.watch.state.loss().clone()
    }

    /// Completes when the store is lost.
    pub fn lost(&self) -> impl Future<Output = ()> + Send + use<> {
        self.until(|loss| loss.is_some())
    }

    /// Completes when the store is lost for good.
    pub fn lost_for_good(&self) -> impl Future<Output = ()> + Send + use<> {
        self.until(|loss| loss.is_some_and(|loss| loss.for_good))
    }

    /// Completes when the store is available; at once if it is.
    pub fn back(&self) -> impl Future<Output = ()> + Send + use<> {
        self.until(|loss| loss.is_none())
    }

    fn until(&self, is_so: fn(Option<&Loss>) -> bool) -> impl Future<Output = ()> + Send + use<> {
        let state = Arc::clone(&self.watch.state);
        async move { state.until(is_so).await }
    }

    /// Why the store accepts no writes now, in a sentence without a secret. None if it does. For `/readyz`. A store
    /// known to be lost is not asked.
    pub async fn why_not_ready(&self) -> Option<String> {
        if let Some(loss) = self.loss() {
            return Some(loss.why.to_string());
        }
        let looked = match self.in_place().await {
            Ok(()) => self.touch().await,
            displaced => displaced,
        };
        looked.err().map(|error| error.to_string())
    }

    /// Probes a lost store, and ends the loss if the probe passes. Returns whether it passed. A store that is lost for
    /// good is not probed.
    pub async fn try_again(&self) -> bool {
        let _alone = self.watch.probing.lock().await;
        if self.loss().is_some_and(|loss| loss.for_good) {
            return false;
        }
        match self.look().await {
            Ok(()) => {
                self.watch.state.change(|loss| loss.take().is_some());
                true
            }
            Err(error) => {
                self.still_lost(&error);
                false
            }
        }
    }

    /// Updates the reason of a loss, so that it is the current one.
    fn still_lost(&self, error: &LedgerError) {
        if matches!(error, LedgerError::Corrupt(_)) {
            return self.lose(error);
        }
        let now: Arc<str> = error.to_string().into();
        self.watch.state.change(|loss| {
            let Some(loss) = loss.as_mut().filter(|loss| loss.why != now) else {
                return false;
            };
            tracing::warn!(why = %now, "the ledger is still lost");
            loss.why = now;
            true
        });
    }

    /// Marks the ledger as lost for good, because this process has no right to it any more.
    pub fn disown(&self, why: &str) {
        self.lose(&LedgerError::Corrupt(why.to_owned()));
    }

    /// Stores the ledger's id when it is first read.
    pub(super) fn begins_with(&self, id: &str) {
        self.watch.id.get_or_init(|| id.to_owned());
    }

    /// Probes the store, and checks that it is still the same ledger.
    async fn look(&self) -> Result<()> {
        self.pass(
            LedgerCall::named("in_place"),
            Box::pin(self.look_at_place()),
        )
        .await?;
        self.pass(LedgerCall::named("probe"), Box::pin(self.try_life()))
            .await?;
        let id = self
            .pass(LedgerCall::named("id"), Box::pin(self.read_id()))
            .await?;
        let ours = self.watch.id.get_or_init(|| id.clone());
        if *ours == id {
            return Ok(());
        }
        Err(LedgerError::Corrupt(format!(
            "another ledger ({id}) is in the place of the one that this process began with ({ours}): \
             stop the process, and check which of the two is yours"
        )))
    }

    fn heard(&self, error: &LedgerError) {
        if error.is_stores() {
            self.lose(error);
        }
    }

    fn lose(&self, error: &LedgerError) {
        let for_good = matches!(error, LedgerError::Corrupt(_));
        self.watch.state.change(|loss| {
            let is_news = loss.as_ref().is_none_or(|loss| for_good && !loss.for_good);
            if is_news {
                let why = error.to_string().into();
                *loss = Some(Loss { why, for_good });
            }
            is_news
        });
    }

    /// Evaluates a result. If an error does not show its cause, the store is probed: if the probe fails, the store is
    /// the cause; if it passes, the call is.
    pub(super) async fn noted<T>(&self, result: Result<T>) -> Result<T> {
        let Err(error) = result else {
            return result;
        };
        if let LedgerError::Refused { .. } = error {
            return Err(self.blame(error).await);
        }
        self.heard(&error);
        Err(error)
    }

    /// As [`Ledger::noted`], for a read across all messages: a row that cannot be read blocks it for all, so the store
    /// counts as lost until it can be read.
    pub(super) async fn noted_whole<T>(&self, result: Result<T>) -> Result<T> {
        let result = match result {
            Err(LedgerError::Damaged(text)) => Err(LedgerError::Unavailable(text)),
            result => result,
        };
        self.noted(result).await
    }

    async fn blame(&self, refused: LedgerError) -> LedgerError {
        let _alone = self.watch.probing.lock().await;
        if let Some(loss) = self.loss() {
            return LedgerError::Unavailable(loss.why.to_string());
        }
        match self.look().await {
            Ok(()) => refused,
            // Other calls blocked the probe: its result says nothing about the store or the call.
            Err(LedgerError::Hindered(text)) => LedgerError::Hindered(text),
            Err(error @ LedgerError::Corrupt(_)) => {
                self.lose(&error);
                error
            }
            Err(error) => {
                let lost = LedgerError::Unavailable(error.to_string());
                self.lose(&lost);
                lost
            }
        }
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
