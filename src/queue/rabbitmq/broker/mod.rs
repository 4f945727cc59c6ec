//! The broker: its nodes, the node in use, and connections to it.
//!
//! In: `AMQP_URL`. Out: a connection to the next node that answers, or an error that names hosts, ports and the
//! virtual host and never the password. Always: lapin's own recovery stays off, because after the broker closes a
//! channel it leaves a consumer pending for ever. Here the session ends, and its user begins a new one.

pub(super) mod address;
pub(super) mod connection;
pub(super) mod errors;
pub mod wire;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use lapin::{Connection, ConnectionProperties};

use self::address::Login;
use self::address::{BrokerAddress, Host, KEYS, of_host};
use self::errors::explain;
use self::wire::{Bounds, FRAME_MAX, Notes, Wire};
use super::obstacles::Obstacles;
use super::obstacles::alarms;
use super::{OURS, OWN_BYTES_MAX};
use crate::clock::Clock;
use crate::message::MESSAGE_BYTES_MAX;
use crate::queue::{Mended, NodeInUse, QueueError, Result};
use crate::shutdown::Stopper;
use crate::tls::{self, Check, Files};

/// Seconds between heartbeats when `AMQP_URL` has none: a dead peer is detected within two heartbeats. With
/// RabbitMQ's default of 60, unsettled deliveries would stay blocked for two minutes.
const HEARTBEAT_SECS: u16 = 10;

/// The timeout for the TCP connection to one host when `AMQP_URL` has none, in milliseconds.
const CONNECT_TIMEOUT_MS: u64 = 5_000;

/// The timeout from the TCP connection to the open virtual host: the handshake can hang too.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(10);

/// The longest frame before the length is negotiated (RabbitMQ's `initial_frame_max`), in bytes.
const FRAME_MIN: u32 = 8_192;

/// The broker of this process.
pub(super) struct Broker {
    address: BrokerAddress,
    wire: Wire,
    clock: Clock,
    /// The open connections, each with the index of its host in the list.
    connections: Mutex<Vec<(usize, Weak<Connection>)>>,
    /// Queues with another number of members, for which the warning was logged.
    other_members: Mutex<BTreeSet<String>>,
    /// The obstacles that block messages.
    pub(super) obstacles: Arc<Obstacles>,
    /// Stopped when the queue is closed: all waits end.
    pub(super) closing: Stopper,
}

/// A new connection.
pub(super) struct Connected {
    pub(super) connection: Arc<Connection>,
    /// The repairs of deliveries on this connection.
    pub(super) notes: Arc<Notes>,
    /// The index of its host in the list.
    pub(super) at: usize,
}

impl Broker {
    /// Parses `AMQP_URL`.
    ///
    /// # Errors
    ///
    /// [`QueueError::Refused`], without the URL's text, which may contain a password. Also for an unusable TLS
    /// file.
    pub(super) fn parse(url: &str, clock: Clock) -> Result<Self> {
        let mut address = BrokerAddress::parse(url)?;
        let query = &mut address.uri.query;
        query.heartbeat.get_or_insert(HEARTBEAT_SECS);
        query.connection_timeout.get_or_insert(CONNECT_TIMEOUT_MS);
        let frame_max = query.frame_max.filter(|most| *most > 0);
        let frame_max = frame_max.unwrap_or(FRAME_MAX);
        query.frame_max = Some(frame_max);
        let bounds = Bounds {
            frame: frame_max.max(FRAME_MIN),
            body: MESSAGE_BYTES_MAX as u64,
            own_body: OWN_BYTES_MAX,
            ours: OURS,
        };
        let tls = match address.is_tls() {
            true => {
                let config = tls::client_config(&address.files, KEYS, Check::AuthorityAndName);
                let config = config.map_err(|error| QueueError::Refused(error.to_string()))?;
                Some(Arc::new(config))
            }
            false => None,
        };
        Ok(Self {
            address,
            wire: Wire::new(bounds, tls, clock),
            clock,
            connections: Mutex::default(),
            other_members: Mutex::default(),
            obstacles: Arc::default(),
            closing: Stopper::new(),
        })
    }

    /// The number of repaired deliveries so far.
    pub(super) fn mended(&self) -> Mended {
        self.wire.mended()
    }

    /// The clock of all waits.
    pub(super) fn clock(&self) -> Clock {
        self.clock
    }

    /// The virtual host's name.
    pub(super) fn vhost(&self) -> &str {
        &self.address.uri.vhost
    }

    /// The host in use, or the first host to be used, as in `AMQP_URL`.
    pub(super) fn host(&self) -> &str {
        let used = self.in_use().first().copied().unwrap_or_default();
        &self.address.hosts[used].name
    }

    /// The number of members of new queues; `None`: RabbitMQ's default.
    pub(super) fn quorum_members(&self) -> Option<u16> {
        self.address.quorum_members
    }

    /// Logs, once for each queue, that it has another number of members than `AMQP_URL` asks for.
    pub(super) fn note_members(&self, queue: &str, made_for: Option<u16>) {
        let told = self.other_members.lock();
        let mut told = told.unwrap_or_else(PoisonError::into_inner);
        if told.insert(queue.to_owned()) {
            let made_for =
                made_for.map_or("RabbitMQ's own number of".to_owned(), |n| n.to_string());
            let wanted = self.address.quorum_members;
            let wanted = wanted.map_or("no number".to_owned(), |n| n.to_string());
            tracing::warn!(
                queue,
                made_for,
                wanted,
                "the queue keeps its number of members, not AMQP_URL's quorum_members: \
                 `rabbitmq-queues grow` and `shrink` change them"
            );
        }
    }

    /// The user and the password.
    pub(super) fn credentials(&self) -> Login {
        let userinfo = &self.address.uri.authority.userinfo;
        Login {
            user: userinfo.username.clone(),
            password: userinfo.password.clone().into(),
        }
    }

    /// The TLS files that `AMQP_URL` names.
    pub(super) fn files(&self) -> &Files {
        &self.address.files
    }

    /// All hosts and the virtual host as `host:port, vhost "name"`, safe for errors.
    pub(super) fn place(&self) -> String {
        let hosts = self.address.hosts.iter().map(ToString::to_string);
        self.told(&hosts.collect::<Vec<_>>().join(" or "))
    }

    fn told(&self, host: &str) -> String {
        let tls = if self.address.is_tls() { " (TLS)" } else { "" };
        format!("{host}{tls}, vhost {:?}", self.address.uri.vhost)
    }

    /// All hosts of `AMQP_URL`, sorted by name, with this process's connections to each.
    pub(super) fn nodes(&self) -> Vec<NodeInUse> {
        let used = self.in_use();
        let mut nodes: Vec<_> = (0..)
            .zip(&self.address.hosts)
            .map(|(at, host)| NodeInUse {
                node: host.to_string(),
                connections: used.iter().filter(|used| **used == at).count() as u64,
            })
            .collect();
        nodes.sort();
        nodes
    }

    /// The host index of each open connection.
    fn in_use(&self) -> Vec<usize> {
        let known = self.connections.lock();
        let known = known.unwrap_or_else(PoisonError::into_inner);
        let is_live = |one: &Weak<Connection>| {
            let connection = one.upgrade();
            connection.is_some_and(|connection| connection.status().connected())
        };
        let live = known.iter().filter(|(_, one)| is_live(one));
        live.map(|(at, _)| *at).collect()
    }

    /// Connects to the first host that answers. It begins with the host at index `first` and tries each host once.
    ///
    /// # Errors
    ///
    /// When the broker refuses the login or the virtual host, the other hosts are not tried: every node refuses it.
    /// When no host answers, the error names each host with its reason.
    pub(super) async fn connect(&self, role: &str, first: usize) -> Result<Connected> {
        let hosts = &self.address.hosts;
        let mut reasons = Vec::new();
        for at in (0..hosts.len()).map(|turn| first.wrapping_add(turn) % hosts.len()) {
            match self.connect_to(role, &hosts[at]).await {
                Ok((connection, notes)) => {
                    let connection = Arc::new(connection);
                    self.remember(at, &connection);
                    tokio::spawn(alarms::follow(&connection, Arc::clone(&self.obstacles)));
                    let node = self.told(&hosts[at].to_string());
                    tracing::info!(broker = node, role, "connected");
                    return Ok(Connected {
                        connection,
                        notes,
                        at,
                    });
                }
                Err(QueueError::Unreachable(why)) => reasons.push(why),
                Err(error) => return Err(error),
            }
        }
        Err(QueueError::Unreachable(match &reasons[..] {
            [one] => one.clone(),
            all => format!(
                "none of the {} hosts of AMQP_URL can be used: {}",
                all.len(),
                all.join("; ")
            ),
        }))
    }

    async fn connect_to(&self, role: &str, host: &Host) -> Result<(Connection, Arc<Notes>)> {
        let name = format!("flexcast {role} {}", std::process::id());
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let uri = of_host(self.address.uri.clone(), host);
        let place = self.told(&host.to_string());
        let connecting = self.wire.connect(uri, properties);
        let Some(connected) = self.clock.within(HANDSHAKE_WAIT, connecting).await else {
            return Err(QueueError::Unreachable(format!(
                "no answer from {place} within {HANDSHAKE_WAIT:?}"
            )));
        };
        connected.map_err(|error| match explain(&error) {
            // 403 before a channel exists concerns the login, not the rights on a queue.
            QueueError::Refused(why) if why.contains("ACCESS_REFUSED") => {
                QueueError::LoginRefused(format!("{why} ({place})"))
            }
            QueueError::Refused(why) => QueueError::Refused(format!("{why} ({place})")),
            _ => {
                let told = match self.address.is_tls() {
                    true => tls::told_at_start(&error, KEYS),
                    false => None,
                };
                let told = told.unwrap_or_else(|| error.to_string());
                QueueError::Unreachable(format!("{told} ({place})"))
            }
        })
    }

    fn remember(&self, at: usize, connection: &Arc<Connection>) {
        let known = self.connections.lock();
        let mut known = known.unwrap_or_else(PoisonError::into_inner);
        known.retain(|(_, one)| one.strong_count() > 0);
        known.push((at, Arc::downgrade(connection)));
    }
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
        let ours = broker("amqp://mq").expect("an AMQP URL").address.uri.query;
        assert_eq!(
            (ours.heartbeat, ours.connection_timeout),
            (Some(10), Some(5_000))
        );
        let url = "amqp://mq?heartbeat=30&connection_timeout=100";
        let theirs = broker(url).expect("an AMQP URL").address.uri.query;
        assert_eq!(
            (theirs.heartbeat, theirs.connection_timeout),
            (Some(30), Some(100))
        );
    }
}
