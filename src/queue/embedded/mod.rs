//! A queue in one SQLite file: it needs no broker.
//!
//! In and out: the contract of [`super::Queue`]. Always: several processes may use one file at once (an `import`
//! publishes while a `work` consumes). Deliveries that another process's consumer left unsettled are ready again
//! when the campaign is next consumed. This requires that only one process at a time consumes a campaign; the
//! ledger's lock ensures it.

mod consumer;
mod file;
mod schema;
mod store;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Notify;

use self::consumer::EmbeddedConsumer;
use self::store::EmbeddedStore;
use super::{Consumer, DeadDelivery, Depth, Outgoing, Queue, QueueError, Result};
use crate::clock::Clock;
use crate::message::CampaignId;

/// A queue in one SQLite file, or in memory.
pub struct EmbeddedQueue {
    shared: Arc<EmbeddedCore>,
}

/// The state that the queue, its consumers and their deliveries share.
struct EmbeddedCore {
    store: EmbeddedStore,
    clock: Clock,
    /// Wakes the consumers, in the order of their waits, when a message may be ready in this process.
    news: Notify,
    /// Whether other processes may publish to the file: then consumers must poll it.
    is_shared_file: bool,
}

impl EmbeddedCore {
    fn announce(&self) {
        self.news.notify_waiters();
    }
}

impl EmbeddedQueue {
    /// Opens the file at `path` and creates it if it is missing. Statements run on their own thread; jobs that wait
    /// there together are committed together.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unreachable`] with the path when the file cannot be opened, read or migrated;
    /// [`QueueError::Refused`] when it was copied without its log or is not a queue file.
    pub fn open(path: &Path, clock: Clock) -> Result<Self> {
        let (connection, file) = file::open(path)?;
        let store = EmbeddedStore::on_a_thread(connection, file)?;
        Ok(Self::with(store, clock, true))
    }

    /// A queue in memory for rehearsals and tests. Statements run in the caller's task, so that a paused clock
    /// alone determines the order of events.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unreachable`] when SQLite does not work at all.
    pub fn in_memory(clock: Clock) -> Result<Self> {
        let connection = file::in_memory()
            .map_err(|error| QueueError::Unreachable(format!("queue in memory: {error}")))?;
        Ok(Self::with(EmbeddedStore::inline(connection), clock, false))
    }

    fn with(store: EmbeddedStore, clock: Clock, is_shared_file: bool) -> Self {
        Self {
            shared: Arc::new(EmbeddedCore {
                store,
                clock,
                news: Notify::new(),
                is_shared_file,
            }),
        }
    }

    /// Deletes the ready messages of a campaign, as the purge of a broker's queue does, and returns their number.
    /// For drills; flexcast itself never purges.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unreachable`] when the file cannot be written.
    pub async fn purge(&self, campaign: &CampaignId) -> Result<u64> {
        let (id, now) = (campaign.clone(), self.shared.clock.now());
        let store = &self.shared.store;
        store.run(move |db| schema::purge(db, &id, now)).await
    }
}

fn never_opened(campaign: &CampaignId) -> QueueError {
    QueueError::Refused(format!(
        "campaign {campaign} was never opened on this queue"
    ))
}

#[async_trait]
impl Queue for EmbeddedQueue {
    async fn bind(&self, ledger_id: &str) -> Result<()> {
        let ours = ledger_id.to_owned();
        let store = &self.shared.store;
        let theirs = store.run(move |db| schema::bind(db, &ours)).await?;
        if theirs == ledger_id {
            return Ok(());
        }
        Err(QueueError::BoundElsewhere {
            ours: ledger_id.to_owned(),
            theirs,
        })
    }

    async fn is_bound(&self) -> Result<bool> {
        self.shared.store.run(schema::is_bound).await
    }

    async fn open(&self, campaign: &CampaignId) -> Result<()> {
        let id = campaign.clone();
        let store = &self.shared.store;
        store.run(move |db| schema::add_campaign(db, &id)).await
    }

    async fn publish(&self, campaign: &CampaignId, batch: &[Outgoing]) -> Result<()> {
        let (id, batch) = (campaign.clone(), batch.to_vec());
        let store = &self.shared.store;
        let is_known = store
            .run(move |db| {
                let is_known = schema::has_campaign(db, &id)?;
                if is_known {
                    schema::enqueue(db, &id, &batch)?;
                }
                Ok(is_known)
            })
            .await?;
        if !is_known {
            return Err(never_opened(campaign));
        }
        self.shared.announce();
        Ok(())
    }

    async fn consume(&self, campaign: &CampaignId, prefetch: u16) -> Result<Box<dyn Consumer>> {
        let id = campaign.clone();
        let store = &self.shared.store;
        let epoch = store.run(move |db| schema::begin_epoch(db, &id)).await?;
        let epoch = epoch.ok_or_else(|| never_opened(campaign))?;
        // Wakes an earlier consumer of this process, which then sees that its epoch is over.
        self.shared.announce();
        let shared = Arc::clone(&self.shared);
        Ok(Box::new(EmbeddedConsumer::new(
            shared,
            campaign.clone(),
            epoch,
            prefetch,
        )))
    }

    async fn depth(&self, campaign: &CampaignId) -> Result<Depth> {
        let (id, now) = (campaign.clone(), self.shared.clock.now());
        let store = &self.shared.store;
        let depth = store.run(move |db| schema::depth(db, &id, now)).await?;
        depth.ok_or_else(|| never_opened(campaign))
    }

    async fn delayed(&self) -> Result<u64> {
        let now = self.shared.clock.now();
        self.shared
            .store
            .run(move |db| schema::delayed(db, now))
            .await
    }

    async fn dead_letter_count(&self) -> Result<u64> {
        self.shared.store.run(schema::dead_letter_count).await
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadDelivery>> {
        let store = &self.shared.store;
        store.run(move |db| schema::dead_letters(db, limit)).await
    }

    async fn is_ready(&self) -> bool {
        self.shared.store.run(schema::answers).await.is_ok()
    }

    async fn close(&self) {
        self.shared.store.close().await;
        self.shared.announce();
    }
}
