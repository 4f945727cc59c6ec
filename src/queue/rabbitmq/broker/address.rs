//! The parts of `AMQP_URL`: hosts, login, virtual host, TLS.
//!
//! In: the URL, in the form of RabbitMQ's URI specification and TLS documentation
//! (<https://www.rabbitmq.com/docs/uri-spec>, <https://www.rabbitmq.com/docs/uri-query-parameters>), but with a
//! list of hosts. Out: its parts, the hosts shuffled. Always: no error repeats a part of the URL that may be a
//! password.

use std::fmt;

use lapin::uri::{AMQPScheme, AMQPUri};
use percent_encoding::percent_decode_str;
use rand::seq::SliceRandom;
use secrecy::SecretString;
use url::{Host as UrlHost, Url};

use crate::queue::{QueueError, Result};
use crate::tls::{Files, Keys};

/// A user and a password.
#[derive(Clone)]
pub(in crate::queue::rabbitmq) struct Login {
    pub(in crate::queue::rabbitmq) user: String,
    pub(in crate::queue::rabbitmq) password: SecretString,
}

/// The query keys of `AMQP_URL` that name the TLS files.
pub(in crate::queue::rabbitmq) const KEYS: Keys = Keys {
    place: "AMQP_URL",
    address: "AMQP_URL",
    ca: "cacertfile",
    certificate: "certfile",
    key: "keyfile",
};

/// The query key for the number of members of new queues: flexcast's own, not RabbitMQ's.
const QUORUM_MEMBERS: &str = "quorum_members";

/// The most members of a quorum queue: RabbitMQ's documentation advises against more.
const MEMBERS_MAX: u16 = 7;

/// Keys of RabbitMQ's specification that `AMQP_URL` may not have, with the reason: each would change how a
/// certificate is checked.
const NOT_OURS: [(&str, &str); 3] = [
    (
        "password",
        "a client certificate's key is named without a passphrase",
    ),
    (
        "server_name_indication",
        "the certificate is checked for the host's own name",
    ),
    (
        "fail_if_no_peer_cert",
        "it is for servers, and a client always checks the server's certificate",
    ),
];

/// The host and port of one node of the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::queue::rabbitmq) struct Host {
    /// A host name or an IP address, without brackets.
    pub(in crate::queue::rabbitmq) name: String,
    pub(in crate::queue::rabbitmq) port: u16,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.contains(':') {
            true => write!(f, "[{}]:{}", self.name, self.port),
            false => write!(f, "{}:{}", self.name, self.port),
        }
    }
}

/// The parsed `AMQP_URL`.
pub(in crate::queue::rabbitmq) struct BrokerAddress {
    /// The URI with the first host; the other hosts are in `hosts`.
    pub(super) uri: AMQPUri,
    /// At least one, in the order of connection attempts.
    pub(super) hosts: Vec<Host>,
    pub(in crate::queue::rabbitmq) files: Files,
    /// The number of members of new queues; `None`: RabbitMQ's default.
    pub(in crate::queue::rabbitmq) quorum_members: Option<u16>,
}

impl BrokerAddress {
    /// Parses the URL. Its hosts are separated by commas; each has its own port or the scheme's. They are shuffled
    /// so that consumers spread over the nodes of a cluster.
    ///
    /// # Errors
    ///
    /// [`QueueError::Refused`], without the text: it may hold a password.
    pub(in crate::queue::rabbitmq) fn parse(url: &str) -> Result<Self> {
        let mut address = Self::in_order(url)?;
        address.hosts.shuffle(&mut rand::rng());
        address.uri = of_host(address.uri, &address.hosts[0]);
        Ok(address)
    }

    /// The hosts, their ports and the virtual host, for operators: without the login.
    ///
    /// # Errors
    ///
    /// As [`BrokerAddress::parse`].
    pub(in crate::queue::rabbitmq) fn place(url: &str) -> Result<String> {
        let address = Self::in_order(url)?;
        let hosts: Vec<_> = address.hosts.iter().map(ToString::to_string).collect();
        let vhost = &address.uri.vhost;
        Ok(format!(
            "RabbitMQ at {}, virtual host {vhost}",
            hosts.join(", ")
        ))
    }

    fn in_order(url: &str) -> Result<Self> {
        let (scheme, rest) = url.trim().split_once("://").ok_or_else(no_address)?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        // A password may contain an unencoded @.
        let (login, list) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
        let items: Vec<&str> = list.split(',').map(str::trim).collect();
        if items.len() > 1 && items.iter().any(|item| item.is_empty()) {
            return Err(refused(
                "AMQP_URL has an empty entry in its list of hosts: write it as \
                 amqp://user:password@one:5672,two:5672,three:5672/vhost",
            ));
        }
        let mut found: Option<(AMQPUri, Files, Option<u16>)> = None;
        let mut hosts = Vec::new();
        for item in items {
            let one = format!("{scheme}://{login}{item}{tail}");
            let mut uri: AMQPUri = one.parse().map_err(|_| no_address())?;
            let parsed = Url::parse(&one).map_err(|_| no_address())?;
            let host = Host {
                name: name(&parsed),
                port: uri.authority.port,
            };
            if hosts.contains(&host) {
                continue;
            }
            if found.is_none() {
                if uri.vhost.is_empty() {
                    // By RabbitMQ's URI specification, `amqp://host/` names the empty virtual host; users who write
                    // it mean the default one.
                    "/".clone_into(&mut uri.vhost);
                }
                let files = files(&parsed, &uri.scheme)?;
                let members = quorum_members(&parsed)?;
                found = Some((of_host(uri, &host), files, members));
            }
            hosts.push(host);
        }
        let (uri, files, quorum_members) = found.ok_or_else(no_address)?;
        Ok(Self {
            uri,
            hosts,
            files,
            quorum_members,
        })
    }

    /// Whether connections use TLS.
    pub(super) fn is_tls(&self) -> bool {
        self.uri.scheme == AMQPScheme::AMQPS
    }
}

/// Returns the URI with this host and port.
pub(super) fn of_host(mut uri: AMQPUri, host: &Host) -> AMQPUri {
    uri.authority.host.clone_from(&host.name);
    uri.authority.port = host.port;
    uri
}

/// The host's name. lapin's own parser finds no host in an IPv6 address and falls back to `localhost`.
fn name(url: &Url) -> String {
    match url.host() {
        Some(UrlHost::Domain(name)) if !name.is_empty() => {
            percent_decode_str(name).decode_utf8_lossy().into_owned()
        }
        Some(UrlHost::Ipv4(address)) => address.to_string(),
        Some(UrlHost::Ipv6(address)) => address.to_string(),
        _ => "localhost".to_owned(),
    }
}

/// The TLS files that the URL's query names.
fn files(url: &Url, scheme: &AMQPScheme) -> Result<Files> {
    let files = query_files(url);
    for (key, value) in url.query_pairs() {
        let not_ours = NOT_OURS.iter().find(|(name, _)| *name == key);
        if let Some((name, why)) = not_ours {
            return Err(refused(&format!(
                "AMQP_URL has {name}: leave it out, {why}"
            )));
        }
        if key == "verify" && value != "verify_peer" {
            return Err(refused(
                "AMQP_URL has verify with a value other than verify_peer: a broker's certificate is always checked; name its \
                 authority's file with cacertfile",
            ));
        }
    }
    if *scheme == AMQPScheme::AMQP && !files.is_empty() {
        return Err(refused(
            "AMQP_URL names TLS files, but its scheme amqp has no TLS: write amqps:// and the port of TLS, or leave \
             cacertfile, certfile and keyfile out",
        ));
    }
    Ok(files)
}

/// The number of members of new queues.
fn quorum_members(url: &Url) -> Result<Option<u16>> {
    let mut pairs = url.query_pairs();
    let Some((_, value)) = pairs.find(|(key, _)| key == QUORUM_MEMBERS) else {
        return Ok(None);
    };
    let members = value.parse().ok().filter(|n| (1..=MEMBERS_MAX).contains(n));
    members.map(Some).ok_or_else(|| {
        refused(&format!(
            "AMQP_URL has {QUORUM_MEMBERS} that is not a number from 1 to {MEMBERS_MAX}: it is how many nodes of the \
             cluster keep a copy of each new queue, usually 3 or 5"
        ))
    })
}

/// The TLS files that a query names with RabbitMQ's keys.
pub(in crate::queue::rabbitmq) fn query_files(url: &Url) -> Files {
    let value = |name: &str| {
        let mut pairs = url.query_pairs();
        let found = pairs.find(|(key, value)| key == name && !value.is_empty());
        found.map(|(_, value)| value.into_owned())
    };
    Files {
        ca: value(KEYS.ca),
        certificate: value(KEYS.certificate),
        key: value(KEYS.key),
    }
}

fn no_address() -> QueueError {
    refused(
        "AMQP_URL is not the address of a broker: write it as amqp://user:password@host:5672/vhost, or \
         amqp://user:password@one:5672,two:5672/vhost for the nodes of a cluster, with a / in the vhost written %2f",
    )
}

fn refused(text: &str) -> QueueError {
    QueueError::Refused(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_no_login() {
        let place = BrokerAddress::place("amqps://me:se%40cret@one,two:5673/shop?heartbeat=5");
        let place = place.expect("an address");
        assert_eq!(place, "RabbitMQ at one:5671, two:5673, virtual host shop");
        let place = BrokerAddress::place("amqp://localhost").expect("an address");
        assert_eq!(place, "RabbitMQ at localhost:5672, virtual host /");
    }

    #[test]
    fn a_list_of_hosts_has_one_login_one_vhost_and_a_port_for_each() {
        let table = [
            ("amqp://me:p@a:1,b,c:3/prod", "a:1 b:5672 c:3", "prod"),
            ("amqps://me:p@a,b:2?heartbeat=5", "a:5671 b:2", "/"),
            ("amqp://a, b ,a:5672/%2f", "a:5672 b:5672", "/"),
            ("amqp://me:x@y,z@[::1]:1,[::2]", "[::1]:1 [::2]:5672", "/"),
            ("amqp://me:p,q@a", "a:5672", "/"),
            ("amqp://", "localhost:5672", "/"),
        ];
        for (url, hosts, vhost) in table {
            let address = BrokerAddress::in_order(url).expect(url);
            let told: Vec<_> = address.hosts.iter().map(ToString::to_string).collect();
            assert_eq!(told.join(" "), hosts, "{url}");
            assert_eq!(address.uri.vhost, vhost, "{url}");
            assert_eq!(
                BrokerAddress::parse(url).expect(url).hosts.len(),
                told.len()
            );
        }
        let login = BrokerAddress::in_order("amqp://me:p%2Cq@a,b")
            .expect("a URL")
            .uri;
        assert_eq!(login.authority.userinfo.password, "p,q");
    }

    #[test]
    fn a_list_that_cannot_be_read_is_refused_without_its_password() {
        let table = [
            ("amqp://me:s3cret@a,,b", "empty entry"),
            ("amqp://me:s3cret@a,", "empty entry"),
            ("amqp://me:s3cret@a:5672,b:port", "not the address"),
            ("amqp://me:s3cret@a,b:99999", "not the address"),
            ("amqp://me:s3cret@a,b c", "not the address"),
            ("amqp://me:s3/cret@a,b", "not the address"),
            ("amqps://me:s3cret@a?verify=verify_none", "verify_peer"),
            ("amqps://me:s3cret@a?password=s3cret", "passphrase"),
            ("amqp://me:s3cret@a?cacertfile=/ca.pem", "amqps://"),
        ];
        for (url, expected) in table {
            let Err(error) = BrokerAddress::in_order(url) else {
                panic!("{url} was taken");
            };
            let told = error.to_string();
            assert!(told.contains("AMQP_URL"), "{told}");
            assert!(told.contains(expected), "{told} should say {expected}");
            assert!(!told.contains("s3"), "{told}");
        }
    }

    #[test]
    fn the_files_of_tls_are_named_as_rabbitmq_names_them() {
        let url =
            "amqps://a?cacertfile=%2Fca.pem&certfile=/me.pem&keyfile=/me.key&verify=verify_peer";
        let files = BrokerAddress::in_order(url).expect("a URL").files;
        let text = |text: &str| Some(text.to_owned());
        let expected = Files {
            ca: text("/ca.pem"),
            certificate: text("/me.pem"),
            key: text("/me.key"),
        };
        assert_eq!(files, expected);
    }
}
