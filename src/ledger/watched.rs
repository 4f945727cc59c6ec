//! The ledger as consumers have it: every result tells whether the store is there.
//!
//! In: another ledger's results. Out: the same results, and whether the store is lost. Always: lost
//! from the first result that says that the store cannot be used, until it takes a write again; a
//! result that is one call's own (a lost lease, damaged records) says nothing of the store.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::watch;

use super::{
    Acceptance, Books, CampaignRecord, DeadRow, HeldFor, Import, ImportRecord, Lease, Ledger,
    LedgerError, Manifest, MessageKey, MessageRecord, OnQueue, PageRow, Publication, RejectedRow,
    Result, Settlement, Stray, Stuck, Taken, UndoSettlement, UnknownRow,
};
use crate::message::{CampaignId, Event, Message};

/// A ledger, and whether its store is lost.
pub struct Watched {
    pub(super) inner: Arc<dyn Ledger>,
    /// Why the store is lost, while it is.
    lost: watch::Sender<Option<Arc<str>>>,
}

impl Watched {
    /// Watches a ledger whose store has just been used.
    #[must_use]
    pub fn over(inner: Arc<dyn Ledger>) -> Self {
        Self {
            inner,
            lost: watch::Sender::new(None),
        }
    }

    /// Whether nothing can be recorded now, so that nothing may be begun.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.lost.borrow().is_some()
    }

    /// Why the store is lost, while it is: a sentence without a secret.
    #[must_use]
    pub fn why_lost(&self) -> Option<Arc<str>> {
        self.lost.borrow().clone()
    }

    /// Returns once the store is lost.
    pub fn lost(&self) -> impl Future<Output = ()> + Send + use<> {
        self.until(true)
    }

    /// Returns once the store is there, at once if it is.
    pub fn back(&self) -> impl Future<Output = ()> + Send + use<> {
        self.until(false)
    }

    fn until(&self, lost: bool) -> impl Future<Output = ()> + Send + use<> {
        let mut states = self.lost.subscribe();
        async move {
            // A ledger that is gone does not change any more.
            if states.wait_for(|why| why.is_some() == lost).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Tries a write and a look, and says whether the store is there: what brings a lost one back.
    pub async fn probe(&self) -> bool {
        let is_there = self.inner.is_ready().await && self.id().await.is_ok();
        if is_there {
            self.lost.send_if_modified(|why| why.take().is_some());
        }
        is_there
    }

    /// Takes note of a failure of what the consumers share beside the ledger, in the same store.
    pub fn heard(&self, error: &LedgerError) {
        if error.is_stores() {
            self.lost.send_if_modified(|why| {
                let is_news = why.is_none();
                if is_news {
                    *why = Some(error.to_string().into());
                }
                is_news
            });
        }
    }

    pub(super) fn noted<T>(&self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result {
            self.heard(error);
        }
        result
    }
}

#[async_trait]
impl Ledger for Watched {
    async fn id(&self) -> Result<String> {
        self.noted(self.inner.id().await)
    }

    async fn show_alive(&self, holder: &str) -> Result<()> {
        self.noted(self.inner.show_alive(holder).await)
    }

    async fn bind(&self, account_sid: &str, base: &str) -> Result<()> {
        self.noted(self.inner.bind(account_sid, base).await)
    }

    async fn save_campaign(&self, record: &CampaignRecord, only_idle: bool) -> Result<bool> {
        self.noted(self.inner.save_campaign(record, only_idle).await)
    }

    async fn redefine(
        &self,
        id: &CampaignId,
        from: &serde_json::Value,
        to: &serde_json::Value,
        now: Timestamp,
    ) -> Result<bool> {
        self.noted(self.inner.redefine(id, from, to, now).await)
    }

    async fn campaign(&self, id: &CampaignId) -> Result<Option<CampaignRecord>> {
        self.noted(self.inner.campaign(id).await)
    }

    async fn campaigns(&self) -> Result<Vec<CampaignRecord>> {
        self.noted(self.inner.campaigns().await)
    }

    async fn finish_campaign(
        &self,
        id: &CampaignId,
        by_itself: bool,
        now: Timestamp,
    ) -> Result<bool> {
        self.noted(self.inner.finish_campaign(id, by_itself, now).await)
    }

    async fn end_import(&self, number: i64, now: Timestamp) -> Result<()> {
        self.noted(self.inner.end_import(number, now).await)
    }

    async fn due_undos(&self, now: Timestamp, limit: usize) -> Result<Vec<MessageKey>> {
        self.noted(self.inner.due_undos(now, limit).await)
    }

    async fn take_undo(
        &self,
        key: &MessageKey,
        holder: &str,
        now: Timestamp,
        lease_for: Duration,
    ) -> Result<Option<Stuck>> {
        self.noted(self.inner.take_undo(key, holder, now, lease_for).await)
    }

    async fn settle_undo(
        &self,
        lease: &Lease,
        events: &[Event],
        settlement: &UndoSettlement,
        now: Timestamp,
    ) -> Result<()> {
        let settling = self.inner.settle_undo(lease, events, settlement, now);
        self.noted(settling.await)
    }

    async fn books_of_each(&self) -> Result<BTreeMap<CampaignId, Books>> {
        self.noted(self.inner.books_of_each().await)
    }

    async fn has_open(&self, campaign: &CampaignId, but_due: bool) -> Result<bool> {
        self.noted(self.inner.has_open(campaign, but_due).await)
    }

    async fn on_queue(&self, now: Timestamp) -> Result<BTreeMap<CampaignId, OnQueue>> {
        self.noted(self.inner.on_queue(now).await)
    }

    async fn begin_import(
        &self,
        campaign: &CampaignId,
        manifest: &Manifest,
        now: Timestamp,
    ) -> Result<i64> {
        self.noted(self.inner.begin_import(campaign, manifest, now).await)
    }

    async fn imports(&self, campaign: Option<&CampaignId>) -> Result<Vec<ImportRecord>> {
        self.noted(self.inner.imports(campaign).await)
    }

    async fn accept(
        &self,
        campaign: &CampaignId,
        messages: &[Message],
        import: Option<&Import>,
        now: Timestamp,
        queue_after: Timestamp,
    ) -> Result<Vec<Acceptance>> {
        self.noted(
            self.inner
                .accept(campaign, messages, import, now, queue_after)
                .await,
        )
    }

    async fn mark_queued(&self, published: &[Publication]) -> Result<()> {
        self.noted(self.inner.mark_queued(published).await)
    }

    async fn unqueued(&self, now: Timestamp, limit: usize) -> Result<Vec<(Publication, Message)>> {
        self.noted(self.inner.unqueued(now, limit).await)
    }

    async fn take(
        &self,
        message: &Message,
        holder: &str,
        now: Timestamp,
        lease_for: Duration,
    ) -> Result<Taken> {
        self.noted(self.inner.take(message, holder, now, lease_for).await)
    }

    async fn record(&self, lease: &Lease, events: &[Event], now: Timestamp) -> Result<()> {
        self.noted(self.inner.record(lease, events, now).await)
    }

    async fn renew(&self, lease: &Lease, now: Timestamp, lease_for: Duration) -> Result<Lease> {
        self.noted(self.inner.renew(lease, now, lease_for).await)
    }

    async fn settle(
        &self,
        lease: &Lease,
        events: &[Event],
        settlement: &Settlement,
        now: Timestamp,
    ) -> Result<()> {
        self.noted(self.inner.settle(lease, events, settlement, now).await)
    }

    async fn let_go(&self, lease: &Lease) -> Result<()> {
        self.noted(self.inner.let_go(lease).await)
    }

    async fn release_leases(&self, now: Timestamp) -> Result<u64> {
        self.noted(self.inner.release_leases(now).await)
    }

    async fn wake(&self, now: Timestamp, limit: usize) -> Result<u64> {
        self.noted(self.inner.wake(now, limit).await)
    }

    async fn next_due(&self) -> Result<Option<Timestamp>> {
        self.noted(self.inner.next_due().await)
    }

    async fn held(&self) -> Result<Vec<HeldFor>> {
        self.noted(self.inner.held().await)
    }

    async fn recall(
        &self,
        campaign: &CampaignId,
        agent: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<u64> {
        self.noted(self.inner.recall(campaign, agent, now, limit).await)
    }

    async fn repace(&self, campaign: &CampaignId, now: Timestamp) -> Result<u64> {
        self.noted(self.inner.repace(campaign, now).await)
    }

    async fn show_lanes(
        &self,
        holder: &str,
        lanes: Option<&serde_json::Value>,
        now: Timestamp,
    ) -> Result<()> {
        self.noted(self.inner.show_lanes(holder, lanes, now).await)
    }

    async fn shown_lanes(
        &self,
        now: Timestamp,
        within: Duration,
    ) -> Result<Vec<serde_json::Value>> {
        self.noted(self.inner.shown_lanes(now, within).await)
    }

    async fn record_stray(&self, stray: &Stray, now: Timestamp) -> Result<()> {
        self.noted(self.inner.record_stray(stray, now).await)
    }

    async fn unknown(
        &self,
        campaign: Option<&CampaignId>,
        limit: usize,
    ) -> Result<Vec<UnknownRow>> {
        self.noted(self.inner.unknown(campaign, limit).await)
    }

    async fn settle_unknown(
        &self,
        key: &MessageKey,
        was_sent: bool,
        now: Timestamp,
    ) -> Result<bool> {
        self.noted(self.inner.settle_unknown(key, was_sent, now).await)
    }

    async fn page(&self, campaign: &CampaignId, after: i64, limit: usize) -> Result<Vec<PageRow>> {
        self.noted(self.inner.page(campaign, after, limit).await)
    }

    async fn rejected_rows(
        &self,
        campaign: &CampaignId,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, String, RejectedRow)>> {
        self.noted(self.inner.rejected_rows(campaign, after, limit).await)
    }

    async fn books(&self, campaign: Option<&CampaignId>) -> Result<Books> {
        self.noted(self.inner.books(campaign).await)
    }

    async fn find(&self, key: &MessageKey) -> Result<Option<MessageRecord>> {
        self.noted(self.inner.find(key).await)
    }

    async fn dead(&self, campaign: Option<&CampaignId>, limit: usize) -> Result<Vec<DeadRow>> {
        self.noted(self.inner.dead(campaign, limit).await)
    }

    async fn is_ready(&self) -> bool {
        !self.is_lost() && self.inner.is_ready().await
    }
}

#[cfg(test)]
#[path = "watched_tests.rs"]
mod tests;
