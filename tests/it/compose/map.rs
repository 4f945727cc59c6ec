//! The mapping from containers to processes of this machine: the only thing that the test adds to the file.
//!
//! | in a container | here |
//! |---|---|
//! | the host name of a service | 127.0.0.1 |
//! | a port of a container | a free port |
//! | an image | a program: see [`IMAGES`] |
//! | a path of a container | the same path under a folder of the service |
//! | every address of a container, 0.0.0.0 | 127.0.0.1 |

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use reqwest::Url;

use super::file::{Compose, Service, Source, filled_in};
use super::image::{self, Stage};

/// Test servers take ports from 15000 on (scripts/broker.sh), and Linux those for outgoing connections from 32768 on.
const PORTS: std::ops::Range<u16> = 10_000..15_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    /// scripts/broker.sh, with the plugins of the image.
    Broker,
    /// What Cargo built, as the Dockerfile starts it.
    Flexcast,
    Prometheus,
    /// No package of Debian's, Python's or npm's has Grafana's server: it is not started, and everything that it
    /// reads is checked.
    Grafana,
}

/// What the test knows of an image, from the image's own Dockerfile.
pub(super) struct Image {
    name: &'static str,
    pub(super) program: Program,
    /// Where it listens; ours listens where its command says.
    ports: &'static [u16],
    /// Where it keeps what must outlive the container; ours says so with VOLUME.
    data: &'static [&'static str],
    /// Where it reads what is mounted.
    reads: &'static [&'static str],
    /// The variables that it reads; ours reads those of flexcast.
    variables: &'static [&'static str],
    /// The programs in it that a health check uses; ours has what the Dockerfile installs.
    tools: &'static [&'static str],
    /// The number of the user that it runs as.
    pub(super) user: Option<u32>,
    pub(super) command: &'static [&'static str],
}

const IMAGES: &[Image] = &[
    // The management image has both plugins: rabbitmq_management and, from the image that it is made of,
    // rabbitmq_prometheus.
    Image {
        name: "rabbitmq:*-management",
        program: Program::Broker,
        ports: &[5672, 15672, 15692],
        data: &["/var/lib/rabbitmq"],
        reads: &[],
        variables: &["RABBITMQ_DEFAULT_USER", "RABBITMQ_DEFAULT_PASS"],
        tools: &["gosu", "rabbitmq-diagnostics"],
        user: None,
        command: &[],
    },
    Image {
        name: "flexcast:local",
        program: Program::Flexcast,
        ports: &[],
        data: &[],
        reads: &[],
        variables: &[],
        tools: &[],
        user: None,
        command: &[],
    },
    // Made of busybox, which has wget and no curl.
    Image {
        name: "prom/prometheus:*",
        program: Program::Prometheus,
        ports: &[9090],
        data: &["/prometheus"],
        reads: &["/etc/prometheus"],
        variables: &[],
        tools: &["wget"],
        user: Some(65_534),
        command: &[
            "--config.file=/etc/prometheus/prometheus.yml",
            "--storage.tsdb.path=/prometheus",
        ],
    },
    // Made of Alpine, whose busybox has wget; curl is installed.
    Image {
        name: "grafana/grafana:*",
        program: Program::Grafana,
        ports: &[3000],
        data: &["/var/lib/grafana"],
        reads: &["/etc/grafana/provisioning", "/var/lib/grafana/dashboards"],
        variables: &[
            "GF_ANALYTICS_CHECK_FOR_UPDATES",
            "GF_ANALYTICS_REPORTING_ENABLED",
            "GF_AUTH_ANONYMOUS_ENABLED",
            "GF_AUTH_ANONYMOUS_ORG_ROLE",
            "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH",
        ],
        tools: &["curl", "wget"],
        user: Some(472),
        command: &[],
    },
];

/// The image of a service; a version stands where the name has a `*`.
pub(super) fn image_of(name: &str, service: &Service) -> &'static Image {
    let found = IMAGES
        .iter()
        .find(|image| match image.name.split_once('*') {
            Some((before, after)) => {
                let version = service
                    .image
                    .strip_prefix(before)
                    .and_then(|rest| rest.strip_suffix(after));
                version.is_some_and(|version| {
                    version.starts_with(|c: char| c.is_ascii_digit() || c == 'v')
                })
            }
            None => image.name == service.image,
        });
    found.unwrap_or_else(|| {
        panic!(
            "{name} has the image {}, and this test has no program for it",
            service.image
        )
    })
}

/// Where each service is on this machine.
pub(super) struct Map {
    folder: PathBuf,
    /// By service and port of its container.
    ports: BTreeMap<(String, u16), u16>,
    /// By port of the user's machine.
    published: BTreeMap<u16, u16>,
    /// What holds a service's ports until it starts: other tests choose ports too.
    held: BTreeMap<String, Vec<TcpListener>>,
}

impl Map {
    /// Gives every port of every service a free one, and refuses what is not expected in the file.
    pub(super) fn of(compose: &Compose, stage: &Stage, folder: &Path) -> Self {
        let mut map = Self {
            folder: folder.to_owned(),
            ports: BTreeMap::new(),
            published: BTreeMap::new(),
            held: BTreeMap::new(),
        };
        for (name, service) in &compose.services {
            for port in listened_ports(name, service, stage) {
                let (number, listener) = free_port();
                map.held.entry(name.clone()).or_default().push(listener);
                map.ports.insert((name.clone(), port), number);
            }
            for port in service.published(name) {
                let here = map.port(name, name, port.container);
                let other = map.published.insert(port.host, here);
                assert!(
                    other.is_none(),
                    "{name} publishes the port {}, as another service does",
                    port.host
                );
            }
        }
        for (name, service) in &compose.services {
            map.check(name, service, stage);
        }
        map
    }

    /// Releases the reserved ports of a service, because the service starts now.
    pub(super) fn release(&mut self, service: &str) {
        self.held.remove(service);
    }

    fn check(&self, name: &str, service: &Service, stage: &Stage) {
        let image = image_of(name, service);
        let is_ours = image.program == Program::Flexcast;
        let stages = stage.environment.iter().filter(|_| is_ours);
        for (variable, value) in stages.chain(&service.environment) {
            let is_known = if is_ours {
                image::is_variable(variable)
            } else {
                image.variables.contains(&variable.as_str())
            };
            assert!(
                is_known,
                "{name} sets {variable}, which {} does not read",
                service.image
            );
            let value = self.value(name, value);
            for other in self.services_at(&value).filter(|other| other != name) {
                let waits = service.depends_on.contains_key(&other);
                assert!(
                    waits,
                    "{name} names {other} in {variable} and does not depend on it"
                );
            }
        }
        let volumes: Vec<&str> = stage.volumes.iter().map(String::as_str).collect();
        let data = if is_ours { &volumes[..] } else { image.data };
        for mount in service.mounts(name) {
            let (known, has_to_be_read_only) = match mount.source {
                Source::Repository(_) => (image.reads, true),
                Source::Volume(_) => (data, false),
            };
            let target = &mount.target;
            assert!(
                known.contains(&target.as_str()),
                "{name} mounts {target}, where {} looks for nothing",
                service.image
            );
            assert_eq!(
                mount.is_read_only, has_to_be_read_only,
                "{name} mounts {target} with the wrong rights"
            );
        }
        let words = service.healthcheck.words(name);
        let tool = &words[0];
        let is_there = if is_ours {
            stage.installs(tool)
        } else {
            image.tools.contains(&tool.as_str())
        };
        assert!(
            is_there,
            "the health check of {name} needs {tool}, which {} has not",
            service.image
        );
        for word in words {
            self.url_or_word(name, word);
        }
    }

    /// The services whose addresses of this machine stand in a value.
    fn services_at(&self, value: &str) -> impl Iterator<Item = String> {
        let at = self
            .ports
            .iter()
            .filter(|(_, port)| value.contains(&format!("127.0.0.1:{port}")));
        at.map(|((service, _), _)| service.clone())
    }

    /// The port of this machine for one of a container. `who` named it.
    fn port(&self, who: &str, service: &str, port: u16) -> u16 {
        let found = self.ports.get(&(service.to_owned(), port));
        *found.unwrap_or_else(|| {
            panic!("{who} names the port {port} of {service}, where nothing listens")
        })
    }

    /// The port of this machine for one that the file publishes.
    pub(super) fn published(&self, port: u16) -> u16 {
        let found = self.published.get(&port);
        *found.unwrap_or_else(|| panic!("no service publishes the port {port}"))
    }

    /// An address of the user's machine.
    pub(super) fn told_url(&self, url: &str) -> Url {
        let mut url = Url::parse(url).expect("a URL");
        let port = self.published(url.port().expect("a port"));
        url.set_port(Some(port)).expect("an address has a port");
        url
    }

    /// `service:9464`, as `who` names it.
    pub(super) fn address(&self, who: &str, address: &str) -> String {
        let parts = address
            .split_once(':')
            .and_then(|(host, port)| Some((host, port.parse().ok()?)));
        let (host, port) =
            parts.unwrap_or_else(|| panic!("{who} names {address}, which is no host with a port"));
        format!("127.0.0.1:{}", self.port_of_host(who, host, port))
    }

    fn port_of_host(&self, who: &str, host: &str, port: u16) -> u16 {
        let service = if ["127.0.0.1", "localhost"].contains(&host) {
            who
        } else {
            host
        };
        let is_service = self.ports.keys().any(|(name, _)| name == service);
        assert!(
            is_service,
            "{who} names the host {host}, which is no service"
        );
        self.port(who, service, port)
    }

    /// A URL of a service, as `who` names it.
    pub(super) fn url(&self, who: &str, url: &str) -> Url {
        let mut url = Url::parse(url).unwrap_or_else(|error| panic!("{who} names {url}: {error}"));
        let host = url.host_str().expect("a host").to_owned();
        let port = url
            .port()
            .unwrap_or_else(|| panic!("{who} names {url} without a port"));
        let port = self.port_of_host(who, &host, port);
        url.set_host(Some("127.0.0.1"))
            .expect("an address has a host");
        url.set_port(Some(port)).expect("an address has a port");
        url
    }

    /// A word of a health check.
    pub(super) fn url_or_word(&self, service: &str, word: &str) -> String {
        if word.contains("://") {
            self.url(service, word).into()
        } else {
            word.to_owned()
        }
    }

    /// The value of a variable.
    pub(super) fn value(&self, service: &str, value: &str) -> String {
        let value = filled_in(value);
        if value.starts_with('/') {
            return self.path(service, &value).display().to_string();
        }
        self.url_or_word(service, &value)
    }

    /// A word of a service's command.
    pub(super) fn word(&self, service: &str, word: &str) -> String {
        if let Some(port) = word.strip_prefix("0.0.0.0:") {
            return self.address(service, &format!("127.0.0.1:{port}"));
        }
        if word == "0.0.0.0" {
            return "127.0.0.1".to_owned();
        }
        let port = word
            .parse()
            .ok()
            .and_then(|port| self.ports.get(&(service.to_owned(), port)));
        if let Some(port) = port {
            return port.to_string();
        }
        match word.split_once('=') {
            Some((flag, path)) if path.starts_with('/') => {
                format!("{flag}={}", self.path(service, path).display())
            }
            None if word.starts_with('/') => self.path(service, word).display().to_string(),
            _ => word.to_owned(),
        }
    }

    /// A path of a service's container.
    pub(super) fn path(&self, service: &str, path: &str) -> PathBuf {
        let inside = path
            .strip_prefix('/')
            .unwrap_or_else(|| panic!("{service} names {path}: write the whole path"));
        self.folder.join(service).join(inside)
    }
}

/// The words that a service's container runs: the entry point is not among them.
pub(super) fn command_of(name: &str, service: &Service, stage: &Stage) -> Vec<String> {
    let image = image_of(name, service);
    match &service.command {
        Some(command) => command.clone(),
        None if image.program == Program::Flexcast => stage.command.clone(),
        None => image
            .command
            .iter()
            .map(|word| (*word).to_owned())
            .collect(),
    }
}

fn listened_ports(name: &str, service: &Service, stage: &Stage) -> Vec<u16> {
    let image = image_of(name, service);
    if image.program != Program::Flexcast {
        return image.ports.to_vec();
    }
    let command = command_of(name, service, stage);
    let after = |flag: &str| {
        let at = command.iter().position(|word| word == flag);
        at.and_then(|at| command.get(at + 1)).map(String::as_str)
    };
    let address = match (after("--http"), after("--host"), after("--port")) {
        (Some(address), None, None) => address.split_once(':'),
        (None, Some(host), Some(port)) => Some((host, port)),
        _ => None,
    };
    let (host, port) = address.unwrap_or_else(|| {
        panic!("the command of {name} does not say where it listens: {command:?}")
    });
    assert_eq!(
        host, "0.0.0.0",
        "{name} listens where no other container reaches it"
    );
    vec![
        port.parse()
            .unwrap_or_else(|_| panic!("{name} listens on {port}, which is no port")),
    ]
}

/// A port that nothing uses, and what holds it.
fn free_port() -> (u16, TcpListener) {
    let mut tries = (0..1_000).map(|_| rand::random_range(PORTS));
    let found = tries.find_map(|port| Some((port, TcpListener::bind(("127.0.0.1", port)).ok()?)));
    found.expect("a free port")
}
