//! A queue that tells when so many of its deliveries are acknowledged: a run's end, to the moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use flexcast::message::CampaignId;
use flexcast::queue::{
    Consumer, DeadDelivery, DeadLetter, Delivery, Depth, Outgoing, Queue, Result, Settled,
};
use tokio::sync::Notify;

/// Counts down to the last acknowledgement.
#[derive(Clone)]
pub(crate) struct Countdown {
    left: Arc<AtomicU32>,
    over: Arc<Notify>,
}

impl Countdown {
    pub(crate) fn from(count: u32) -> Self {
        Self {
            left: Arc::new(AtomicU32::new(count)),
            over: Arc::default(),
        }
    }

    /// Returns once all are acknowledged.
    pub(crate) async fn over(&self) {
        self.over.notified().await;
    }

    fn one(&self) {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.over.notify_one();
        }
    }
}

pub(crate) struct CountedQueue {
    pub(crate) inner: Arc<dyn Queue>,
    pub(crate) countdown: Countdown,
}

struct Counted<T: ?Sized> {
    inner: Box<T>,
    countdown: Countdown,
}

#[async_trait]
impl Queue for CountedQueue {
    async fn bind(&self, ledger_id: &str) -> Result<()> {
        self.inner.bind(ledger_id).await
    }

    async fn is_bound(&self) -> Result<bool> {
        self.inner.is_bound().await
    }

    async fn open(&self, campaign: &CampaignId) -> Result<()> {
        self.inner.open(campaign).await
    }

    async fn publish(&self, campaign: &CampaignId, batch: &[Outgoing]) -> Result<()> {
        self.inner.publish(campaign, batch).await
    }

    async fn consume(&self, campaign: &CampaignId, prefetch: u16) -> Result<Box<dyn Consumer>> {
        let inner = self.inner.consume(campaign, prefetch).await?;
        let countdown = self.countdown.clone();
        Ok(Box::new(Counted { inner, countdown }))
    }

    async fn depth(&self, campaign: &CampaignId) -> Result<Depth> {
        self.inner.depth(campaign).await
    }

    async fn delayed(&self) -> Result<u64> {
        self.inner.delayed().await
    }

    async fn dead_letter_count(&self) -> Result<u64> {
        self.inner.dead_letter_count().await
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadDelivery>> {
        self.inner.dead_letters(limit).await
    }

    async fn is_ready(&self) -> bool {
        self.inner.is_ready().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

#[async_trait]
impl Consumer for Counted<dyn Consumer> {
    async fn next(&mut self) -> Option<Box<dyn Delivery>> {
        let inner = self.inner.next().await?;
        let countdown = self.countdown.clone();
        Some(Box::new(Counted { inner, countdown }))
    }

    async fn stop(self: Box<Self>) {
        self.inner.stop().await;
    }
}

#[async_trait]
impl Delivery for Counted<dyn Delivery> {
    fn body(&self) -> &Bytes {
        self.inner.body()
    }

    fn key(&self) -> &str {
        self.inner.key()
    }

    fn redelivered(&self) -> bool {
        self.inner.redelivered()
    }

    async fn ack(self: Box<Self>) -> Result<Settled> {
        let Self { inner, countdown } = *self;
        let settled = inner.ack().await;
        countdown.one();
        settled
    }

    async fn retry_later(self: Box<Self>, delay: Duration) -> Result<Settled> {
        self.inner.retry_later(delay).await
    }

    async fn dead_letter(self: Box<Self>, letter: DeadLetter) -> Result<Settled> {
        self.inner.dead_letter(letter).await
    }

    async fn release(self: Box<Self>) -> Result<Settled> {
        self.inner.release().await
    }
}
