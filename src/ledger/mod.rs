//! What we know happened: the contract that every store keeps.
//!
//! In: acceptances, leases, journal events, settlements. Out: what to do next, and the books.
//! Always: what a method reports is durable when it returns; times are arguments, so that two stores
//! answer alike and tests choose the time; each term of the books is counted from its own records
//! (accepted: `messages`; waiting, deferred, in flight: `turns`; the rest: `outcomes`), in one
//! snapshot.

mod backlogs;
mod backup;
mod books;
mod columns;
mod consumers;
mod error;
mod imports;
mod lifecycle;
mod ownership;
pub mod postgres;
mod probe;
mod record;
pub mod sqlite;
mod steering;
mod upkeep;
mod watched;
mod watched_calls;

pub use backlogs::{BacklogRow, Backlogs, CallUp, CalledUp, UNCALLED_FOR};
pub use backup::BackupSource;
pub use books::{Books, OnQueue, Report};
pub use consumers::{ConsumerRow, LIVES_FOR, RIGHT_FOR, Renewal, Renewed};
pub use error::{LedgerError, Result};
pub use imports::{
    IMPORT_SEEN_FOR, Import, ImportCounts, ImportRecord, ImportReport, ImportState, Manifest,
    RejectedRow, Superseded,
};
pub use lifecycle::{
    Actor, CampaignRecord, CampaignState, PUBLISH_AGAIN, StateChange, Transition, WORKED_OFF,
};
pub use ownership::{Incarnation, Ownership};
pub use postgres::{AgentAnswer, AgentWish, BegunForAgents, ServerTime, SharedLanes};
use record::SHOWN_FOR;
pub use record::{
    Acceptance, DeadRow, EARLY, Ending, HeldFor, LATE, Lease, MessageKey, MessageRecord,
    OpenOfSender, PageRow, Publication, Settlement, Standing, StoreRun, Stray, Stuck, Taken,
    UNDO_AFTER, UndoSettlement, UnknownRow, UpcomingUndo, Wake,
};
pub use steering::Steering;
pub use upkeep::{
    BrokerLost, DAMAGED_AGAIN, DamagedRow, HOLDING_FOR, MARKED_AT_ONCE, PublishAgain, SetAside,
    Upkeep,
};
pub use watched::{Loss, Watched};

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::message::{CampaignId, Event, Message};

/// The store of all messages, journals and outcomes. Shared by `import`, `campaign` and `work`.
#[async_trait]
pub trait Ledger: Backlogs + Ownership + Steering + Upkeep {
    /// This ledger's own name, made when it was: what a broker is bound to.
    async fn id(&self) -> Result<String>;

    /// Shows to those who share the ledger that this consumer lives, until its process ends: they then
    /// know whether who held a lease is dead, or only slow. Before its first take.
    async fn show_alive(&self, holder: &str) -> Result<()>;

    /// Ties the ledger to a Twilio account and base address, or finds it tied to them already.
    ///
    /// # Errors
    ///
    /// [`LedgerError::BoundElsewhere`] when it is tied to others.
    async fn bind(&self, account_sid: &str, base: &str) -> Result<()>;

    // Campaigns.

    /// Stores a campaign's definition and settings; its state, that state's reason and the time it
    /// was first applied are kept when it exists. With `only_idle` a campaign that exists is not changed
    /// while a message of it is open: in one step, so that no message is accepted in between.
    ///
    /// `false` when it was not changed.
    async fn save_campaign(&self, record: &CampaignRecord, only_idle: bool) -> Result<bool>;

    /// Replaces a campaign's definition if it is still `from`, so that what somebody else wrote meanwhile
    /// is not lost. `false` when it is another one.
    async fn redefine(
        &self,
        id: &CampaignId,
        from: &serde_json::Value,
        to: &serde_json::Value,
        now: Timestamp,
    ) -> Result<bool>;

    /// A campaign by its id.
    async fn campaign(&self, id: &CampaignId) -> Result<Option<CampaignRecord>>;

    /// All campaigns, in the order they were first applied.
    async fn campaigns(&self) -> Result<Vec<CampaignRecord>>;

    /// Moves a campaign to finished, unless a message of it is open: in one step, so that no message
    /// is accepted in between. With `by_itself` only one that runs, that has imports, and none of
    /// whose imports is under way or died: one that died is made good by a later one of the same file
    /// (by its name or its bytes) that came to its end; the reason is then [`WORKED_OFF`]. Whether the books balance is the caller's to look at.
    ///
    /// `false` when it is not to be finished.
    async fn finish_campaign(
        &self,
        id: &CampaignId,
        by_itself: bool,
        now: Timestamp,
    ) -> Result<bool>;

    // Intake.

    /// Records the beginning of an import and gives it a number.
    async fn begin_import(
        &self,
        campaign: &CampaignId,
        manifest: &Manifest,
        now: Timestamp,
    ) -> Result<i64>;

    /// The imports of one campaign, or of all, oldest first.
    async fn imports(&self, campaign: Option<&CampaignId>) -> Result<Vec<ImportRecord>>;

    /// Records that an import has accounted for its last row.
    async fn end_import(&self, number: i64, now: Timestamp) -> Result<()>;

    /// Accepts messages: each is recorded as waiting, not queued yet, unless its id or address is
    /// already taken within the campaign (also by an earlier one of the same batch). One
    /// transaction; with `import`, its counts move in it too, and it shows that it lives. Whether a campaign that is finished or
    /// cancelled takes messages is the caller's to decide.
    ///
    /// Returns one [`Acceptance`] a message, in order. Until `queue_after` nobody but the caller
    /// publishes what is [`Acceptance::Accepted`] ([`Ledger::unqueued`]).
    async fn accept(
        &self,
        campaign: &CampaignId,
        messages: &[Message],
        import: Option<&Import>,
        now: Timestamp,
        queue_after: Timestamp,
    ) -> Result<Vec<Acceptance>>;

    /// Records that these messages are durable on the queue.
    ///
    /// A message that was taken since it was listed is left alone: its consumer may have settled it
    /// and given it back to the ledger before this call, and to call it queued then would lose it.
    async fn mark_queued(&self, published: &[Publication]) -> Result<()>;

    /// Waiting messages that are not on the queue and whose `queue_after` has come, the longest due
    /// first: what an import that died had accepted, what [`Ledger::wake`] woke, and what was
    /// released off the queue. One that cannot be read is recorded as damaged, and is left out for
    /// [`DAMAGED_AGAIN`]: it holds up no other.
    async fn unqueued(&self, now: Timestamp, limit: usize) -> Result<Vec<(Publication, Message)>>;

    // Work.

    /// Takes a delivered message: accepts it first when a publisher sent it and the ledger does not
    /// know it, then leases it to `holder` for `lease_for`.
    ///
    /// A message that is deferred and due within [`EARLY`] is taken too: the queue that brings it back
    /// runs on another clock. So is one whose lease has run out, whoever held it; while a lease lasts
    /// nobody else has the message, not even its own holder a second time.
    async fn take(
        &self,
        message: &Message,
        holder: &str,
        now: Timestamp,
        lease_for: Duration,
    ) -> Result<Taken>;

    /// Appends events to a leased message's journal.
    ///
    /// # Errors
    ///
    /// [`LedgerError::LeaseLost`] when the lease's number is no longer the message's, or the message is
    /// no longer in flight. A lease that has run out and that nobody took is still good.
    async fn record(&self, lease: &Lease, events: &[Event], now: Timestamp) -> Result<()>;

    /// Makes a lease last until `now + lease_for`.
    ///
    /// # Errors
    ///
    /// [`LedgerError::LeaseLost`], as [`Ledger::record`].
    async fn renew(&self, lease: &Lease, now: Timestamp, lease_for: Duration) -> Result<Lease>;

    /// Appends the last events and ends the lease: the message is over, deferred or given back.
    ///
    /// # Errors
    ///
    /// [`LedgerError::LeaseLost`], as [`Ledger::record`].
    async fn settle(
        &self,
        lease: &Lease,
        events: &[Event],
        settlement: &Settlement,
        now: Timestamp,
    ) -> Result<()>;

    /// Says that nothing more is done under a lease, which may have been lost long since: whoever took the
    /// message over need not wait for this holder any more. A lease that still is the message's ends, and
    /// the message waits on the queue, which brings it back.
    async fn let_go(&self, lease: &Lease) -> Result<()>;

    /// Ends every lease of holders that are certainly dead: called by the one consumer of a store
    /// that only one consumer can hold. Their messages wait on the queue, which brings back what was
    /// not acknowledged. Returns how many there were.
    async fn release_leases(&self, now: Timestamp) -> Result<u64>;

    /// Makes deferred messages that are due waiting again, at most `limit`, and returns how many.
    /// Those that the queue itself brings back ([`Wake::Queue`]) only when they are [`LATE`]. Who
    /// lists [`Ledger::unqueued`] next publishes them.
    async fn wake(&self, now: Timestamp, limit: usize) -> Result<u64>;

    /// When [`Ledger::wake`] has something to do next: the earliest due time, [`LATE`] added for what
    /// the queue itself brings back. (The bare due time would have its caller spin for that minute.)
    async fn next_due(&self) -> Result<Option<Timestamp>>;

    /// Whom messages wait for that are held because their agent could not take them.
    async fn held(&self) -> Result<Vec<HeldFor>>;

    /// Makes at most `limit` messages of a campaign waiting that are held for this agent, the longest
    /// held first, and returns how many. Who lists [`Ledger::unqueued`] next publishes them.
    async fn recall(
        &self,
        campaign: &CampaignId,
        agent: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<u64>;

    /// Records a delivery that is no message. One that the queue delivers twice is recorded twice:
    /// nothing tells it from two alike.
    async fn record_stray(&self, stray: &Stray, now: Timestamp) -> Result<()>;

    // Undoing what is left.

    /// Stuck messages whose undo is due, the longest due first: without those of paused campaigns, and
    /// without those that somebody is at.
    async fn due_undos(&self, now: Timestamp, limit: usize) -> Result<Vec<MessageKey>>;

    /// Takes a stuck message whose undo is due, to try it again. It stays dead meanwhile; its lease is
    /// recorded under and renewed as any other. `None` when it is not due, or somebody's.
    async fn take_undo(
        &self,
        key: &MessageKey,
        holder: &str,
        now: Timestamp,
        lease_for: Duration,
    ) -> Result<Option<Stuck>>;

    /// Appends the last events and ends the lease of an undo that was tried again.
    ///
    /// # Errors
    ///
    /// [`LedgerError::LeaseLost`], as [`Ledger::record`].
    async fn settle_undo(
        &self,
        lease: &Lease,
        events: &[Event],
        settlement: &UndoSettlement,
        now: Timestamp,
    ) -> Result<()>;

    // Deciding.

    /// Messages whose outcome is unknown, oldest first.
    async fn unknown(&self, campaign: Option<&CampaignId>, limit: usize)
    -> Result<Vec<UnknownRow>>;

    /// Records what an operator found out of an unknown: sent, and it is done; not sent, and it
    /// waits again, to go on at the step that was in question, and a campaign that was finished runs
    /// again. `false` when it is not unknown.
    async fn settle_unknown(
        &self,
        key: &MessageKey,
        was_sent: bool,
        now: Timestamp,
    ) -> Result<bool>;

    // Looking.

    /// Messages of a campaign in the order of acceptance, from after `after` (0: the first).
    async fn page(&self, campaign: &CampaignId, after: i64, limit: usize) -> Result<Vec<PageRow>>;

    /// Rejected rows of a campaign's imports, in order, with the import's file; `after` as in
    /// [`Ledger::page`].
    async fn rejected_rows(
        &self,
        campaign: &CampaignId,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, String, RejectedRow)>>;

    /// The books of one campaign, or of all together. It counts every record: some 150 ms for a
    /// million messages.
    async fn books(&self, campaign: Option<&CampaignId>) -> Result<Books>;

    /// The books of every campaign that has any, each by itself, in one snapshot.
    async fn books_of_each(&self) -> Result<BTreeMap<CampaignId, Books>>;

    /// Whether any message of a campaign is open; with `but_due`, any but those that wait for a time
    /// that the ledger keeps (retries are not such). It counts nothing.
    async fn has_open(&self, campaign: &CampaignId, but_due: bool) -> Result<bool>;

    /// What the queue should hold of each campaign that has open messages, in one snapshot.
    async fn on_queue(&self, now: Timestamp) -> Result<BTreeMap<CampaignId, OnQueue>>;

    /// All that is known of one message.
    async fn find(&self, key: &MessageKey) -> Result<Option<MessageRecord>>;

    /// Dead letters, oldest first: of one campaign without the strays, or of all with them.
    async fn dead(&self, campaign: Option<&CampaignId>, limit: usize) -> Result<Vec<DeadRow>>;

    /// Shows a consumer's lanes to whoever looks, in place of what it has shown before; none: nothing any
    /// more.
    async fn show_lanes(
        &self,
        holder: &str,
        lanes: Option<&serde_json::Value>,
        now: Timestamp,
    ) -> Result<()>;

    /// What consumers have shown of their lanes within so long before `now`, one entry each.
    async fn shown_lanes(&self, now: Timestamp, within: Duration)
    -> Result<Vec<serde_json::Value>>;
}
