//! Connections to the broker: made on demand, made again when lost, never without a time limit.
//!
//! In: `AMQP_URL`. Out: a live connection, or an error that names host, port and virtual host and
//! never the password. Always: lapin's own recovery stays off. After a broker's channel close it
//! leaves a consumer pending for ever; a session here ends, and its user begins a new one.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Channel, Connection, ConnectionProperties, ErrorKind};
use tokio::sync::Mutex;

use crate::clock::Clock;
use crate::queue::{QueueError, Result};

/// Seconds between heartbeats when `AMQP_URL` names none: a dead peer is noticed within two of
/// them. RabbitMQ's own default of 60 would hold deliveries for two minutes.
const HEARTBEAT_SECS: u16 = 10;

/// Milliseconds for the TCP connection when `AMQP_URL` names none.
const CONNECT_TIMEOUT_MS: u64 = 5_000;

/// For everything from the TCP connection to the open virtual host: the handshake can hang too.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(10);

/// For one request and its reply on an open channel.
pub(super) const REPLY_WAIT: Duration = Duration::from_secs(10);

/// For a farewell nobody depends on.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// Where the broker is, parsed once.
pub(super) struct Broker {
    uri: AMQPUri,
    clock: Clock,
}

impl Broker {
    /// Reads `AMQP_URL`.
    ///
    /// # Errors
    ///
    /// [`QueueError::Refused`], without the text: it may hold a password.
    pub(super) fn parse(url: &str, clock: Clock) -> Result<Self> {
        let mut uri: AMQPUri = url.trim().parse().map_err(|_| {
            QueueError::Refused(
                "AMQP_URL is no address of a broker: it looks like \
                 amqp://user:password@host:5672/vhost, with a / in the vhost written %2f"
                    .to_owned(),
            )
        })?;
        if uri.vhost.is_empty() {
            // `amqp://host/` names the empty virtual host by the letter of RabbitMQ's URI
            // specification; everybody who writes it means the default one.
            "/".clone_into(&mut uri.vhost);
        }
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECS);
        let timeout = &mut uri.query.connection_timeout;
        timeout.get_or_insert(CONNECT_TIMEOUT_MS);
        Ok(Self { uri, clock })
    }

    /// `host:port, vhost "name"`: what an error may tell.
    pub(super) fn place(&self) -> String {
        let tls = match self.uri.scheme {
            AMQPScheme::AMQP => "",
            AMQPScheme::AMQPS => " (TLS)",
        };
        let authority = &self.uri.authority;
        format!(
            "{}:{}{tls}, vhost {:?}",
            authority.host, authority.port, self.uri.vhost
        )
    }

    async fn connect(&self, role: &str) -> Result<Connection> {
        let name = format!("flexcast {role} {}", std::process::id());
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let connecting = Connection::connect_uri(self.uri.clone(), properties);
        let Some(connected) = within(self.clock, HANDSHAKE_WAIT, connecting).await else {
            return Err(QueueError::Unreachable(format!(
                "no answer from {} within {HANDSHAKE_WAIT:?}",
                self.place()
            )));
        };
        connected.map_err(|error| match explain(&error) {
            // 403 before a channel exists is about the user, not about a queue's rights.
            QueueError::Refused(why) if why.contains("ACCESS_REFUSED") => {
                QueueError::LoginRefused(format!("{why} ({})", self.place()))
            }
            QueueError::Refused(why) => QueueError::Refused(format!("{why} ({})", self.place())),
            _ => QueueError::Unreachable(format!("{error} ({})", self.place())),
        })
    }
}

/// One connection of a process, for one purpose. Consuming and publishing have one each: a broker
/// that is short of memory or disk stops reading from connections that publish, and
/// acknowledgements on the same connection would hang with it.
pub(super) struct Link {
    broker: Arc<Broker>,
    role: &'static str,
    live: Mutex<Option<Arc<Connection>>>,
    /// How many connections were made.
    made: AtomicU64,
}

impl Link {
    pub(super) fn new(broker: Arc<Broker>, role: &'static str) -> Self {
        Self {
            broker,
            role,
            live: Mutex::new(None),
            made: AtomicU64::new(0),
        }
    }

    /// How many connections were made after the first.
    pub(super) fn reconnects(&self) -> u64 {
        self.made.load(Ordering::Relaxed).saturating_sub(1)
    }

    /// A new channel on the connection, which is made first if there is none.
    pub(super) async fn channel(&self) -> Result<Channel> {
        let connection = self.connection().await?;
        self.ask(connection.create_channel()).await
    }

    /// Waits for a reply of the broker, for a limited time.
    pub(super) async fn ask<T>(
        &self,
        request: impl Future<Output = lapin::Result<T>> + Send,
    ) -> Result<T> {
        match within(self.broker.clock, REPLY_WAIT, request).await {
            Some(reply) => reply.map_err(|error| explain(&error)),
            None => Err(QueueError::Unreachable(format!(
                "no reply from {} within {REPLY_WAIT:?}",
                self.broker.place()
            ))),
        }
    }

    async fn connection(&self) -> Result<Arc<Connection>> {
        let mut live = self.live.lock().await;
        if let Some(connection) = live.as_ref()
            && connection.status().connected()
        {
            return Ok(Arc::clone(connection));
        }
        let connection = Arc::new(self.broker.connect(self.role).await?);
        self.made.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(broker = self.broker.place(), role = self.role, "connected");
        *live = Some(Arc::clone(&connection));
        Ok(connection)
    }

    /// Gives the connection up, whatever state it is in: the next use makes another one.
    pub(super) async fn hang_up(&self) {
        let Some(connection) = self.live.lock().await.take() else {
            return;
        };
        let closing = connection.close(200, "OK".into());
        // A connection that does not answer is gone as well.
        let _ = within(self.broker.clock, CLOSE_WAIT, closing).await;
    }
}

/// Waits for `work` for at most `limit`.
pub(super) async fn within<T>(
    clock: Clock,
    limit: Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        () = clock.sleep(limit) => None,
    }
}

/// The pauses between tries to reach the broker: 0.2 s doubled up to 10 s, spread so that the
/// processes that lost it together do not come back together.
pub(super) fn pauses() -> impl Iterator<Item = Duration> + Send + Sync {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(200))
        .with_max_delay(Duration::from_secs(10))
        .with_jitter()
        .without_max_times()
        .build()
}

/// Our error for lapin's: what the broker will refuse again, and what another try may cure.
pub(super) fn explain(error: &lapin::Error) -> QueueError {
    match error.kind() {
        // 403 access refused, 404 not found, 405 locked, 406 other arguments, 530 not allowed
        // (AMQP 0-9-1, reply codes): the same request gets the same answer.
        ErrorKind::ProtocolError(amqp) if [403, 404, 405, 406, 530].contains(&amqp.get_id()) => {
            QueueError::Refused(amqp.get_message().to_string())
        }
        _ => QueueError::Unreachable(error.to_string()),
    }
}

/// Whether the broker says that a queue or exchange is not there.
pub(super) fn is_not_found(error: &QueueError) -> bool {
    matches!(error, QueueError::Refused(why) if why.starts_with("NOT_FOUND"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(url: &str) -> Result<Broker> {
        Broker::parse(url, Clock::system())
    }

    #[test]
    fn the_place_names_host_port_and_vhost_and_not_the_password() {
        let table = [
            ("amqp://me:s3cret@mq:5673/prod", "mq:5673, vhost \"prod\""),
            ("amqp://me:s3cret@mq", "mq:5672, vhost \"/\""),
            ("amqp://me:s3cret@mq/", "mq:5672, vhost \"/\""),
            ("amqp://me:s3cret@mq/%2f", "mq:5672, vhost \"/\""),
            ("amqps://me:s3cret@mq", "mq:5671 (TLS), vhost \"/\""),
        ];
        for (url, place) in table {
            assert_eq!(broker(url).expect("an AMQP URL").place(), place, "{url}");
        }
    }

    #[test]
    fn an_address_that_cannot_be_read_is_refused_without_being_told() {
        for url in [
            "me:s3cret@mq",
            "http://me:s3cret@mq",
            "amqp:s3cret",
            "s3cret",
            "",
        ] {
            let Err(error) = broker(url) else {
                panic!("{url} was taken");
            };
            let told = error.to_string();
            assert!(told.contains("AMQP_URL"), "{told}");
            assert!(!told.contains("s3cret"), "{told}");
        }
    }

    #[test]
    fn heartbeat_and_timeout_have_defaults_and_are_the_users_own_where_given() {
        let ours = broker("amqp://mq").expect("an AMQP URL").uri.query;
        assert_eq!(
            (ours.heartbeat, ours.connection_timeout),
            (Some(10), Some(5_000))
        );
        let url = "amqp://mq?heartbeat=30&connection_timeout=100";
        let theirs = broker(url).expect("an AMQP URL").uri.query;
        assert_eq!(
            (theirs.heartbeat, theirs.connection_timeout),
            (Some(30), Some(100))
        );
    }
}
