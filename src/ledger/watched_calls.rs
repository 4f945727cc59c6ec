//! Every call of the ledger's contract, made of the ledger that is watched, and its result noted.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{
    Acceptance, Books, CampaignRecord, DeadRow, HeldFor, Import, ImportRecord, Lease, Ledger,
    Manifest, MessageKey, MessageRecord, OnQueue, PageRow, Publication, RejectedRow, Result,
    Settlement, Stray, Stuck, Taken, UndoSettlement, UnknownRow, Watched,
};
use crate::message::{CampaignId, Event, Message};

#[async_trait]
impl Ledger for Watched {
    async fn id(&self) -> Result<String> {
        let id = self.noted(self.inner.id().await).await?;
        self.begins_with(&id);
        Ok(id)
    }

    async fn show_alive(&self, holder: &str) -> Result<()> {
        self.noted(self.inner.show_alive(holder).await).await
    }

    async fn bind(&self, account_sid: &str, base: &str) -> Result<()> {
        self.noted(self.inner.bind(account_sid, base).await).await
    }

    async fn save_campaign(&self, record: &CampaignRecord, only_idle: bool) -> Result<bool> {
        self.noted(self.inner.save_campaign(record, only_idle).await)
            .await
    }

    async fn redefine(
        &self,
        id: &CampaignId,
        from: &serde_json::Value,
        to: &serde_json::Value,
        now: Timestamp,
    ) -> Result<bool> {
        self.noted(self.inner.redefine(id, from, to, now).await)
            .await
    }

    async fn campaign(&self, id: &CampaignId) -> Result<Option<CampaignRecord>> {
        self.noted(self.inner.campaign(id).await).await
    }

    async fn campaigns(&self) -> Result<Vec<CampaignRecord>> {
        self.noted_whole(self.inner.campaigns().await).await
    }

    async fn finish_campaign(
        &self,
        id: &CampaignId,
        by_itself: bool,
        now: Timestamp,
    ) -> Result<bool> {
        self.noted(self.inner.finish_campaign(id, by_itself, now).await)
            .await
    }

    async fn end_import(&self, number: i64, now: Timestamp) -> Result<()> {
        self.noted(self.inner.end_import(number, now).await).await
    }

    async fn due_undos(&self, now: Timestamp, limit: usize) -> Result<Vec<MessageKey>> {
        self.noted_whole(self.inner.due_undos(now, limit).await)
            .await
    }

    async fn take_undo(
        &self,
        key: &MessageKey,
        holder: &str,
        now: Timestamp,
        lease_for: Duration,
    ) -> Result<Option<Stuck>> {
        self.noted(self.inner.take_undo(key, holder, now, lease_for).await)
            .await
    }

    async fn settle_undo(
        &self,
        lease: &Lease,
        events: &[Event],
        settlement: &UndoSettlement,
        now: Timestamp,
    ) -> Result<()> {
        let settling = self.inner.settle_undo(lease, events, settlement, now);
        self.noted(settling.await).await
    }

    async fn books_of_each(&self) -> Result<BTreeMap<CampaignId, Books>> {
        self.noted(self.inner.books_of_each().await).await
    }

    async fn has_open(&self, campaign: &CampaignId, but_due: bool) -> Result<bool> {
        self.noted(self.inner.has_open(campaign, but_due).await)
            .await
    }

    async fn on_queue(&self, now: Timestamp) -> Result<BTreeMap<CampaignId, OnQueue>> {
        self.noted_whole(self.inner.on_queue(now).await).await
    }

    async fn begin_import(
        &self,
        campaign: &CampaignId,
        manifest: &Manifest,
        now: Timestamp,
    ) -> Result<i64> {
        self.noted(self.inner.begin_import(campaign, manifest, now).await)
            .await
    }

    async fn imports(&self, campaign: Option<&CampaignId>) -> Result<Vec<ImportRecord>> {
        self.noted(self.inner.imports(campaign).await).await
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
        .await
    }

    async fn mark_queued(&self, published: &[Publication]) -> Result<()> {
        self.noted(self.inner.mark_queued(published).await).await
    }

    async fn unqueued(&self, now: Timestamp, limit: usize) -> Result<Vec<(Publication, Message)>> {
        self.noted(self.inner.unqueued(now, limit).await).await
    }

    async fn take(
        &self,
        message: &Message,
        holder: &str,
        now: Timestamp,
        lease_for: Duration,
    ) -> Result<Taken> {
        self.noted(self.inner.take(message, holder, now, lease_for).await)
            .await
    }

    async fn record(&self, lease: &Lease, events: &[Event], now: Timestamp) -> Result<()> {
        self.noted(self.inner.record(lease, events, now).await)
            .await
    }

    async fn renew(&self, lease: &Lease, now: Timestamp, lease_for: Duration) -> Result<Lease> {
        self.noted(self.inner.renew(lease, now, lease_for).await)
            .await
    }

    async fn settle(
        &self,
        lease: &Lease,
        events: &[Event],
        settlement: &Settlement,
        now: Timestamp,
    ) -> Result<()> {
        self.noted(self.inner.settle(lease, events, settlement, now).await)
            .await
    }

    async fn let_go(&self, lease: &Lease) -> Result<()> {
        self.noted(self.inner.let_go(lease).await).await
    }

    async fn release_leases(&self, now: Timestamp) -> Result<u64> {
        self.noted(self.inner.release_leases(now).await).await
    }

    async fn wake(&self, now: Timestamp, limit: usize) -> Result<u64> {
        self.noted_whole(self.inner.wake(now, limit).await).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>> {
        self.noted_whole(self.inner.next_due().await).await
    }

    async fn held(&self) -> Result<Vec<HeldFor>> {
        self.noted_whole(self.inner.held().await).await
    }

    async fn recall(
        &self,
        campaign: &CampaignId,
        agent: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<u64> {
        self.noted(self.inner.recall(campaign, agent, now, limit).await)
            .await
    }

    async fn show_lanes(
        &self,
        holder: &str,
        lanes: Option<&serde_json::Value>,
        now: Timestamp,
    ) -> Result<()> {
        self.noted(self.inner.show_lanes(holder, lanes, now).await)
            .await
    }

    async fn shown_lanes(
        &self,
        now: Timestamp,
        within: Duration,
    ) -> Result<Vec<serde_json::Value>> {
        self.noted(self.inner.shown_lanes(now, within).await).await
    }

    async fn record_stray(&self, stray: &Stray, now: Timestamp) -> Result<()> {
        self.noted(self.inner.record_stray(stray, now).await).await
    }

    async fn unknown(
        &self,
        campaign: Option<&CampaignId>,
        limit: usize,
    ) -> Result<Vec<UnknownRow>> {
        self.noted(self.inner.unknown(campaign, limit).await).await
    }

    async fn settle_unknown(
        &self,
        key: &MessageKey,
        was_sent: bool,
        now: Timestamp,
    ) -> Result<bool> {
        self.noted(self.inner.settle_unknown(key, was_sent, now).await)
            .await
    }

    async fn page(&self, campaign: &CampaignId, after: i64, limit: usize) -> Result<Vec<PageRow>> {
        self.noted(self.inner.page(campaign, after, limit).await)
            .await
    }

    async fn rejected_rows(
        &self,
        campaign: &CampaignId,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, String, RejectedRow)>> {
        self.noted(self.inner.rejected_rows(campaign, after, limit).await)
            .await
    }

    async fn books(&self, campaign: Option<&CampaignId>) -> Result<Books> {
        self.noted(self.inner.books(campaign).await).await
    }

    async fn find(&self, key: &MessageKey) -> Result<Option<MessageRecord>> {
        self.noted(self.inner.find(key).await).await
    }

    async fn dead(&self, campaign: Option<&CampaignId>, limit: usize) -> Result<Vec<DeadRow>> {
        self.noted(self.inner.dead(campaign, limit).await).await
    }
}
