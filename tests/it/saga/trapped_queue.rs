//! The queue with the trap on it: the world may stop around each call, and each may fail.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use flexcast::message::CampaignId;
use flexcast::queue::{
    Consumer, DeadDelivery, DeadLetter, Delivery, Depth, Outgoing, Queue, QueueError, Result,
    Settled,
};

use super::trap::{Place, Trap};

pub(crate) struct TrappedQueue {
    pub(crate) inner: Arc<dyn Queue>,
    pub(crate) trap: Arc<Trap>,
}

struct Trapped<T: ?Sized> {
    trap: Arc<Trap>,
    inner: Box<T>,
}

async fn risk<T>(
    trap: &Trap,
    what: &'static str,
    doing: impl Future<Output = Result<T>>,
) -> Result<T> {
    // A broker refuses copies, and loses the answers to everything else.
    let failed = match what {
        "dead_letter" | "retry_later" => QueueError::Refused,
        _ => QueueError::InDoubt,
    };
    trap.risk(Place::Queue, what, |_, text| failed(text), doing)
        .await
}

#[async_trait]
impl Queue for TrappedQueue {
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
        if self.trap.loses("publish") {
            return Ok(());
        }
        risk(&self.trap, "publish", self.inner.publish(campaign, batch)).await
    }

    async fn consume(&self, campaign: &CampaignId, prefetch: u16) -> Result<Box<dyn Consumer>> {
        let consuming = self.inner.consume(campaign, prefetch);
        let inner = risk(&self.trap, "consume", consuming).await?;
        let trap = Arc::clone(&self.trap);
        Ok(Box::new(Trapped { trap, inner }))
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
impl Consumer for Trapped<dyn Consumer> {
    async fn next(&mut self) -> Option<Box<dyn Delivery>> {
        self.trap.running().await;
        let inner = self.inner.next().await?;
        self.trap.delivered(inner.body());
        let trap = Arc::clone(&self.trap);
        Some(Box::new(Trapped { trap, inner }))
    }

    async fn stop(self: Box<Self>) {
        self.inner.stop().await;
    }
}

#[async_trait]
impl Delivery for Trapped<dyn Delivery> {
    fn body(&self) -> &Bytes {
        self.inner.body()
    }

    fn redelivered(&self) -> bool {
        self.inner.redelivered()
    }

    fn key(&self) -> &str {
        self.inner.key()
    }

    async fn ack(self: Box<Self>) -> Result<Settled> {
        let Self { trap, inner } = *self;
        risk(&trap, "ack", inner.ack()).await
    }

    async fn retry_later(self: Box<Self>, delay: Duration) -> Result<Settled> {
        let Self { trap, inner } = *self;
        risk(&trap, "retry_later", inner.retry_later(delay)).await
    }

    async fn dead_letter(self: Box<Self>, letter: DeadLetter) -> Result<Settled> {
        let Self { trap, inner } = *self;
        risk(&trap, "dead_letter", inner.dead_letter(letter)).await
    }

    async fn refuse(self: Box<Self>, letter: DeadLetter, id: Option<String>) -> Result<Settled> {
        let Self { trap, inner } = *self;
        risk(&trap, "dead_letter", inner.refuse(letter, id)).await
    }

    async fn release(self: Box<Self>) -> Result<Settled> {
        let Self { trap, inner } = *self;
        risk(&trap, "release", inner.release()).await
    }
}
