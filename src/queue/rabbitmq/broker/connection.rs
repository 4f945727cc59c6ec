//! Connections to the broker: opened on demand, reopened after a loss, every wait with a time limit.
//!
//! In: the broker. Out: a live connection. Always: after a connection was lost, the next host of the list is tried
//! first.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use lapin::{Channel, Connection};
use tokio::sync::Mutex;

use super::errors::explain;
use super::wire::{FRAME_MAX, Notes};
use crate::queue::rabbitmq::broker::{Broker, Connected};
use crate::queue::{Backoff, QueueError, Result};

/// The time limit for one request and its reply on an open channel.
pub(in crate::queue::rabbitmq) const REPLY_WAIT: Duration = Duration::from_secs(10);

/// The time limit for a close whose result does not matter.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// One connection of this process, for one purpose. Consuming and publishing use separate connections: a broker
/// that is short of memory or disk stops reading from publishing connections, and acknowledgements on the same
/// connection would block too.
pub(in crate::queue::rabbitmq) struct Link {
    broker: Arc<Broker>,
    role: &'static str,
    live: Mutex<Option<Live>>,
    /// The number of connections that were opened.
    made: AtomicU64,
    /// The index of the host that the next connection tries first.
    next: AtomicUsize,
    /// The longest frame that was last negotiated with the broker, in bytes.
    frame_max: AtomicU32,
}

/// A connection with the notes on its deliveries.
#[derive(Clone)]
struct Live {
    connection: Arc<Connection>,
    notes: Arc<Notes>,
}

impl Link {
    pub(in crate::queue::rabbitmq) fn new(broker: Arc<Broker>, role: &'static str) -> Self {
        Self {
            broker,
            role,
            live: Mutex::new(None),
            made: AtomicU64::new(0),
            next: AtomicUsize::new(0),
            frame_max: AtomicU32::new(FRAME_MAX),
        }
    }

    /// The longest frame that may be sent, in bytes.
    pub(in crate::queue::rabbitmq) fn frame_max(&self) -> u32 {
        self.frame_max.load(Ordering::Relaxed)
    }

    /// The number of members of new queues; `None`: RabbitMQ's default.
    pub(in crate::queue::rabbitmq) fn quorum_members(&self) -> Option<u16> {
        self.broker.quorum_members()
    }

    /// Reports a queue with another number of members than the one that is asked for.
    pub(in crate::queue::rabbitmq) fn note_members(&self, queue: &str, made_for: Option<u16>) {
        self.broker.note_members(queue, made_for);
    }

    /// The number of connections after the first.
    pub(in crate::queue::rabbitmq) fn reconnects(&self) -> u64 {
        self.made.load(Ordering::Relaxed).saturating_sub(1)
    }

    /// Opens a channel; it opens the connection first if there is none.
    pub(in crate::queue::rabbitmq) async fn channel(&self) -> Result<Channel> {
        self.noted_channel().await.map(|(channel, _)| channel)
    }

    /// Opens a channel, and returns it with the notes on its deliveries.
    pub(in crate::queue::rabbitmq) async fn noted_channel(&self) -> Result<(Channel, Arc<Notes>)> {
        let live = self.live().await?;
        let channel = self.ask(live.connection.create_channel()).await?;
        Ok((channel, live.notes))
    }

    /// Waits for the broker's reply, at most [`REPLY_WAIT`].
    pub(in crate::queue::rabbitmq) async fn ask<T>(
        &self,
        request: impl Future<Output = lapin::Result<T>> + Send,
    ) -> Result<T> {
        match self.patiently(REPLY_WAIT, request).await {
            Some(reply) => reply.map_err(|error| explain(&error)),
            None => Err(QueueError::Unreachable(format!(
                "no reply from {} within {REPLY_WAIT:?}",
                self.broker.place()
            ))),
        }
    }

    /// Waits for `work` for at most `limit`. While the broker blocks this connection for lack of memory or disk,
    /// the wait continues: the broker reads the data when the alarm ends.
    pub(in crate::queue::rabbitmq) async fn patiently<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = T> + Send,
    ) -> Option<T> {
        let mut work = std::pin::pin!(work);
        loop {
            let done = self.broker.clock().within(limit, &mut work).await;
            if done.is_some() || !self.is_blocked() || self.broker.closing.is_stopped() {
                return done;
            }
        }
    }

    /// Whether the broker blocks this connection for lack of memory or disk.
    fn is_blocked(&self) -> bool {
        // A connection in progress is not blocked.
        let live = self.live.try_lock();
        let live = live.as_ref().ok().and_then(|live| live.as_ref());
        live.is_some_and(|live| live.connection.status().blocked())
    }

    async fn live(&self) -> Result<Live> {
        let mut live = self.live.lock().await;
        if let Some(live) = live.as_ref()
            && live.connection.status().connected()
        {
            return Ok(live.clone());
        }
        let first = self.next.load(Ordering::Relaxed);
        let Connected {
            connection,
            notes,
            at,
        } = self.broker.connect(self.role, first).await?;
        self.next.store(at + 1, Ordering::Relaxed);
        self.made.fetch_add(1, Ordering::Relaxed);
        let frame_max = connection.configuration().frame_max();
        self.frame_max.store(frame_max, Ordering::Relaxed);
        let made = Live { connection, notes };
        *live = Some(made.clone());
        Ok(made)
    }

    /// Closes the connection in any state: the next use opens another one.
    pub(in crate::queue::rabbitmq) async fn hang_up(&self) {
        let Some(live) = self.live.lock().await.take() else {
            return;
        };
        let closing = live.connection.close(200, "OK".into());
        // A connection that does not answer counts as closed.
        let _ = self.broker.clock().within(CLOSE_WAIT, closing).await;
    }
}

/// The pauses between attempts to reach the broker.
pub(in crate::queue::rabbitmq) fn pauses() -> Backoff {
    Backoff::spread(Duration::from_millis(200), Duration::from_secs(10))
}
