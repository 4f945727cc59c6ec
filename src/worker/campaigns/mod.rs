//! Decides which campaigns are consumed, following their states in the ledger.
//!
//! `active` is a consumed campaign, `consume` its consumer. `rights` and `ownership` decide whether this process may
//! call Twilio for it. `probes` finds out whether a paused campaign may run again. `call_ups` and `agent_recalls` bring
//! waiting messages back.

mod active;
mod calendar;
mod consume;

pub(super) mod ownership;
pub(super) mod rights;

mod agent_recalls;
mod call_ups;
mod probes;

pub(crate) use active::Active;
pub(super) use agent_recalls::AgentRecalls;
pub(super) use call_ups::CallUps;
pub(super) use ownership::Disowned;
pub(super) use probes::Probes;
pub(super) use rights::Switches;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::campaign::Pace;
use crate::engine::Position;
use crate::ledger::{
    CampaignRecord, CampaignState, FILES_COMPLETE, FinishedBy, LedgerError, StateChange,
};
use crate::message::{CampaignId, PauseCause};
use crate::outcomes::{Unfinished, finish};
use crate::pacing::{Lane, Quota};
use crate::queue::depth_of;
use crate::shutdown::Stopper;

use crate::worker::{WorkError, WorkerState, is_among};
use active::{activate, read, without_pace};

/// How often a campaign is checked again that could not be finished, and how often finished campaigns are checked for
/// new messages. Both read more than the ledger's small tables.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The most finished campaigns that are checked for publishers' messages, the latest first.
const REOPEN_MAX: usize = 50;

/// How long the loop waits for a stopped consumer before it goes on with the other campaigns.
const ENDS_SOON: Duration = Duration::from_millis(100);

/// The campaigns that this consumer works on.
pub(super) struct Campaigns {
    shared: Arc<WorkerState>,
    only: Vec<CampaignId>,
    consumed: BTreeMap<CampaignId, CampaignConsumer>,
    /// Stopped consumers whose messages in flight are not finished yet.
    ending: Vec<(CampaignId, CampaignConsumer)>,
    /// How many turns had ended at the last pass.
    turns: u64,
    /// The paused campaigns, of those that this consumer works on.
    paused: Vec<CampaignRecord>,
    /// When a campaign was last found to be not ready to finish.
    kept: BTreeMap<CampaignId, Instant>,
    /// When finished campaigns were last checked for publishers' messages.
    asked: Option<Instant>,
}

struct CampaignConsumer {
    state: CampaignState,
    definition: serde_json::Value,
    active: Arc<Active>,
    stop: Stopper,
    /// Aborted with the worker: if the worker is dropped without a drain, the task ends.
    task: AbortOnDropHandle<()>,
}

impl Campaigns {
    pub(super) fn new(shared: Arc<WorkerState>, only: &[CampaignId]) -> Self {
        Self {
            shared,
            only: only.to_vec(),
            consumed: BTreeMap::new(),
            ending: Vec::new(),
            turns: 0,
            paused: Vec::new(),
            kept: BTreeMap::new(),
            asked: None,
        }
    }

    /// Begins consuming campaigns that run, and stops consuming those that do not.
    pub(super) async fn follow(&mut self) -> Result<(), WorkError> {
        let records = self.records().await?;
        let is_paused = |one: &&CampaignRecord| one.paused_by.is_some() && self.is_ours(&one.id);
        let paused: Vec<_> = records.iter().filter(is_paused).cloned().collect();
        for record in &paused {
            if !self.paused.contains(record) {
                tell_paused(record);
            }
        }
        self.paused = paused;
        self.collect_ended(&records).await?;
        for record in records {
            if !self.is_ours(&record.id) || self.is_ending(&record.id) {
                continue;
            }
            let current = self.consumed.get(&record.id);
            let is_current = current.is_some_and(|consumed| {
                consumed.state == record.state
                    && consumed.definition == record.definition
                    && !consumed.task.is_finished()
            });
            if is_current {
                continue;
            }
            let is_paced_anew = current.is_some_and(|consumed| {
                consumed.state == record.state
                    && without_pace(&consumed.definition) == without_pace(&record.definition)
                    && !consumed.task.is_finished()
            });
            if is_paced_anew {
                self.repace(record)?;
                continue;
            }
            if !self.stop(&record).await? {
                continue;
            }
            // A cancelled campaign is consumed too, so that its waiting messages are skipped.
            if record.state.is_consumed() {
                self.begin(record).await?;
            }
        }
        Ok(())
    }

    /// Applies a change of pace without a restart of the consumer. Messages put off by the old pace carry no time of
    /// it.
    fn repace(&mut self, record: CampaignRecord) -> Result<(), WorkError> {
        let pace = read(&record)?.pace;
        self.set_pace(&record.id, &pace);
        let text = |quota: Option<Quota>| quota.map_or("none".to_owned(), |one| one.to_string());
        tracing::info!(
            campaign.id = %record.id, campaign = text(pace.campaign), agent = text(pace.agent),
            "pace changed"
        );
        if let Some(consumed) = self.consumed.get_mut(&record.id) {
            consumed.definition = record.definition;
        }
        Ok(())
    }

    fn set_pace(&self, id: &CampaignId, pace: &Pace) {
        let pacer = &self.shared.parts.pacer;
        pacer.set_quota(&Lane::campaign(id.as_str()), pace.campaign);
        pacer.set_agent_quota(id.as_str(), pace.agent);
    }

    /// The campaigns that are consumed and not cancelled, and their weights.
    pub(super) fn weights(&self) -> impl Iterator<Item = (Arc<str>, NonZeroU32)> {
        let consumed = self.consumed.values().map(|consumed| &consumed.active);
        consumed
            .filter(|active| active.is_consumed() && !active.cancelled)
            .map(|active| {
                (
                    active.campaign.id.as_str().into(),
                    active.campaign.pace.weight,
                )
            })
    }

    /// A campaign that is consumed.
    pub(super) fn consumed(&self, id: &CampaignId) -> Option<Arc<Active>> {
        let consumed = self.consumed.get(id)?;
        Some(Arc::clone(&consumed.active))
    }

    /// The paused campaigns, of those that this consumer works on.
    pub(super) fn paused(&self) -> impl Iterator<Item = &CampaignRecord> {
        self.paused.iter()
    }

    /// Whether the program has paused a campaign because Twilio refuses all of its messages.
    pub(super) fn is_refused(&self, id: &CampaignId) -> bool {
        let mut paused = self.paused.iter();
        let by_twilio =
            |one: &CampaignRecord| one.program_pause().is_some_and(PauseCause::is_twilios);
        paused.any(|one| one.id == *id && by_twilio(one))
    }

    /// Whether no turn has ended since the last pass.
    pub(super) fn was_quiet(&mut self, turns: u64) -> bool {
        let is_quiet = std::mem::replace(&mut self.turns, turns) == turns;
        if !is_quiet {
            self.kept.clear();
        }
        is_quiet
    }

    /// Whether nothing is to be done: no message is open and no consumed queue has messages. With `but_due`, messages
    /// that the ledger wakes later do not count.
    pub(super) async fn is_idle(&self, but_due: bool) -> Result<bool, WorkError> {
        let parts = &self.shared.parts;
        if self.shared.store_refusals.are_open(parts.clock.instant()) {
            return Ok(false);
        }
        for record in self.records().await? {
            // A paused campaign waits for an operator, not for this consumer.
            if !self.is_ours(&record.id) || record.state == CampaignState::Paused {
                continue;
            }
            // The messages of a scheduled campaign wait for its start.
            if but_due && record.state == CampaignState::Scheduled {
                continue;
            }
            if parts.ledger.has_open(&record.id, but_due).await? {
                return Ok(false);
            }
            let is_consumed = self.consumed.contains_key(&record.id);
            if is_consumed && depth_of(&*parts.queue, &record.id).await?.total() > 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Finishes campaigns whose files are processed. With `is_end`, checks all of them.
    pub(super) async fn finish(&mut self, is_end: bool) -> Result<(), WorkError> {
        let parts = &self.shared.parts;
        let now = parts.clock.instant();
        for id in self.consumed.keys() {
            let is_kept = |at: &Instant| now < *at + LOOK_AGAIN;
            if !is_end && self.kept.get(id).is_some_and(is_kept) {
                continue;
            }
            let (ledger, queue) = (&parts.ledger, &*parts.queue);
            match finish(ledger, queue, id, &FinishedBy::Itself, parts.clock.now()).await? {
                Ok(()) => tracing::info!(campaign.id = %id, "finished"),
                Err(Unfinished::Open) => {}
                Err(_) => {
                    self.kept.insert(id.clone(), now);
                }
            }
        }
        Ok(())
    }

    /// Reopens a finished campaign if messages were taken between its end and its consumer's, and are open or a
    /// publisher's.
    async fn doubt_end(&self, record: &CampaignRecord) -> Result<(), WorkError> {
        let ledger = &self.shared.parts.ledger;
        let is_published = record.reason.as_deref() == Some(FILES_COMPLETE)
            && ledger.books(Some(&record.id)).await?.published() > 0;
        if is_published || ledger.has_open(&record.id, false).await? {
            self.run_again(&record.id).await?;
        }
        Ok(())
    }

    async fn run_again(&self, id: &CampaignId) -> Result<(), WorkError> {
        let parts = &self.shared.parts;
        let reason = "a publisher sent messages";
        tracing::info!(campaign.id = %id, reason, "runs again");
        let reopen = StateChange::Reopen {
            reason: Some(reason.to_owned()),
        };
        parts
            .ledger
            .change_state(id, &reopen, parts.clock.now())
            .await?;
        Ok(())
    }

    /// Reopens campaigns that finished by themselves if publishers have sent messages since. Ends the waits of
    /// cancelled campaigns.
    pub(super) async fn reopen(&mut self) -> Result<(), WorkError> {
        let parts = &self.shared.parts;
        let now = parts.clock.instant();
        if self.asked.is_some_and(|at| now < at + LOOK_AGAIN) {
            return Ok(());
        }
        self.asked = Some(now);
        let records = parts.ledger.campaigns().await?;
        for record in &records {
            // A turn may have put off messages while the campaign was being cancelled.
            if record.state == CampaignState::Cancelled && self.is_ours(&record.id) {
                parts
                    .ledger
                    .end_waits(&record.id, false, parts.clock.now())
                    .await?;
            }
        }
        let finished = records.iter().rev().filter(|record| {
            record.state == CampaignState::Finished
                && record.reason.as_deref() == Some(FILES_COMPLETE)
                && self.is_ours(&record.id)
        });
        for record in finished.take(REOPEN_MAX) {
            if depth_of(&*parts.queue, &record.id).await?.total() > 0 {
                self.run_again(&record.id).await?;
            }
        }
        Ok(())
    }

    /// A campaign for messages that are left of it: the consumed one with its switch, or else as the ledger has it.
    pub(super) async fn active(&self, id: &CampaignId) -> Result<Arc<Active>, WorkError> {
        if let Some(consumed) = self.consumed.get(id) {
            return Ok(Arc::clone(&consumed.active));
        }
        let record = self.shared.parts.ledger.campaign(id).await?;
        let record = record.ok_or_else(|| LedgerError::NoCampaign(id.clone()))?;
        Ok(Arc::new(activate(&self.shared, &record)?))
    }

    /// Stops all consumers and waits until messages in flight are settled.
    pub(super) async fn drain(&mut self) {
        for consumed in self.consumed.values() {
            // Messages in flight are carried to their end: the campaigns' switches do not change.
            consumed.stop.stop();
        }
        self.ending.extend(std::mem::take(&mut self.consumed));
        for (id, consumed) in std::mem::take(&mut self.ending) {
            ended(&id, consumed.task.await);
        }
    }

    pub(super) fn is_ours(&self, id: &CampaignId) -> bool {
        is_among(&self.only, id) && !self.shared.disowned.has(id)
    }

    async fn begin(&mut self, record: CampaignRecord) -> Result<(), WorkError> {
        let active = Arc::new(activate(&self.shared, &record)?);
        let parts = &self.shared.parts;
        parts.queue.open(&record.id).await?;
        self.set_pace(&record.id, &active.campaign.pace);
        let stop = Stopper::new();
        tracing::info!(campaign.id = %record.id, state = %record.state, "consuming");
        let task = tokio::spawn(consume::consume(
            Arc::clone(&self.shared),
            Arc::clone(&active),
            stop.clone(),
        ));
        let consumed = CampaignConsumer {
            state: record.state,
            definition: record.definition,
            active,
            stop,
            task: AbortOnDropHandle::new(task),
        };
        self.consumed.insert(record.id, consumed);
        Ok(())
    }

    /// Stops a campaign's consumer, if it has one: from now on only calls that undo may start, and running turns end.
    /// False if it has not ended yet: an undo may take long, and other campaigns must not wait for it.
    async fn stop(&mut self, record: &CampaignRecord) -> Result<bool, WorkError> {
        let Some(mut consumed) = self.consumed.remove(&record.id) else {
            return Ok(true);
        };
        consumed.active.switch.stop(Position::Stopped);
        consumed.stop.stop();
        let Ok(end) = tokio::time::timeout(ENDS_SOON, &mut consumed.task).await else {
            self.ending.push((record.id.clone(), consumed));
            return Ok(false);
        };
        ended(&record.id, end);
        self.after_end(record).await?;
        Ok(true)
    }

    fn is_ending(&self, id: &CampaignId) -> bool {
        self.ending.iter().any(|(ending, _)| ending == id)
    }

    /// Handles consumers that have ended since the last pass.
    async fn collect_ended(&mut self, records: &[CampaignRecord]) -> Result<(), WorkError> {
        let ending = std::mem::take(&mut self.ending);
        let (over, ending): (Vec<_>, Vec<_>) = ending
            .into_iter()
            .partition(|(_, consumed)| consumed.task.is_finished());
        self.ending = ending;
        for (id, consumed) in over {
            ended(&id, consumed.task.await);
            if let Some(record) = records.iter().find(|record| record.id == id) {
                self.after_end(record).await?;
            }
        }
        Ok(())
    }

    async fn after_end(&mut self, record: &CampaignRecord) -> Result<(), WorkError> {
        if record.state == CampaignState::Finished {
            self.shared.parts.pacer.forget_campaign(record.id.as_str());
            self.doubt_end(record).await?;
        }
        Ok(())
    }
}

/// Logs once that a campaign is paused, and how to resume it.
fn tell_paused(record: &CampaignRecord) {
    let by = record.paused_by.as_ref().map(ToString::to_string);
    tracing::warn!(
        target: "flexcast::worker::paused",
        { campaign.id = %record.id, by, reason = record.reason, since = %record.state_since },
        "the campaign is paused; resume it with: flexcast campaign resume {}", record.id
    );
}

fn ended(id: &CampaignId, end: Result<(), tokio::task::JoinError>) {
    if let Err(error) = end {
        tracing::error!(campaign.id = %id, %error, "the campaign's consumer ended with an error");
    }
}
