//! The ledger with the trap on it: the world may stop around each call, and each may fail, before it
//! was done or after.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flexcast::ledger::{
    Acceptance, BacklogRow, Backlogs, Books, BrokerLost, CallUp, CalledUp, CampaignRecord,
    ConsumerRow, DamagedRow, DeadRow, Ending, HeldFor, Import, ImportRecord, Lease, Ledger,
    LedgerError, Manifest, MessageKey, MessageRecord, OnQueue, OpenOfSender, PageRow, Publication,
    PublishAgain, RejectedRow, Renewal, Renewed, Result, SetAside, Settlement, StateChange,
    Steering, Stray, Stuck, Taken, Transition, UndoSettlement, UnknownRow, Upkeep,
};
use flexcast::message::{Address, CampaignId, Effects, Event, Message, MessageId};
use jiff::Timestamp;

use super::trap::{Failing, Place, Trap};

/// At which call the store refuses a message's own content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PoisonAt {
    Taking,
    Recording,
    Settling,
}

/// The messages whose content the store refuses.
pub(crate) type Poison = Arc<BTreeMap<MessageId, PoisonAt>>;

pub(crate) struct TrappedLedger {
    pub(crate) inner: Arc<dyn Ledger>,
    pub(crate) poison: Poison,
    pub(crate) trap: Arc<Trap>,
}

impl TrappedLedger {
    pub(super) async fn risk<T>(
        &self,
        what: &'static str,
        doing: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.trap.risk(Place::Ledger, what, failed, doing).await
    }

    /// Whether the store refuses what is to be written of this message at this call.
    fn poison(&self, id: &MessageId, at: PoisonAt) -> Result<()> {
        if self.poison.get(id) != Some(&at) {
            return Ok(());
        }
        self.trap.refused("poison 22P05");
        Err(LedgerError::Refused {
            code: "22P05".to_owned(),
            text: "unsupported Unicode escape sequence".to_owned(),
        })
    }
}

fn failed(failing: Failing, text: String) -> LedgerError {
    match failing {
        Failing::Away(_) => LedgerError::Unavailable(text),
        Failing::Refuses(code) => LedgerError::Refused {
            code: code.to_owned(),
            text: "refused".to_owned(),
        },
    }
}

#[async_trait]
impl Ledger for TrappedLedger {
    async fn id(&self) -> Result<String> {
        self.risk("id", self.inner.id()).await
    }

    async fn show_alive(&self, holder: &str) -> Result<()> {
        self.risk("show_alive", self.inner.show_alive(holder)).await
    }

    async fn let_go(&self, lease: &Lease) -> Result<()> {
        self.risk("let_go", self.inner.let_go(lease)).await
    }

    async fn bind(&self, account_sid: &str, base: &str) -> Result<()> {
        self.risk("bind", self.inner.bind(account_sid, base)).await
    }

    async fn save_campaign(&self, record: &CampaignRecord, only_idle: bool) -> Result<bool> {
        let saving = self.inner.save_campaign(record, only_idle);
        self.risk("save_campaign", saving).await
    }

    async fn redefine(
        &self,
        id: &CampaignId,
        from: &serde_json::Value,
        to: &serde_json::Value,
        now: Timestamp,
    ) -> Result<bool> {
        let redefining = self.inner.redefine(id, from, to, now);
        self.risk("redefine", redefining).await
    }

    async fn campaign(&self, id: &CampaignId) -> Result<Option<CampaignRecord>> {
        self.risk("campaign", self.inner.campaign(id)).await
    }

    async fn campaigns(&self) -> Result<Vec<CampaignRecord>> {
        self.risk("campaigns", self.inner.campaigns()).await
    }

    async fn finish_campaign(
        &self,
        id: &CampaignId,
        by_itself: bool,
        now: Timestamp,
    ) -> Result<bool> {
        self.risk(
            "finish_campaign",
            self.inner.finish_campaign(id, by_itself, now),
        )
        .await
    }

    async fn end_import(&self, number: i64, now: Timestamp) -> Result<()> {
        self.risk("end_import", self.inner.end_import(number, now))
            .await
    }

    async fn imports(&self, campaign: Option<&CampaignId>) -> Result<Vec<ImportRecord>> {
        self.inner.imports(campaign).await
    }

    async fn begin_import(
        &self,
        campaign: &CampaignId,
        manifest: &Manifest,
        now: Timestamp,
    ) -> Result<i64> {
        let beginning = self.inner.begin_import(campaign, manifest, now);
        self.risk("begin_import", beginning).await
    }

    async fn accept(
        &self,
        campaign: &CampaignId,
        messages: &[Message],
        import: Option<&Import>,
        now: Timestamp,
        queue_after: Timestamp,
    ) -> Result<Vec<Acceptance>> {
        self.risk(
            "accept",
            self.inner
                .accept(campaign, messages, import, now, queue_after),
        )
        .await
    }

    async fn mark_queued(&self, published: &[Publication]) -> Result<()> {
        self.risk("mark_queued", self.inner.mark_queued(published))
            .await
    }

    async fn unqueued(&self, now: Timestamp, limit: usize) -> Result<Vec<(Publication, Message)>> {
        self.risk("unqueued", self.inner.unqueued(now, limit)).await
    }

    async fn take(
        &self,
        message: &Message,
        holder: &str,
        now: Timestamp,
        lease_for: Duration,
    ) -> Result<Taken> {
        self.poison(&message.id(), PoisonAt::Taking)?;
        self.risk("take", self.inner.take(message, holder, now, lease_for))
            .await
    }

    async fn record(&self, lease: &Lease, events: &[Event], now: Timestamp) -> Result<()> {
        self.poison(&lease.key.id, PoisonAt::Recording)?;
        let recording = self.inner.record(lease, events, now);
        let risk = self.trap.risk(Place::Journal, "record", failed, recording);
        risk.await
    }

    async fn renew(&self, lease: &Lease, now: Timestamp, lease_for: Duration) -> Result<Lease> {
        self.risk("renew", self.inner.renew(lease, now, lease_for))
            .await
    }

    async fn settle(
        &self,
        lease: &Lease,
        events: &[Event],
        settlement: &Settlement,
        now: Timestamp,
    ) -> Result<()> {
        if matches!(settlement, Settlement::Ended { .. }) {
            self.poison(&lease.key.id, PoisonAt::Settling)?;
        }
        self.risk("settle", self.inner.settle(lease, events, settlement, now))
            .await
    }

    async fn release_leases(&self, now: Timestamp) -> Result<u64> {
        self.risk("release_leases", self.inner.release_leases(now))
            .await
    }

    async fn wake(&self, now: Timestamp, limit: usize) -> Result<u64> {
        self.risk("wake", self.inner.wake(now, limit)).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>> {
        self.risk("next_due", self.inner.next_due()).await
    }

    async fn held(&self) -> Result<Vec<HeldFor>> {
        self.risk("held", self.inner.held()).await
    }

    async fn recall(
        &self,
        campaign: &CampaignId,
        agent: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<u64> {
        let recalling = self.inner.recall(campaign, agent, now, limit);
        self.risk("recall", recalling).await
    }

    async fn show_lanes(
        &self,
        holder: &str,
        lanes: Option<&serde_json::Value>,
        now: Timestamp,
    ) -> Result<()> {
        let showing = self.inner.show_lanes(holder, lanes, now);
        self.risk("show_lanes", showing).await
    }

    async fn shown_lanes(
        &self,
        now: Timestamp,
        within: Duration,
    ) -> Result<Vec<serde_json::Value>> {
        let looking = self.inner.shown_lanes(now, within);
        self.risk("shown_lanes", looking).await
    }

    async fn record_stray(&self, stray: &Stray, now: Timestamp) -> Result<()> {
        self.risk("record_stray", self.inner.record_stray(stray, now))
            .await
    }

    async fn due_undos(&self, now: Timestamp, limit: usize) -> Result<Vec<MessageKey>> {
        self.risk("due_undos", self.inner.due_undos(now, limit))
            .await
    }

    async fn take_undo(
        &self,
        key: &MessageKey,
        holder: &str,
        now: Timestamp,
        lease_for: Duration,
    ) -> Result<Option<Stuck>> {
        self.risk(
            "take_undo",
            self.inner.take_undo(key, holder, now, lease_for),
        )
        .await
    }

    async fn settle_undo(
        &self,
        lease: &Lease,
        events: &[Event],
        settlement: &UndoSettlement,
        now: Timestamp,
    ) -> Result<()> {
        self.risk(
            "settle_undo",
            self.inner.settle_undo(lease, events, settlement, now),
        )
        .await
    }

    async fn unknown(
        &self,
        campaign: Option<&CampaignId>,
        limit: usize,
    ) -> Result<Vec<UnknownRow>> {
        self.risk("unknown", self.inner.unknown(campaign, limit))
            .await
    }

    async fn settle_unknown(
        &self,
        key: &MessageKey,
        was_sent: bool,
        now: Timestamp,
    ) -> Result<bool> {
        self.risk(
            "settle_unknown",
            self.inner.settle_unknown(key, was_sent, now),
        )
        .await
    }

    async fn page(&self, campaign: &CampaignId, after: i64, limit: usize) -> Result<Vec<PageRow>> {
        self.risk("page", self.inner.page(campaign, after, limit))
            .await
    }

    async fn rejected_rows(
        &self,
        campaign: &CampaignId,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, String, RejectedRow)>> {
        self.risk(
            "rejected_rows",
            self.inner.rejected_rows(campaign, after, limit),
        )
        .await
    }

    async fn books(&self, campaign: Option<&CampaignId>) -> Result<Books> {
        self.risk("books", self.inner.books(campaign)).await
    }

    async fn books_of_each(&self) -> Result<BTreeMap<CampaignId, Books>> {
        self.risk("books_of_each", self.inner.books_of_each()).await
    }

    async fn has_open(&self, campaign: &CampaignId, but_due: bool) -> Result<bool> {
        self.risk("has_open", self.inner.has_open(campaign, but_due))
            .await
    }

    async fn on_queue(&self, now: Timestamp) -> Result<BTreeMap<CampaignId, OnQueue>> {
        self.risk("on_queue", self.inner.on_queue(now)).await
    }

    async fn find(&self, key: &MessageKey) -> Result<Option<MessageRecord>> {
        self.risk("find", self.inner.find(key)).await
    }

    async fn dead(&self, campaign: Option<&CampaignId>, limit: usize) -> Result<Vec<DeadRow>> {
        self.risk("dead", self.inner.dead(campaign, limit)).await
    }
}

#[async_trait]
impl Backlogs for TrappedLedger {
    async fn backlogs(&self) -> Result<Vec<BacklogRow>> {
        self.risk("backlogs", self.inner.backlogs()).await
    }

    async fn call_up(&self, calls: &[CallUp], now: Timestamp) -> Result<Vec<CalledUp>> {
        self.risk("call_up", self.inner.call_up(calls, now)).await
    }
}

#[async_trait]
impl Steering for TrappedLedger {
    async fn change_state(
        &self,
        id: &CampaignId,
        change: &StateChange,
        now: Timestamp,
    ) -> Result<Transition> {
        self.risk("change_state", self.inner.change_state(id, change, now))
            .await
    }

    async fn renew_right(&self, renewal: &Renewal, now: Timestamp) -> Result<Renewed> {
        let renewing = self.inner.renew_right(renewal, now);
        let trap = &self.trap;
        trap.risk(Place::Rights, "renew_right", failed, renewing)
            .await
    }

    async fn end_right(&self, holder: &str) -> Result<()> {
        self.inner.end_right(holder).await
    }

    async fn consumers(&self, now: Timestamp) -> Result<(i64, Vec<ConsumerRow>)> {
        self.inner.consumers(now).await
    }

    async fn skip_unbegun(
        &self,
        campaign: &CampaignId,
        now: Timestamp,
        limit: usize,
    ) -> Result<u64> {
        self.inner.skip_unbegun(campaign, now, limit).await
    }

    async fn end_waits(&self, campaign: &CampaignId, retries: bool, now: Timestamp) -> Result<u64> {
        let ending = self.inner.end_waits(campaign, retries, now);
        self.risk("end_waits", ending).await
    }

    async fn open_by_sender(&self, campaign: &CampaignId) -> Result<Vec<OpenOfSender>> {
        self.inner.open_by_sender(campaign).await
    }

    async fn move_sender(
        &self,
        campaign: &CampaignId,
        from: &Address,
        to: &Address,
        now: Timestamp,
        limit: usize,
    ) -> Result<u64> {
        self.inner.move_sender(campaign, from, to, now, limit).await
    }
}

#[async_trait]
impl Upkeep for TrappedLedger {
    async fn touch(&self) -> Result<()> {
        self.risk("touch", self.inner.touch()).await
    }

    async fn probe(&self) -> Result<()> {
        self.risk("probe", self.inner.probe()).await
    }

    async fn set_aside(
        &self,
        message: &Message,
        ending: &Ending,
        effects: &Effects,
        now: Timestamp,
    ) -> Result<SetAside> {
        let setting = self.inner.set_aside(message, ending, effects, now);
        self.risk("set_aside", setting).await
    }

    async fn record_damaged(&self, key: &MessageKey, detail: &str, now: Timestamp) -> Result<()> {
        let recording = self.inner.record_damaged(key, detail, now);
        self.risk("record_damaged", recording).await
    }

    async fn damaged(&self, limit: usize) -> Result<Vec<DamagedRow>> {
        self.risk("damaged", self.inner.damaged(limit)).await
    }

    async fn sweep_leases(&self, holder: &str, now: Timestamp, limit: usize) -> Result<u64> {
        let sweeping = self.inner.sweep_leases(holder, now, limit);
        self.risk("sweep_leases", sweeping).await
    }

    async fn show_holding(
        &self,
        holder: &str,
        holding: &BTreeMap<CampaignId, u64>,
        now: Timestamp,
    ) -> Result<()> {
        let showing = self.inner.show_holding(holder, holding, now);
        self.risk("show_holding", showing).await
    }

    async fn holding(&self, now: Timestamp) -> Result<BTreeMap<CampaignId, u64>> {
        self.risk("holding", self.inner.holding(now)).await
    }

    async fn queue_again(&self, campaign: &CampaignId, again: &PublishAgain) -> Result<u64> {
        let marking = self.inner.queue_again(campaign, again);
        self.risk("queue_again", marking).await
    }

    async fn broker_lost(&self, lost: &BrokerLost) -> Result<Option<u64>> {
        self.risk("broker_lost", self.inner.broker_lost(lost)).await
    }

    async fn broker_lost_at(&self) -> Result<Option<Timestamp>> {
        self.risk("broker_lost_at", self.inner.broker_lost_at())
            .await
    }
}
