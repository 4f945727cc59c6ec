//! Connections to the broker: made on demand, made again when lost, never without a time limit.
//!
//! In: `AMQP_URL`. Out: a live connection, or an error that names host, port and virtual host and
//! never the password. Always: lapin's own recovery stays off. After a broker's channel close it
//! leaves a consumer pending for ever; a session here ends, and its user begins a new one.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Channel, Connection, ConnectionProperties, ErrorKind};
use tokio::sync::Mutex;

use super::management::Login;
use super::wire::{Bounds, FRAME_MAX, Notes, Wire};
use super::{OURS, OWN_BYTES_MAX};
use crate::clock::Clock;
use crate::message::MESSAGE_BYTES_MAX;
use crate::queue::{Backoff, Mended, QueueError, Result};

/// Seconds between heartbeats when `AMQP_URL` names none: a dead peer is noticed within two of
/// them. RabbitMQ's own default of 60 would hold deliveries for two minutes.
const HEARTBEAT_SECS: u16 = 10;

/// Milliseconds for the TCP connection when `AMQP_URL` names none.
const CONNECT_TIMEOUT_MS: u64 = 5_000;

/// For everything from the TCP connection to the open virtual host: the handshake can hang too.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(10);

/// What a frame may have before its length was agreed on (RabbitMQ's `initial_frame_max`), in bytes.
const FRAME_MIN: u32 = 8_192;

/// For one request and its reply on an open channel.
pub(super) const REPLY_WAIT: Duration = Duration::from_secs(10);

/// For a farewell nobody depends on.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// Where the broker is, parsed once.
pub(super) struct Broker {
    uri: AMQPUri,
    wire: Wire,
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
        let frame_max = uri.query.frame_max.filter(|most| *most > 0);
        let frame_max = frame_max.unwrap_or(FRAME_MAX);
        uri.query.frame_max = Some(frame_max);
        let bounds = Bounds {
            frame: frame_max.max(FRAME_MIN),
            body: MESSAGE_BYTES_MAX as u64,
            own_body: OWN_BYTES_MAX,
            ours: OURS,
        };
        let wire = Wire::new(bounds)
            .map_err(|error| QueueError::Refused(format!("TLS cannot be set up: {error}")))?;
        Ok(Self { uri, wire, clock })
    }

    /// How many deliveries were mended so far.
    pub(super) fn mended(&self) -> Mended {
        self.wire.mended()
    }

    /// The virtual host's name.
    pub(super) fn vhost(&self) -> &str {
        &self.uri.vhost
    }

    /// The host, as `AMQP_URL` names it.
    pub(super) fn host(&self) -> &str {
        &self.uri.authority.host
    }

    /// The user and the password.
    pub(super) fn credentials(&self) -> Login {
        let userinfo = &self.uri.authority.userinfo;
        Login {
            user: userinfo.username.clone(),
            password: userinfo.password.clone().into(),
        }
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

    async fn connect(&self, role: &str) -> Result<(Connection, Arc<Notes>)> {
        let name = format!("flexcast {role} {}", std::process::id());
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let connecting = self.wire.connect(self.uri.clone(), properties);
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
    live: Mutex<Option<Live>>,
    /// How many connections were made.
    made: AtomicU64,
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
            frame_max: AtomicU32::new(FRAME_MAX),
        }
    }

    /// The longest frame that may be sent, in bytes.
    pub(super) fn frame_max(&self) -> u32 {
        self.frame_max.load(Ordering::Relaxed)
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
        match within(self.broker.clock, REPLY_WAIT, request).await {
            Some(reply) => reply.map_err(|error| explain(&error)),
            None => Err(QueueError::Unreachable(format!(
                "no reply from {} within {REPLY_WAIT:?}",
                self.broker.place()
            ))),
        }
    }

    async fn live(&self) -> Result<Live> {
        let mut live = self.live.lock().await;
        if let Some(live) = live.as_ref()
            && live.connection.status().connected()
        {
            return Ok(live.clone());
        }
        let (connection, notes) = self.broker.connect(self.role).await?;
        self.made.fetch_add(1, Ordering::Relaxed);
        let frame_max = connection.configuration().frame_max();
        self.frame_max.store(frame_max, Ordering::Relaxed);
        tracing::debug!(broker = self.broker.place(), role = self.role, "connected");
        let made = Live {
            connection: Arc::new(connection),
            notes,
        };
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

/// The pauses between tries to reach the broker.
pub(super) fn pauses() -> Backoff {
    Backoff::spread(Duration::from_millis(200), Duration::from_secs(10))
}

/// Whether an error says that something on the connection could not be read: what it was lies on some queue
/// and comes again.
fn is_unreadable(error: &lapin::Error) -> bool {
    match error.kind() {
        ErrorKind::ParsingError(_) => true,
        // What our filter refuses.
        ErrorKind::IOError(error) => error.kind() == std::io::ErrorKind::InvalidData,
        // 501 frame error, 502 syntax error, 505 unexpected frame: said by the client of the broker.
        ErrorKind::ProtocolError(amqp) => [501, 502, 505].contains(&amqp.get_id()),
        _ => false,
    }
}

/// Our error for lapin's: what the broker will refuse again, and what another try may cure.
pub(super) fn explain(error: &lapin::Error) -> QueueError {
    match error.kind() {
        _ if is_unreadable(error) => QueueError::Unreadable(error.to_string()),
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
