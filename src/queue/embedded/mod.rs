//! One SQLite file as a queue: nothing to install.
//!
//! In and out: the contract of [`super::Queue`]. Always: several processes may use one file at once
//! (an `import` publishes while a `work` consumes), and what a consumer of another process left
//! unsettled is ready again when the campaign is next consumed. That needs one consuming process
//! per campaign at a time, which the ledger's lock guarantees.

mod consumer;
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

/// What the queue, its consumers and their deliveries use together.
struct EmbeddedCore {
    store: EmbeddedStore,
    clock: Clock,
    /// Wakes the consumers, in the order in which they came, when a message may have become ready in this process.
    news: Notify,
    /// Whether other processes may publish too, so that consumers have to look now and then.
    is_shared_file: bool,
}

impl EmbeddedCore {
    fn announce(&self) {
        self.news.notify_waiters();
    }
}

impl EmbeddedQueue {
    /// Opens the file at `path` and makes it if it is missing. Statements run on a thread of their
    /// own, and what waits there together is committed together.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unreachable`] with the path when it cannot be opened, read or brought to this
    /// version's tables; [`QueueError::Refused`] when it was copied without its log, or is no queue.
    pub fn open(path: &Path, clock: Clock) -> Result<Self> {
        let (connection, file) = schema::open(path)?;
        let store = EmbeddedStore::on_a_thread(connection, file)?;
        Ok(Self::with(store, clock, true))
    }

    /// A queue in memory whose statements run where they are called, so that a paused clock decides
    /// alone what happens when: for rehearsals and tests.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unreachable`] when SQLite cannot be had at all.
    pub fn in_memory(clock: Clock) -> Result<Self> {
        let connection = schema::in_memory()
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

    /// Drops what is ready of a campaign, as a purge of a broker's queue does, and tells how much that was: for
    /// drills. Flexcast itself purges nothing.
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
        // An earlier consumer of this process learns that its time is over.
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
