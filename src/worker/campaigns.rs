//! Which campaigns are being consumed: follows their states in the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::campaign::{Campaign, Pace};
use crate::engine::{CampaignSwitch, Position};
use crate::ledger::{CampaignRecord, CampaignState, Ledger, LedgerError, WORKED_OFF};
use crate::message::CampaignId;
use crate::pacing::{Lane, Quota};
use crate::shutdown::Stopper;

use super::finish::{FinishedBy, Unfinished, finish, on_queue};
use super::{Active, Shared, WorkError, consume};

/// How often a campaign is looked at that was not to be finished, and whether one that is finished has
/// to run again: both ask more than the ledger's small tables.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The most finished campaigns that are asked for messages of publishers, the latest first.
const REOPEN_MAX: usize = 50;

/// The campaigns that have a consumer.
pub(super) struct Campaigns {
    shared: Arc<Shared>,
    only: Vec<CampaignId>,
    consumed: BTreeMap<CampaignId, Consumed>,
    /// How many turns were over at the last look.
    turns: u64,
    paused: BTreeSet<CampaignId>,
    /// When it was last seen of a campaign that it is not to be finished.
    kept: BTreeMap<CampaignId, Instant>,
    /// When finished campaigns were last asked for messages of publishers.
    asked: Option<Instant>,
}

struct Consumed {
    state: CampaignState,
    definition: serde_json::Value,
    active: Arc<Active>,
    stop: Stopper,
    /// Ends with the worker: dropped without a drain, nothing of it goes on.
    task: AbortOnDropHandle<()>,
}

impl Campaigns {
    pub(super) fn new(shared: Arc<Shared>, only: &[CampaignId]) -> Self {
        Self {
            shared,
            only: only.to_vec(),
            consumed: BTreeMap::new(),
            turns: 0,
            paused: BTreeSet::new(),
            kept: BTreeMap::new(),
            asked: None,
        }
    }

    /// Begins consuming what runs, and stops what does not any more.
    pub(super) async fn follow(&mut self) -> Result<(), WorkError> {
        let records = self.shared.parts.ledger.campaigns().await?;
        let paused = records
            .iter()
            .filter(|one| one.state == CampaignState::Paused);
        self.paused = paused.map(|record| record.id.clone()).collect();
        for record in records {
            if !self.is_ours(&record.id) {
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
            let is_paced_anew = current.is_some_and(|consumed| !has_pace_of(&record, consumed));
            let differs_only_so = is_paced_anew
                && current.is_some_and(|consumed| {
                    consumed.state == record.state
                        && without_pace(&consumed.definition) == without_pace(&record.definition)
                        && !consumed.task.is_finished()
                });
            if differs_only_so {
                self.repace(record).await?;
                continue;
            }
            let was_consumed = self.stop(&record.id).await;
            if was_consumed && record.state == CampaignState::Finished {
                self.shared.parts.pacer.forget_campaign(record.id.as_str());
                self.doubt_end(&record).await?;
            }
            // A cancelled campaign is consumed too: what waits is to be skipped.
            if matches!(
                record.state,
                CampaignState::Running | CampaignState::Cancelled
            ) {
                let id = record.id.clone();
                self.begin(record).await?;
                if is_paced_anew {
                    let parts = &self.shared.parts;
                    parts.ledger.repace(&id, parts.clock.now()).await?;
                }
            }
        }
        Ok(())
    }

    /// A change of pace alone: what runs goes on, at the new one.
    async fn repace(&mut self, record: CampaignRecord) -> Result<(), WorkError> {
        let pace = read(&record)?.pace;
        let parts = &self.shared.parts;
        self.set_pace(&record.id, &pace);
        if let Some(consumed) = self.consumed.get(&record.id) {
            // Who has asked for a turn and is not deferred yet sees it.
            consumed.active.pace_changes.fetch_add(1, Ordering::SeqCst);
        }
        // Their promises were of the old pace: they ask for their turn anew.
        let returned = parts.ledger.repace(&record.id, parts.clock.now()).await?;
        let text = |quota: Option<Quota>| quota.map_or("none".to_owned(), |one| one.to_string());
        tracing::info!(
            campaign.id = %record.id, campaign = text(pace.campaign), agent = text(pace.agent),
            messages = returned, "pace changed"
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

    /// A campaign that has a consumer.
    pub(super) fn consumed(&self, id: &CampaignId) -> Option<Arc<Active>> {
        let consumed = self.consumed.get(id)?;
        Some(Arc::clone(&consumed.active))
    }

    pub(super) fn is_paused(&self, id: &CampaignId) -> bool {
        self.paused.contains(id)
    }

    /// Whether no turn ended since the last look.
    pub(super) fn was_quiet(&mut self, turns: u64) -> bool {
        let is_quiet = std::mem::replace(&mut self.turns, turns) == turns;
        if !is_quiet {
            self.kept.clear();
        }
        is_quiet
    }

    /// Whether there is anything to do: a message is open (but for those that wait for the ledger's
    /// time when `but_due`), or waits on a queue that is being consumed.
    pub(super) async fn is_idle(&self, but_due: bool) -> Result<bool, WorkError> {
        let parts = &self.shared.parts;
        for record in parts.ledger.campaigns().await? {
            // A paused campaign waits for somebody, not for us.
            if !self.is_ours(&record.id) || record.state == CampaignState::Paused {
                continue;
            }
            if parts.ledger.has_open(&record.id, but_due).await? {
                return Ok(false);
            }
            let is_consumed = self.consumed.contains_key(&record.id);
            if is_consumed && on_queue(&*parts.queue, &record.id).await? > 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Finishes campaigns whose files are worked off. At the end all are looked at.
    pub(super) async fn finish(&mut self, is_end: bool) -> Result<(), WorkError> {
        let parts = &self.shared.parts;
        let now = parts.clock.instant();
        for id in self.consumed.keys() {
            let is_kept = |at: &Instant| now < *at + LOOK_AGAIN;
            if !is_end && self.kept.get(id).is_some_and(is_kept) {
                continue;
            }
            let (ledger, queue) = (&*parts.ledger, &*parts.queue);
            let by = FinishedBy::Itself;
            match finish(ledger, queue, id, by, parts.clock.now()).await? {
                Ok(()) => tracing::info!(campaign.id = %id, "finished"),
                Err(Unfinished::Open) => {}
                Err(_) => {
                    self.kept.insert(id.clone(), now);
                }
            }
        }
        Ok(())
    }

    /// What was taken between the end of a campaign and that of its consumer may be open, or a
    /// publisher's: then it was no end.
    async fn doubt_end(&self, record: &CampaignRecord) -> Result<(), WorkError> {
        let ledger = &self.shared.parts.ledger;
        let is_published = record.reason.as_deref() == Some(WORKED_OFF)
            && ledger.books(Some(&record.id)).await?.published() > 0;
        if is_published || ledger.has_open(&record.id, false).await? {
            self.run_again(&record.id).await?;
        }
        Ok(())
    }

    async fn run_again(&self, id: &CampaignId) -> Result<(), WorkError> {
        let parts = &self.shared.parts;
        let (state, reason) = (CampaignState::Running, "a publisher sent messages");
        tracing::info!(campaign.id = %id, reason, "runs again");
        let (ledger, now) = (&parts.ledger, parts.clock.now());
        ledger
            .set_campaign_state(id, state, Some(reason), now)
            .await?;
        Ok(())
    }

    /// Lets campaigns run again that finished by themselves, and that publishers send messages to all
    /// the same.
    pub(super) async fn reopen(&mut self) -> Result<(), WorkError> {
        let parts = &self.shared.parts;
        let now = parts.clock.instant();
        if self.asked.is_some_and(|at| now < at + LOOK_AGAIN) {
            return Ok(());
        }
        self.asked = Some(now);
        let records = parts.ledger.campaigns().await?;
        let finished = records.iter().rev().filter(|record| {
            record.state == CampaignState::Finished
                && record.reason.as_deref() == Some(WORKED_OFF)
                && self.is_ours(&record.id)
        });
        for record in finished.take(REOPEN_MAX) {
            if on_queue(&*parts.queue, &record.id).await? > 0 {
                self.run_again(&record.id).await?;
            }
        }
        Ok(())
    }

    /// A campaign for what is left of its messages: as it is consumed, with its switch, or as the
    /// ledger has it.
    pub(super) async fn active(&self, id: &CampaignId) -> Result<Arc<Active>, WorkError> {
        if let Some(consumed) = self.consumed.get(id) {
            return Ok(Arc::clone(&consumed.active));
        }
        let record = self.shared.parts.ledger.campaign(id).await?;
        let record = record.ok_or_else(|| LedgerError::NoCampaign(id.clone()))?;
        Ok(Arc::new(activate(&self.shared, &record)?))
    }

    /// Stops all consumers and waits until what is in flight is settled.
    pub(super) async fn drain(&mut self) {
        let ids: Vec<CampaignId> = self.consumed.keys().cloned().collect();
        for consumed in self.consumed.values() {
            consumed.stop.stop();
        }
        for id in ids {
            self.stop(&id).await;
        }
    }

    pub(super) fn is_ours(&self, id: &CampaignId) -> bool {
        self.only.is_empty() || self.only.contains(id)
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
        let consumed = Consumed {
            state: record.state,
            definition: record.definition,
            active,
            stop,
            task: AbortOnDropHandle::new(task),
        };
        self.consumed.insert(record.id, consumed);
        Ok(())
    }

    /// Ends a campaign's consumer: no changing call leaves from here on, what runs ends. False when it
    /// had none.
    async fn stop(&mut self, id: &CampaignId) -> bool {
        let Some(consumed) = self.consumed.remove(id) else {
            return false;
        };
        // Stopped already, it drains: what is in flight is carried to its end.
        if !consumed.stop.is_stopped() {
            consumed.active.switch.set(Position::Stopped);
            consumed.stop.stop();
        }
        if let Err(error) = consumed.task.await {
            tracing::error!(campaign.id = %id, %error, "the campaign's consumer ended badly");
        }
        true
    }
}

/// A campaign with a switch of its own.
fn activate(shared: &Shared, record: &CampaignRecord) -> Result<Active, WorkError> {
    let campaign = read(record)?;
    let workspace = campaign.flex.workspace_sid.clone().unwrap_or_default();
    Ok(Active {
        agents: shared.agents.of(&workspace, &shared.parts),
        pace_changes: AtomicU64::new(0),
        last_next: Mutex::new(usize::MAX),
        switch: Arc::new(CampaignSwitch::default()),
        cancelled: record.state == CampaignState::Cancelled,
        campaign,
    })
}

fn read(record: &CampaignRecord) -> Result<Campaign, WorkError> {
    serde_json::from_value(record.definition.clone())
        .map_err(|error| WorkError::Campaign(record.id.clone(), error.to_string()))
}

/// The keys of a definition's `pace` that change while its campaign goes on.
const QUOTAS: [&str; 2] = ["campaign", "agent"];

fn has_pace_of(record: &CampaignRecord, consumed: &Consumed) -> bool {
    let (ours, theirs) = (&consumed.definition["pace"], &record.definition["pace"]);
    QUOTAS.iter().all(|key| ours.get(key) == theirs.get(key))
}

fn without_pace(definition: &serde_json::Value) -> serde_json::Value {
    let mut rest = definition.clone();
    if let Some(pace) = rest.get_mut("pace").and_then(|pace| pace.as_object_mut()) {
        pace.retain(|key, _| !QUOTAS.contains(&key.as_str()));
    }
    rest
}
