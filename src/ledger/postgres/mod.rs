//! The ledger on PostgreSQL (13 or later): several consumers at once, on several machines.
//!
//! In: the contract's calls. Out: what they say. Always: a call is one transaction, most of them one
//! statement; commits that wait at the same time share one write to the server's log, whichever
//! consumers they come from; leases are given and compared by the server's clock, so that machines
//! whose clocks differ agree on who has a message.
//!
//! Two times meet in a lease. The row says when it ends by the server's clock. Its holder is told
//! when it ends by the holder's own: so long after the moment before it asked, never later than the
//! row. All other times (stamps, due times) are the caller's: a machine whose clock is off wakes its
//! messages early or late by as much.

mod backlogs;
mod begun;
mod books;
mod campaigns;
mod connection;
mod consumers;
mod dead;
mod errors;
mod imports;
mod intake;
mod lanes;
mod message;
mod migrate;
mod ownership;
mod presence;
mod server_runs;
mod settle;
mod shown;
mod steering;
mod store;
mod tail;
mod take;
mod tls;
mod unbegun;
mod undos;
mod unknown;
mod upkeep;
mod waking;

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::columns::later;
use super::{
    Acceptance, Books, CampaignRecord, DeadRow, HeldFor, Import, ImportRecord, Lease, Ledger,
    Manifest, MessageKey, MessageRecord, OnQueue, PageRow, Publication, RejectedRow, Result,
    Settlement, Stray, Stuck, Taken, UndoSettlement, UnknownRow,
};
use crate::message::{CampaignId, Event, Message};

pub use begun::{AgentAnswer, AgentWish, BegunForAgents};
pub use lanes::{ServerTime, SharedLanes};
pub use store::{LeaseClock, PostgresLedger};

use presence::Presence;

/// Makes a call on a connection of its own, within the time that a call may take.
macro_rules! call {
    ($ledger:expr, |$client:ident| $call:expr) => {
        $ledger
            .connections
            .bounded(async {
                #[allow(
                    unused_mut,
                    reason = "those that read several things change the client"
                )]
                let mut $client = $ledger.connections.get().await?;
                $call.await
            })
            .await
    };
}

use call;

#[async_trait]
impl Ledger for PostgresLedger {
    async fn id(&self) -> Result<String> {
        call!(self, |client| campaigns::id(&client))
    }

    async fn show_alive(&self, holder: &str) -> Result<()> {
        let connection = call!(self, |client| presence::show(client, holder))?;
        let shown = Presence::kept(connection, self.connections.clone(), holder);
        let mut presence = self.presence.lock().unwrap_or_else(PoisonError::into_inner);
        *presence = Some(shown);
        Ok(())
    }

    async fn bind(&self, account_sid: &str, base: &str) -> Result<()> {
        call!(self, |client| campaigns::bind(
            &mut client,
            account_sid,
            base
        ))
    }

    async fn save_campaign(&self, record: &CampaignRecord, only_idle: bool) -> Result<bool> {
        call!(self, |client| campaigns::save(
            &mut client,
            record,
            only_idle
        ))
    }

    async fn redefine(
        &self,
        id: &CampaignId,
        from: &serde_json::Value,
        to: &serde_json::Value,
        now: Timestamp,
    ) -> Result<bool> {
        call!(self, |client| campaigns::redefine(
            &client, id, from, to, now
        ))
    }

    async fn campaign(&self, id: &CampaignId) -> Result<Option<CampaignRecord>> {
        call!(self, |client| campaigns::one(&client, id))
    }

    async fn campaigns(&self) -> Result<Vec<CampaignRecord>> {
        call!(self, |client| campaigns::all(&client))
    }

    async fn finish_campaign(
        &self,
        id: &CampaignId,
        by_itself: bool,
        now: Timestamp,
    ) -> Result<bool> {
        call!(self, |client| campaigns::finish(
            &mut client,
            id,
            by_itself,
            now
        ))
    }

    async fn end_import(&self, number: i64, now: Timestamp) -> Result<()> {
        call!(self, |client| imports::end(&client, number, now))
    }

    async fn begin_import(
        &self,
        campaign: &CampaignId,
        manifest: &Manifest,
        now: Timestamp,
    ) -> Result<i64> {
        call!(self, |client| imports::begin(
            &client, campaign, manifest, now
        ))
    }

    async fn imports(&self, campaign: Option<&CampaignId>) -> Result<Vec<ImportRecord>> {
        call!(self, |client| imports::list(&client, campaign))
    }

    async fn accept(
        &self,
        campaign: &CampaignId,
        messages: &[Message],
        import: Option<&Import>,
        now: Timestamp,
        queue_after: Timestamp,
    ) -> Result<Vec<Acceptance>> {
        call!(self, |client| intake::accept(
            &mut client,
            campaign,
            messages,
            import,
            now,
            queue_after
        ))
    }

    async fn mark_queued(&self, published: &[Publication]) -> Result<()> {
        let lister = &self.lister;
        call!(self, |client| intake::mark_queued(
            &client, lister, published
        ))
    }

    /// What it lists, it keeps from other processes for some seconds, so that several consumers do
    /// not publish the same messages.
    async fn unqueued(&self, now: Timestamp, limit: usize) -> Result<Vec<(Publication, Message)>> {
        let chosen = self.clock.chosen(now);
        call!(self, |client| intake::unqueued(
            &client,
            &self.lister,
            chosen,
            now,
            limit
        ))
    }

    async fn take(
        &self,
        message: &Message,
        holder: &str,
        now: Timestamp,
        lease_for: Duration,
    ) -> Result<Taken> {
        call!(self, |client| async {
            if let Some(rest) = self.connections.runs.rest() {
                let until = later(now, rest);
                return Ok(Taken::Held { until });
            }
            take::take(&client, message, &self.taker(holder, now, lease_for)).await
        })
    }

    async fn record(&self, lease: &Lease, events: &[Event], now: Timestamp) -> Result<()> {
        let written = call!(self, |client| settle::record(&client, lease, events, now));
        written.map(|written| self.committed(written))
    }

    async fn renew(&self, lease: &Lease, now: Timestamp, lease_for: Duration) -> Result<Lease> {
        call!(self, |client| settle::renew(
            &client, lease, now, lease_for, self.clock
        ))
    }

    async fn settle(
        &self,
        lease: &Lease,
        events: &[Event],
        settlement: &Settlement,
        now: Timestamp,
    ) -> Result<()> {
        let written = call!(self, |client| settle::settle(
            &client, lease, events, settlement, now
        ));
        written.map(|written| self.committed(written))
    }

    /// Never called by a consumer here, for others may live: their leases run out.
    async fn let_go(&self, lease: &Lease) -> Result<()> {
        call!(self, |client| take::let_go(&client, lease))
    }

    async fn release_leases(&self, _now: Timestamp) -> Result<u64> {
        call!(self, |client| waking::release_leases(&client))
    }

    async fn wake(&self, now: Timestamp, limit: usize) -> Result<u64> {
        call!(self, |client| waking::wake(&client, now, limit))
    }

    async fn next_due(&self) -> Result<Option<Timestamp>> {
        call!(self, |client| waking::next_due(&client))
    }

    async fn held(&self) -> Result<Vec<HeldFor>> {
        call!(self, |client| waking::held(&client))
    }

    async fn recall(
        &self,
        campaign: &CampaignId,
        agent: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<u64> {
        call!(self, |client| waking::recall(
            &client, campaign, agent, now, limit
        ))
    }

    async fn show_lanes(
        &self,
        holder: &str,
        lanes: Option<&serde_json::Value>,
        now: Timestamp,
    ) -> Result<()> {
        let chosen = self.clock.chosen(now);
        call!(self, |client| shown::show(&client, holder, lanes, chosen))
    }

    async fn shown_lanes(
        &self,
        now: Timestamp,
        within: Duration,
    ) -> Result<Vec<serde_json::Value>> {
        let chosen = self.clock.chosen(now);
        call!(self, |client| shown::within(&client, chosen, within))
    }

    async fn record_stray(&self, stray: &Stray, now: Timestamp) -> Result<()> {
        call!(self, |client| dead::record_stray(&client, stray, now))
    }

    async fn due_undos(&self, now: Timestamp, limit: usize) -> Result<Vec<MessageKey>> {
        let chosen = self.clock.chosen(now);
        call!(self, |client| undos::due(&client, chosen, now, limit))
    }

    async fn take_undo(
        &self,
        key: &MessageKey,
        holder: &str,
        now: Timestamp,
        lease_for: Duration,
    ) -> Result<Option<Stuck>> {
        call!(self, |client| async {
            if self.connections.runs.rest().is_some() {
                return Ok(None);
            }
            undos::take(&client, key, &self.taker(holder, now, lease_for)).await
        })
    }

    async fn settle_undo(
        &self,
        lease: &Lease,
        events: &[Event],
        settlement: &UndoSettlement,
        now: Timestamp,
    ) -> Result<()> {
        let written = call!(self, |client| undos::settle(
            &client, lease, events, settlement, now
        ));
        written.map(|written| self.committed(written))
    }

    async fn unknown(
        &self,
        campaign: Option<&CampaignId>,
        limit: usize,
    ) -> Result<Vec<UnknownRow>> {
        call!(self, |client| unknown::list(&client, campaign, limit))
    }

    async fn settle_unknown(
        &self,
        key: &MessageKey,
        was_sent: bool,
        now: Timestamp,
    ) -> Result<bool> {
        call!(self, |client| unknown::settle(
            &mut client,
            key,
            was_sent,
            now
        ))
    }

    async fn page(&self, campaign: &CampaignId, after: i64, limit: usize) -> Result<Vec<PageRow>> {
        call!(self, |client| message::page(
            &client, campaign, after, limit
        ))
    }

    async fn rejected_rows(
        &self,
        campaign: &CampaignId,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, String, RejectedRow)>> {
        call!(self, |client| imports::rejected_rows(
            &client, campaign, after, limit
        ))
    }

    async fn books(&self, campaign: Option<&CampaignId>) -> Result<Books> {
        call!(self, |client| books::books(&client, campaign))
    }

    async fn books_of_each(&self) -> Result<BTreeMap<CampaignId, Books>> {
        call!(self, |client| books::of_each(&client))
    }

    async fn has_open(&self, campaign: &CampaignId, but_due: bool) -> Result<bool> {
        call!(self, |client| books::has_open(&client, campaign, but_due))
    }

    async fn on_queue(&self, now: Timestamp) -> Result<BTreeMap<CampaignId, OnQueue>> {
        let chosen = self.clock.chosen(now);
        call!(self, |client| books::on_queue(&client, chosen, now))
    }

    async fn find(&self, key: &MessageKey) -> Result<Option<MessageRecord>> {
        call!(self, |client| message::find(&mut client, key))
    }

    async fn dead(&self, campaign: Option<&CampaignId>, limit: usize) -> Result<Vec<DeadRow>> {
        call!(self, |client| dead::dead(&client, campaign, limit))
    }
}
