//! The consumer of a campaign in the queue file, its deliveries and their settlement.
//!
//! In: due rows. Out: deliveries. Always: at most `prefetch` deliveries are unsettled; a delivery that is dropped
//! unsettled becomes ready again; a delivery of an earlier epoch settles as stale.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::futures::Notified;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::EmbeddedCore;
use super::schema::{self, FetchOutcome, Fetched};
use super::store::JobResult;
use crate::message::CampaignId;
use crate::queue::{Consumer, DeadLetter, Delivery, Result, Settled};

/// The interval at which a consumer looks for messages of other processes.
const POLL: Duration = Duration::from_millis(200);

/// The most rows in one fetch: all of them share the cost of one commit.
const FETCH_MAX: u32 = 64;

pub(super) struct EmbeddedConsumer {
    shared: Arc<EmbeddedCore>,
    campaign: CampaignId,
    epoch: i64,
    /// One permit for each delivery that may be unsettled.
    room: Arc<Semaphore>,
    fetched: VecDeque<EmbeddedDelivery>,
    /// A fetch in progress. It is kept here so that rows that are marked for this consumer are not lost when the
    /// future of [`Consumer::next`] is dropped.
    looking: Option<(OwnedSemaphorePermit, JobResult<FetchOutcome>)>,
}

impl EmbeddedConsumer {
    pub(super) fn new(
        shared: Arc<EmbeddedCore>,
        campaign: CampaignId,
        epoch: i64,
        prefetch: u16,
    ) -> Self {
        Self {
            shared,
            campaign,
            epoch,
            room: Arc::new(Semaphore::new(usize::from(prefetch.max(1)))),
            fetched: VecDeque::new(),
            looking: None,
        }
    }

    /// Waits for free permits, then fetches at most that many rows.
    async fn look(&mut self) -> Option<Result<FetchOutcome>> {
        if self.looking.is_none() {
            let room = Arc::clone(&self.room);
            let mut permit = room.acquire_owned().await.ok()?;
            let more = self.room.available_permits().min(FETCH_MAX as usize - 1);
            for _ in 0..more {
                if let Ok(one) = Arc::clone(&self.room).try_acquire_owned() {
                    permit.merge(one);
                }
            }
            let (id, epoch, limit) = (self.campaign.clone(), self.epoch, permit.num_permits());
            let now = self.shared.clock.now();
            let answer = self
                .shared
                .store
                .submit(move |db| schema::fetch(db, &id, epoch, limit, now));
            self.looking = Some((permit, answer));
        }
        let (_, answer) = self.looking.as_mut()?;
        let found = answer.await;
        let (mut permit, _) = self.looking.take()?;
        // The sender is dropped without a result when the store is closed or was busy for too long.
        let found = match found {
            Ok(found) => found,
            Err(_) if self.shared.store.is_closed() => return None,
            Err(_) => return Some(Err(super::store::closed())),
        };
        Some(found.map(|look| match look {
            FetchOutcome::Rows(rows, next) => {
                for row in rows {
                    if let Some(permit) = permit.split(1) {
                        self.fetched.push_back(self.delivery(row, permit));
                    }
                }
                FetchOutcome::Rows(Vec::new(), next)
            }
            superseded => superseded,
        }))
    }

    fn delivery(&self, row: Fetched, permit: OwnedSemaphorePermit) -> EmbeddedDelivery {
        EmbeddedDelivery {
            shared: Arc::clone(&self.shared),
            campaign: self.campaign.clone(),
            epoch: self.epoch,
            row,
            is_settled: false,
            _permit: permit,
        }
    }

    /// Waits until a row may be ready: an announcement in this process, the next due time, or, for other processes,
    /// the next poll.
    async fn wait(&self, news: Notified<'_>, next: Option<Timestamp>) {
        let clock = self.shared.clock;
        let wait = next.map(|due| clock.until(due));
        let wait = match (wait, self.shared.is_shared_file) {
            (Some(wait), true) => Some(wait.min(POLL)),
            (None, true) => Some(POLL),
            (wait, false) => wait,
        };
        tokio::select! {
            biased;
            () = news => {}
            () = clock.sleep(wait.unwrap_or(Duration::MAX)), if wait.is_some() => {}
        }
    }
}

#[async_trait]
impl Consumer for EmbeddedConsumer {
    async fn next(&mut self) -> Option<Box<dyn Delivery>> {
        let shared = Arc::clone(&self.shared);
        loop {
            if let Some(delivery) = self.fetched.pop_front() {
                return Some(Box::new(delivery));
            }
            // Registered before the fetch: a message that is published after the fetch wakes the wait.
            let news = shared.news.notified();
            match self.look().await? {
                Ok(FetchOutcome::Superseded) => return None,
                Ok(FetchOutcome::Rows(_, next)) if self.fetched.is_empty() => {
                    self.wait(news, next).await;
                }
                Ok(FetchOutcome::Rows(..)) => {}
                Err(error) => {
                    tracing::warn!(%error, campaign.id = %self.campaign, "the queue file could not be read");
                    self.shared.clock.sleep(POLL).await;
                }
            }
        }
    }

    async fn stop(mut self: Box<Self>) {
        // A fetch in progress may still mark rows: they are returned with the others.
        if self.looking.is_some() {
            let _ = self.look().await;
        }
        for delivery in std::mem::take(&mut self.fetched) {
            let _ = Box::new(delivery).release().await;
        }
    }
}

struct EmbeddedDelivery {
    shared: Arc<EmbeddedCore>,
    campaign: CampaignId,
    epoch: i64,
    row: Fetched,
    is_settled: bool,
    _permit: OwnedSemaphorePermit,
}

impl EmbeddedDelivery {
    async fn settle(
        &mut self,
        job: impl FnOnce(&Connection, i64, i64) -> rusqlite::Result<bool> + Send + 'static,
    ) -> Result<Settled> {
        let (seq, epoch) = (self.row.seq, self.epoch);
        // Set before the await: the job runs even if the caller drops this future.
        self.is_settled = true;
        let held = self.shared.store.run(move |db| job(db, seq, epoch)).await;
        self.is_settled = held.is_ok();
        Ok(if held? { Settled::Yes } else { Settled::Stale })
    }
}

#[async_trait]
impl Delivery for EmbeddedDelivery {
    fn body(&self) -> &Bytes {
        &self.row.body
    }

    fn redelivered(&self) -> bool {
        self.row.deliveries > 0
    }

    fn key(&self) -> &str {
        self.campaign.as_str()
    }

    async fn ack(mut self: Box<Self>) -> Result<Settled> {
        self.settle(schema::ack).await
    }

    async fn retry_later(mut self: Box<Self>, delay: Duration) -> Result<Settled> {
        let now = self.shared.clock.now();
        let due = now.checked_add(delay).unwrap_or(Timestamp::MAX);
        let settled = self
            .settle(move |db, seq, epoch| schema::give_back(db, seq, epoch, Some(due)))
            .await;
        self.shared.announce();
        settled
    }

    async fn dead_letter(mut self: Box<Self>, letter: DeadLetter) -> Result<Settled> {
        let now = self.shared.clock.now();
        self.settle(move |db, seq, epoch| schema::bury(db, seq, epoch, &letter, now))
            .await
    }

    async fn release(mut self: Box<Self>) -> Result<Settled> {
        let settled = self
            .settle(|db, seq, epoch| schema::give_back(db, seq, epoch, None))
            .await;
        self.shared.announce();
        settled
    }
}

impl Drop for EmbeddedDelivery {
    fn drop(&mut self) {
        if self.is_settled {
            return;
        }
        let (seq, epoch) = (self.row.seq, self.epoch);
        let shared = Arc::clone(&self.shared);
        // The job itself announces the row: a consumer that woke earlier would not find it.
        drop(self.shared.store.submit(move |db| {
            let given = schema::give_back(db, seq, epoch, None);
            shared.announce();
            given
        }));
    }
}
