//! The ledger on SQLite: one file, nothing to install, one consumer at a time.
//!
//! In: the contract's calls. Out: what they say. Always: in a file, writes share commits on one
//! thread and looks have connections of their own; in memory, every statement runs on the caller's
//! thread and nothing waits, so that a paused clock stands still meanwhile.

mod backlogs;
mod backup;
mod books;
mod campaigns;
mod connection;
mod consumers;
mod dead;
mod export;
mod hold;
mod imports;
mod intake;
mod message;
mod ownership;
mod reader;
mod rows;
mod settle;
mod shown;
mod steering;
mod store;
mod take;
#[cfg(test)]
mod tests;
mod unbegun;
mod undos;
mod unknown;
mod upkeep;
mod waking;
mod writer;

pub use backup::{SqliteSource, Waiting, has_ledger};
pub use hold::{Hold, hold};
pub use store::SqliteLedger;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{
    Acceptance, Books, CampaignRecord, DeadRow, HeldFor, Import, ImportRecord, Lease, Ledger,
    Manifest, MessageKey, MessageRecord, OnQueue, PageRow, Publication, RejectedRow, Result,
    Settlement, Stray, Stuck, Taken, UndoSettlement, UnknownRow, Upkeep,
};
use crate::message::{CampaignId, Event, Message};

use intake::Offered;

#[async_trait]
impl Ledger for SqliteLedger {
    async fn id(&self) -> Result<String> {
        self.read(campaigns::id).await
    }

    /// Who holds the file is alone with it: there is nobody to show it to.
    async fn show_alive(&self, _holder: &str) -> Result<()> {
        Ok(())
    }

    async fn bind(&self, account_sid: &str, base: &str) -> Result<()> {
        let (account_sid, base) = (account_sid.to_owned(), base.to_owned());
        self.write(move |conn| campaigns::bind(conn, &account_sid, &base))
            .await
    }

    async fn save_campaign(&self, record: &CampaignRecord, only_idle: bool) -> Result<bool> {
        let record = record.clone();
        self.write(move |conn| campaigns::save(conn, &record, only_idle))
            .await
    }

    async fn redefine(
        &self,
        id: &CampaignId,
        from: &serde_json::Value,
        to: &serde_json::Value,
        now: Timestamp,
    ) -> Result<bool> {
        let (id, from, to) = (id.clone(), from.clone(), to.clone());
        self.write(move |conn| campaigns::redefine(conn, &id, &from, &to, now))
            .await
    }

    async fn campaign(&self, id: &CampaignId) -> Result<Option<CampaignRecord>> {
        let id = id.clone();
        self.read(move |conn| campaigns::one(conn, &id)).await
    }

    async fn campaigns(&self) -> Result<Vec<CampaignRecord>> {
        self.read(campaigns::all).await
    }

    async fn finish_campaign(
        &self,
        id: &CampaignId,
        by_itself: bool,
        now: Timestamp,
    ) -> Result<bool> {
        let id = id.clone();
        self.write(move |conn| campaigns::finish(conn, &id, by_itself, now))
            .await
    }

    async fn end_import(&self, number: i64, now: Timestamp) -> Result<()> {
        self.write(move |conn| imports::end(conn, number, now))
            .await
    }

    async fn begin_import(
        &self,
        campaign: &CampaignId,
        manifest: &Manifest,
        now: Timestamp,
    ) -> Result<i64> {
        let (campaign, manifest) = (campaign.clone(), manifest.clone());
        self.write(move |conn| imports::begin(conn, &campaign, &manifest, now))
            .await
    }

    async fn imports(&self, campaign: Option<&CampaignId>) -> Result<Vec<ImportRecord>> {
        let campaign = campaign.cloned();
        self.read(move |conn| imports::list(conn, campaign.as_ref()))
            .await
    }

    async fn accept(
        &self,
        campaign: &CampaignId,
        messages: &[Message],
        import: Option<&Import>,
        now: Timestamp,
        queue_after: Timestamp,
    ) -> Result<Vec<Acceptance>> {
        let offered = messages.iter().map(Offered::of);
        let (campaign, messages) = (campaign.clone(), offered.collect::<Result<Vec<_>>>()?);
        let import = import.cloned();
        self.write(move |conn| {
            let import = import.as_ref();
            intake::accept(conn, &campaign, &messages, import, now, queue_after)
        })
        .await
    }

    async fn mark_queued(&self, published: &[Publication]) -> Result<()> {
        let published = published.to_vec();
        self.write(move |conn| intake::mark_queued(conn, &published))
            .await
    }

    async fn unqueued(&self, now: Timestamp, limit: usize) -> Result<Vec<(Publication, Message)>> {
        let looking = self.read(move |conn| intake::unqueued(conn, now, limit));
        let intake::Unqueued { ready, damaged } = looking.await?;
        for (key, detail) in damaged {
            self.record_damaged(&key, &detail, now).await?;
        }
        Ok(ready)
    }

    async fn take(
        &self,
        message: &Message,
        holder: &str,
        now: Timestamp,
        lease_for: Duration,
    ) -> Result<Taken> {
        let (message, holder) = (message.clone(), holder.to_owned());
        self.write(move |conn| take::take(conn, &message, &holder, now, lease_for))
            .await
    }

    async fn record(&self, lease: &Lease, events: &[Event], now: Timestamp) -> Result<()> {
        let (lease, events) = (lease.clone(), events.to_vec());
        self.write(move |conn| settle::record(conn, &lease, &events, now))
            .await
    }

    async fn renew(&self, lease: &Lease, now: Timestamp, lease_for: Duration) -> Result<Lease> {
        let lease = lease.clone();
        self.write(move |conn| settle::renew(conn, &lease, now, lease_for))
            .await
    }

    async fn settle(
        &self,
        lease: &Lease,
        events: &[Event],
        settlement: &Settlement,
        now: Timestamp,
    ) -> Result<()> {
        let (lease, events) = (lease.clone(), events.to_vec());
        let settlement = settlement.clone();
        self.write(move |conn| settle::settle(conn, &lease, &events, &settlement, now))
            .await
    }

    async fn let_go(&self, lease: &Lease) -> Result<()> {
        let lease = lease.clone();
        self.write(move |conn| take::let_go(conn, &lease)).await
    }

    async fn release_leases(&self, _now: Timestamp) -> Result<u64> {
        self.write(|conn| {
            consumers::forget(conn)?;
            waking::release_leases(conn)
        })
        .await
    }

    async fn wake(&self, now: Timestamp, limit: usize) -> Result<u64> {
        self.write(move |conn| waking::wake(conn, now, limit)).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>> {
        self.read(waking::next_due).await
    }

    async fn held(&self) -> Result<Vec<HeldFor>> {
        self.read(waking::held).await
    }

    async fn recall(
        &self,
        campaign: &CampaignId,
        agent: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<u64> {
        let (campaign, agent) = (campaign.clone(), agent.to_owned());
        self.write(move |conn| waking::recall(conn, &campaign, &agent, now, limit))
            .await
    }

    async fn show_lanes(
        &self,
        holder: &str,
        lanes: Option<&serde_json::Value>,
        now: Timestamp,
    ) -> Result<()> {
        let (holder, lanes) = (holder.to_owned(), lanes.cloned());
        self.write(move |conn| shown::show(conn, &holder, lanes.as_ref(), now))
            .await
    }

    async fn shown_lanes(
        &self,
        now: Timestamp,
        within: Duration,
    ) -> Result<Vec<serde_json::Value>> {
        self.read(move |conn| shown::within(conn, now, within))
            .await
    }

    async fn record_stray(&self, stray: &Stray, now: Timestamp) -> Result<()> {
        let stray = stray.clone();
        self.write(move |conn| dead::record_stray(conn, &stray, now))
            .await
    }

    async fn due_undos(&self, now: Timestamp, limit: usize) -> Result<Vec<MessageKey>> {
        self.read(move |conn| undos::due(conn, now, limit)).await
    }

    async fn take_undo(
        &self,
        key: &MessageKey,
        holder: &str,
        now: Timestamp,
        lease_for: Duration,
    ) -> Result<Option<Stuck>> {
        let (key, holder) = (key.clone(), holder.to_owned());
        self.write(move |conn| undos::take(conn, &key, &holder, now, lease_for))
            .await
    }

    async fn settle_undo(
        &self,
        lease: &Lease,
        events: &[Event],
        settlement: &UndoSettlement,
        now: Timestamp,
    ) -> Result<()> {
        let (lease, events) = (lease.clone(), events.to_vec());
        let settlement = settlement.clone();
        self.write(move |conn| undos::settle(conn, &lease, &events, &settlement, now))
            .await
    }

    async fn unknown(
        &self,
        campaign: Option<&CampaignId>,
        limit: usize,
    ) -> Result<Vec<UnknownRow>> {
        let campaign = campaign.cloned();
        self.read(move |conn| unknown::list(conn, campaign.as_ref(), limit))
            .await
    }

    async fn settle_unknown(
        &self,
        key: &MessageKey,
        was_sent: bool,
        now: Timestamp,
    ) -> Result<bool> {
        let key = key.clone();
        self.write(move |conn| unknown::settle(conn, &key, was_sent, now))
            .await
    }

    async fn page(&self, campaign: &CampaignId, after: i64, limit: usize) -> Result<Vec<PageRow>> {
        let campaign = campaign.clone();
        self.read(move |conn| export::page(conn, &campaign, after, limit))
            .await
    }

    async fn rejected_rows(
        &self,
        campaign: &CampaignId,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, String, RejectedRow)>> {
        let campaign = campaign.clone();
        self.read(move |conn| export::rejected_rows(conn, &campaign, after, limit))
            .await
    }

    async fn books(&self, campaign: Option<&CampaignId>) -> Result<Books> {
        let campaign = campaign.cloned();
        self.read(move |conn| books::books(conn, campaign.as_ref()))
            .await
    }

    async fn books_of_each(&self) -> Result<BTreeMap<CampaignId, Books>> {
        self.read(books::of_each).await
    }

    async fn has_open(&self, campaign: &CampaignId, but_due: bool) -> Result<bool> {
        let campaign = campaign.clone();
        self.read(move |conn| books::has_open(conn, &campaign, but_due))
            .await
    }

    async fn on_queue(&self, now: Timestamp) -> Result<BTreeMap<CampaignId, OnQueue>> {
        self.read(move |conn| books::on_queue(conn, now)).await
    }

    async fn find(&self, key: &MessageKey) -> Result<Option<MessageRecord>> {
        let key = key.clone();
        self.read(move |conn| message::find(conn, &key)).await
    }

    async fn dead(&self, campaign: Option<&CampaignId>, limit: usize) -> Result<Vec<DeadRow>> {
        let campaign = campaign.cloned();
        self.read(move |conn| dead::dead(conn, campaign.as_ref(), limit))
            .await
    }
}
