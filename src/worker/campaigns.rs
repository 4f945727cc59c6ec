//! Which campaigns are being consumed: follows their states in the ledger.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_util::task::AbortOnDropHandle;

use crate::campaign::Campaign;
use crate::engine::{AgentDirectory, CampaignSwitch, Position};
use crate::ledger::{Books, CampaignRecord, CampaignState, Ledger};
use crate::message::{CampaignId, DeferReason};
use crate::pacing::Lane;
use crate::shutdown::Stopper;

use super::{Active, Shared, WorkError, consume};

/// The campaigns that have a consumer.
pub(super) struct Campaigns {
    shared: Arc<Shared>,
    only: Vec<CampaignId>,
    consumed: BTreeMap<CampaignId, Consumed>,
    /// How many turns were over at the last look.
    turns: u64,
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
        }
    }

    /// Begins consuming what runs, and stops what does not any more.
    pub(super) async fn follow(&mut self) -> Result<(), WorkError> {
        let records = self.shared.parts.ledger.campaigns().await?;
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
            self.stop(&record.id).await;
            // A cancelled campaign is consumed too: what waits is to be skipped.
            if matches!(
                record.state,
                CampaignState::Running | CampaignState::Cancelled
            ) {
                self.begin(record).await?;
            }
        }
        Ok(())
    }

    /// Whether no turn ended since the last look.
    pub(super) fn was_quiet(&mut self, turns: u64) -> bool {
        std::mem::replace(&mut self.turns, turns) == turns
    }

    /// How many messages are open; without those that wait for the ledger's time when `but_due`.
    pub(super) async fn open(&self, but_due: bool) -> Result<u64, WorkError> {
        let ledger = &self.shared.parts.ledger;
        let mut open = 0;
        for record in ledger.campaigns().await? {
            // A paused campaign waits for somebody, not for us.
            let waits_for_us = record.state != CampaignState::Paused;
            if self.is_ours(&record.id) && waits_for_us {
                let books = ledger.books(Some(&record.id)).await?;
                open += if but_due { due(&books) } else { books.open() };
            }
        }
        Ok(open)
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

    fn is_ours(&self, id: &CampaignId) -> bool {
        self.only.is_empty() || self.only.contains(id)
    }

    async fn begin(&mut self, record: CampaignRecord) -> Result<(), WorkError> {
        let campaign: Campaign = serde_json::from_value(record.definition.clone())
            .map_err(|error| WorkError::Campaign(record.id.clone(), error.to_string()))?;
        let parts = &self.shared.parts;
        parts.queue.open(&record.id).await?;
        let lane = Lane::campaign(record.id.as_str());
        parts.pacer.set_quota(&lane, campaign.pace.campaign);
        let agents = campaign.pace.agent;
        parts.pacer.set_agent_quota(record.id.as_str(), agents);
        let workspace = campaign.flex.workspace_sid.clone().unwrap_or_default();
        let active = Arc::new(Active {
            agents: AgentDirectory::new(workspace),
            switch: Arc::new(CampaignSwitch::default()),
            cancelled: record.state == CampaignState::Cancelled,
            campaign,
        });
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

    /// Ends a campaign's consumer: no changing call leaves from here on, what runs ends.
    async fn stop(&mut self, id: &CampaignId) {
        let Some(consumed) = self.consumed.remove(id) else {
            return;
        };
        // Stopped already, it drains: what is in flight is carried to its end.
        if !consumed.stop.is_stopped() {
            consumed.active.switch.set(Position::Stopped);
            consumed.stop.stop();
        }
        if let Err(error) = consumed.task.await {
            tracing::error!(campaign.id = %id, %error, "the campaign's consumer ended badly");
        }
    }
}

/// What is open and does not wait for a time of the ledger's. Retries are waited for.
fn due(books: &Books) -> u64 {
    let retries = books.deferred.get(&DeferReason::Retry).copied();
    books.waiting + books.in_flight + retries.unwrap_or_default()
}
