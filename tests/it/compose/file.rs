//! The structure of `docker-compose.yml`. An unknown key fails the test: a developer who adds a key to the file adds it
//! here too. The crate `serde-saphyr` reads the YAML, because it is maintained and names the line of an unknown key.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::support::program::repository;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Compose {
    #[serde(rename = "name")]
    _name: String,
    pub(super) services: BTreeMap<String, Service>,
    volumes: BTreeMap<String, Option<Volume>>,
}

/// A named volume has no settings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Volume {}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Service {
    pub(super) image: String,
    pub(super) build: Option<String>,
    pub(super) command: Option<Vec<String>>,
    #[serde(default)]
    pub(super) environment: BTreeMap<String, String>,
    #[serde(default)]
    ports: Vec<String>,
    #[serde(default)]
    volumes: Vec<String>,
    #[serde(default)]
    pub(super) depends_on: BTreeMap<String, Dependency>,
    pub(super) healthcheck: HealthCheck,
    /// These say how Docker names, ends and restarts a container: nothing of a native process.
    #[serde(rename = "hostname")]
    _hostname: Option<String>,
    #[serde(rename = "stop_grace_period")]
    _stop_grace_period: Option<String>,
    #[serde(rename = "restart")]
    _restart: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dependency {
    condition: Condition,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Condition {
    ServiceHealthy,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HealthCheck {
    pub(super) test: Vec<String>,
    timeout: String,
    /// The test asks more often, and until its own patience ends.
    #[serde(rename = "interval")]
    _interval: String,
    #[serde(rename = "retries")]
    _retries: u32,
    #[serde(rename = "start_period")]
    _start_period: Option<String>,
}

/// A port of a container, and the port of the user's machine that leads to it.
pub(super) struct Published {
    pub(super) host: u16,
    pub(super) container: u16,
}

/// What a container sees at a path.
pub(super) struct Mount {
    pub(super) source: Source,
    pub(super) target: String,
    pub(super) is_read_only: bool,
}

pub(super) enum Source {
    /// A path of this repository.
    Repository(String),
    Volume(String),
}

impl Compose {
    /// The file of this repository.
    pub(super) fn read() -> Self {
        Self::parse(&text())
    }

    pub(super) fn parse(text: &str) -> Self {
        let compose: Self = parse_yaml("docker-compose.yml", text);
        compose.check();
        compose
    }

    pub(super) fn service(&self, name: &str) -> &Service {
        let service = self.services.get(name);
        service.unwrap_or_else(|| panic!("docker-compose.yml has no service {name}"))
    }

    fn check(&self) {
        let mut used = BTreeSet::new();
        let mut builds = BTreeSet::new();
        for (name, service) in &self.services {
            for (other, dependency) in &service.depends_on {
                let Condition::ServiceHealthy = dependency.condition;
                let is_there = self.services.contains_key(other);
                assert!(is_there, "{name} depends on {other}, which is no service");
            }
            if let Some(context) = &service.build {
                assert_eq!(context, ".", "{name} is built from another folder");
                assert!(
                    builds.insert(&service.image),
                    "{name} is one of two services that build one image"
                );
            }
            for mount in service.mounts(name) {
                if let Source::Volume(volume) = mount.source {
                    let is_declared = self.volumes.contains_key(&volume);
                    assert!(
                        is_declared,
                        "{name} mounts the volume {volume}, which is not declared"
                    );
                    assert!(
                        used.insert(volume),
                        "{name} mounts the volume of another service"
                    );
                }
            }
        }
        let declared: BTreeSet<String> = self.volumes.keys().cloned().collect();
        assert_eq!(declared, used, "a volume is declared and not mounted");
    }

    /// The services in an order in which each comes after those that it depends on.
    pub(super) fn in_order(&self) -> Vec<&str> {
        let mut order: Vec<&str> = Vec::new();
        while order.len() < self.services.len() {
            let next = self.services.iter().find(|(name, service)| {
                let mut needed = service.depends_on.keys();
                !order.contains(&name.as_str()) && needed.all(|it| order.contains(&it.as_str()))
            });
            let (name, _) = next.expect("the services depend on each other in a circle");
            order.push(name);
        }
        order
    }
}

impl Service {
    pub(super) fn published(&self, name: &str) -> Vec<Published> {
        let published = self.ports.iter().map(|port| {
            // On this machine alone: the stack has passwords that everybody knows.
            let parts: Vec<&str> = port.split(':').collect();
            let ["127.0.0.1", host, container] = parts[..] else {
                panic!("{name} publishes the port {port}: write 127.0.0.1:PORT:PORT");
            };
            let number = |text: &str| {
                text.parse()
                    .unwrap_or_else(|_| panic!("{name}: the port {port}"))
            };
            Published {
                host: number(host),
                container: number(container),
            }
        });
        published.collect()
    }

    pub(super) fn mounts(&self, name: &str) -> Vec<Mount> {
        let mounts = self.volumes.iter().map(|volume| {
            let parts: Vec<&str> = volume.split(':').collect();
            let (source, target, is_read_only) = match parts[..] {
                [source, target] => (source, target, false),
                [source, target, "ro"] => (source, target, true),
                _ => panic!("{name} has a volume of an unknown form: {volume}"),
            };
            let source = match source.strip_prefix("./") {
                Some(path) => {
                    assert!(
                        repository(path).exists(),
                        "{name} mounts ./{path}, which does not exist"
                    );
                    Source::Repository(path.to_owned())
                }
                None => Source::Volume(source.to_owned()),
            };
            Mount {
                source,
                target: target.to_owned(),
                is_read_only,
            }
        });
        mounts.collect()
    }
}

impl HealthCheck {
    /// The words of the command, which Docker runs without a shell.
    pub(super) fn words(&self, name: &str) -> &[String] {
        match self.test.split_first() {
            Some((first, words)) if first == "CMD" && !words.is_empty() => words,
            _ => panic!("the health check of {name} is no CMD: {:?}", self.test),
        }
    }

    /// How long one try may take.
    pub(super) fn timeout(&self) -> Duration {
        let seconds = self
            .timeout
            .strip_suffix('s')
            .and_then(|text| text.parse().ok());
        Duration::from_secs(
            seconds.unwrap_or_else(|| panic!("{} is no number of seconds", self.timeout)),
        )
    }
}

pub(super) fn text() -> String {
    fs::read_to_string(repository("docker-compose.yml")).expect("docker-compose.yml is there")
}

pub(super) fn parse_yaml<T: DeserializeOwned>(name: &str, text: &str) -> T {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A value with its variables as Compose fills them in when the user's environment has none of them.
pub(super) fn filled_in(value: &str) -> String {
    let mut filled = String::new();
    let mut rest = value;
    while let Some((before, variable)) = rest.split_once('$') {
        filled.push_str(before);
        let inside = variable.strip_prefix('{').and_then(|it| it.split_once('}'));
        let parts = inside.and_then(|(inside, after)| Some((inside.split_once(":-")?.1, after)));
        let (otherwise, after) =
            parts.unwrap_or_else(|| panic!("{value}: write a variable as ${{NAME:-VALUE}}"));
        filled.push_str(otherwise);
        rest = after;
    }
    filled + rest
}

/// What the head of the file tells a user to type: one `docker compose` command a line, split into words.
pub(super) fn told_commands(text: &str) -> Vec<Vec<String>> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("#   "));
    let commands = lines.map(|line| {
        let words = shell_words::split(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        let command = words.strip_prefix(&["docker".to_owned(), "compose".to_owned()]);
        command
            .unwrap_or_else(|| panic!("the head tells something else than docker compose: {line}"))
            .to_vec()
    });
    commands.collect()
}

/// The addresses that the head of the file tells a user to look at.
pub(super) fn told_addresses(text: &str) -> Vec<String> {
    let head = text.lines().take_while(|line| line.starts_with('#'));
    let words = head.flat_map(|line| line.split([' ', ',', '(', ')']));
    let urls = words.filter(|word| word.starts_with("http://"));
    urls.map(|url| url.trim_end_matches('.').to_owned())
        .collect()
}
