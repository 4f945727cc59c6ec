//! Connections to the broker: made on demand, made again when lost, never without a time limit.
//!
//! In: the broker. Out: a live connection. Always: after a connection was lost, the next host of the list is tried
//! first.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use lapin::{Channel, Connection};
use tokio::sync::Mutex;

use super::broker::{Broker, Connected};
use super::errors::explain;
use super::wire::{FRAME_MAX, Notes};
use crate::queue::{Backoff, QueueError, Result};

/// For one request and its reply on an open channel.
pub(super) const REPLY_WAIT: Duration = Duration::from_secs(10);

/// For a farewell nobody depends on.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// One connection of a process, for one purpose. Consuming and publishing have one each: a broker
/// that is short of memory or disk stops reading from connections that publish, and
/// acknowledgements on the same connection would hang with it.
pub(super) struct Link {
    broker: Arc<Broker>,
    role: &'static str,
    live: Mutex<Option<Live>>,
    /// How many connections were made.
    made: AtomicU64,
    /// The place of the host that the next connection is tried with first.
    next: AtomicUsize,
    /// The longest frame that was agreed on with the broker last, in bytes.
    frame_max: AtomicU32,
}

/// A connection, and what is noted of the deliveries on it.
#[derive(Clone)]
struct Live {
    connection: Arc<Connection>,
    notes: Arc<Notes>,
}

impl Link {
    pub(super) fn new(broker: Arc<Broker>, role: &'static str) -> Self {
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
    pub(super) fn frame_max(&self) -> u32 {
        self.frame_max.load(Ordering::Relaxed)
    }

    /// How many members queues are made with; none: RabbitMQ's own number.
    pub(super) fn quorum_members(&self) -> Option<u16> {
        self.broker.quorum_members()
    }

    /// Takes note that a queue was made for another number of members than the one that is asked for.
    pub(super) fn note_members(&self, queue: &str, made_for: Option<u16>) {
        self.broker.note_members(queue, made_for);
    }

    /// How many connections were made after the first.
    pub(super) fn reconnects(&self) -> u64 {
        self.made.load(Ordering::Relaxed).saturating_sub(1)
    }

    /// A new channel on the connection, which is made first if there is none.
    pub(super) async fn channel(&self) -> Result<Channel> {
        self.noted_channel().await.map(|(channel, _)| channel)
    }

    /// A new channel, and where it is noted what was mended in its deliveries.
    pub(super) async fn noted_channel(&self) -> Result<(Channel, Arc<Notes>)> {
        let live = self.live().await?;
        let channel = self.ask(live.connection.create_channel()).await?;
        Ok((channel, live.notes))
    }

    /// Waits for a reply of the broker, for a limited time.
    pub(super) async fn ask<T>(
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

    /// Waits for `work` for at most `limit`, and for as long as the broker blocks this connection: it is short of memory
    /// or disk, says so, and takes what it was sent when it is not any more.
    pub(super) async fn patiently<T>(
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

    /// Whether the broker takes nothing from this connection for want of memory or disk.
    fn is_blocked(&self) -> bool {
        // A connection that is being made is not blocked.
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

    /// Gives the connection up, whatever state it is in: the next use makes another one.
    pub(super) async fn hang_up(&self) {
        let Some(live) = self.live.lock().await.take() else {
            return;
        };
        let closing = live.connection.close(200, "OK".into());
        // A connection that does not answer is gone as well.
        let _ = self.broker.clock().within(CLOSE_WAIT, closing).await;
    }
}

/// The pauses between tries to reach the broker.
pub(super) fn pauses() -> Backoff {
    Backoff::spread(Duration::from_millis(200), Duration::from_secs(10))
}
