//! The services of the file as processes of this machine.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use flexcast::clock::Clock;
use serde_json::Value;

use super::super::support::broker::Node;
use super::super::support::program::{Running, repository, succeed};
use super::file::{Compose, Service, Source, parse_yaml};
use super::image::Stage;
use super::map::{Map, Program, command_of, image_of};

/// How long a service may take to become healthy: the file's own times are a user's machine's.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the build's stage makes, and what Cargo built here.
const BUILT: &str = "/build/target/release/flexcast";

/// Processes end with it, and the folder goes last.
pub(super) struct Stack {
    processes: BTreeMap<String, Running>,
    broker: Option<Node>,
    pub(super) compose: Compose,
    stage: Stage,
    pub(super) map: Map,
    folder: tempfile::TempDir,
}

impl Stack {
    pub(super) fn new(compose: Compose, stage: Stage) -> Self {
        // Under the directory of `make test`, if there is one: it removes what a killed test leaves.
        let home =
            std::env::var_os("FLEXCAST_TEST_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let folder = tempfile::Builder::new()
            .prefix("flexcast-compose-")
            .tempdir_in(home)
            .expect("a folder");
        // The users of the images have to get at what is theirs in here.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755))
            .expect("a folder of ours");
        let map = Map::of(&compose, &stage, folder.path());
        Self {
            processes: BTreeMap::new(),
            broker: None,
            compose,
            stage,
            map,
            folder,
        }
    }

    /// `docker compose up --wait`: each service is healthy before one that depends on it starts.
    pub(super) async fn up(&mut self) {
        let order: Vec<String> = self
            .compose
            .in_order()
            .into_iter()
            .map(str::to_owned)
            .collect();
        for name in order {
            let image = image_of(&name, self.compose.service(&name));
            if image.program == Program::Grafana {
                continue;
            }
            self.map.release(&name);
            if image.program == Program::Broker {
                self.start_broker(&name);
            } else {
                self.start(&name);
            }
            self.become_healthy(&name).await;
        }
    }

    fn start_broker(&mut self, name: &str) {
        let port = |port: u16| {
            self.map
                .address(name, &format!("{name}:{port}"))
                .replace("127.0.0.1:", "")
        };
        let mut lines = format!(
            "FLEXCAST_BROKER_PORT={}\nFLEXCAST_BROKER_MANAGEMENT_PORT={}\nFLEXCAST_BROKER_METRICS_PORT={}\n",
            port(5672),
            port(15672),
            port(15692)
        );
        for (variable, value) in &self.compose.service(name).environment {
            let value = self.map.value(name, value);
            assert!(
                value.chars().all(char::is_alphanumeric),
                "{variable} of {name} is no plain word"
            );
            writeln!(lines, "{variable}={value}").expect("a String takes everything");
        }
        let write =
            |directory: &Path| fs::write(directory.join("environment"), &lines).expect("written");
        self.broker = Some(Node::prepared(&write));
    }

    fn start(&mut self, name: &str) {
        let service = self.compose.service(name);
        let image = image_of(name, service);
        self.lay_out(name, service);
        let mut command = match image.program {
            Program::Flexcast => self.of_image(name),
            _ => self.isolated("prometheus", image.user),
        };
        for word in command_of(name, service, &self.stage) {
            command.arg(self.map.word(name, &word));
        }
        if image.program == Program::Prometheus {
            let address = self.map.address(name, &format!("{name}:9090"));
            command.arg(format!("--web.listen-address={address}"));
            command.current_dir(self.map.path(name, "/prometheus"));
        }
        let running = Running::start(&mut command, self.folder.path(), name);
        self.processes.insert(name.to_owned(), running);
    }

    /// A command of a container of our image: its program, environment, folder and user.
    fn of_image(&self, name: &str) -> Command {
        let (program, words) = self
            .stage
            .entry_point
            .split_first()
            .expect("an entry point");
        let program = self.map.path(name, "/usr/local/bin").join(program);
        assert!(
            program.exists(),
            "the Dockerfile copies no {} to where it is looked for",
            self.stage.entry_point[0]
        );
        let mut command = self.isolated(program, self.stage.user);
        command.args(words);
        let environment = self
            .stage
            .environment
            .iter()
            .chain(&self.compose.service(name).environment);
        command.envs(environment.map(|(variable, value)| (variable, self.map.value(name, value))));
        command.current_dir(self.map.path(name, &self.stage.folder));
        command
    }

    /// A command to which nothing of this machine's environment comes but the places of programs. It runs as the
    /// image's user where this is root, who alone can.
    fn isolated(&self, program: impl AsRef<std::ffi::OsStr>, user: Option<u32>) -> Command {
        let mut command = Command::new(program);
        let path = std::env::var_os("PATH").expect("the places of programs");
        command
            .env_clear()
            .env("PATH", path)
            .current_dir(self.folder.path());
        if let Some(user) = user.filter(|_| is_root()) {
            command.uid(user).gid(user);
        }
        command
    }

    /// The files of a container: what the image copies, the volumes and the mounts.
    fn lay_out(&self, name: &str, service: &Service) {
        let image = image_of(name, service);
        if image.program == Program::Flexcast {
            for copied in &self.stage.copies {
                let target = self.map.path(name, &copied.target);
                for source in &copied.sources {
                    let source = match copied.from {
                        Some(_) if source == BUILT => PathBuf::from(env!("CARGO_BIN_EXE_flexcast")),
                        Some(_) => {
                            panic!("the Dockerfile copies {source}, which its build does not make")
                        }
                        None => repository(source),
                    };
                    copy(&source, &target);
                }
            }
            for volume in &self.stage.volumes {
                let user = self
                    .stage
                    .user
                    .filter(|_| self.stage.makes_for_its_user(volume));
                make_volume(&self.map.path(name, volume), user);
            }
        }
        for mount in service.mounts(name) {
            let target = self.map.path(name, &mount.target);
            match mount.source {
                Source::Repository(path) => copy(&repository(&path), &target),
                Source::Volume(_) if image.program == Program::Flexcast => {}
                Source::Volume(_) => make_volume(&target, image.user),
            }
        }
        if image.program == Program::Prometheus {
            self.rewrite_targets(name, &self.map.path(name, "/etc/prometheus/prometheus.yml"));
        }
    }

    /// Writes the addresses of this machine into a scrape configuration.
    fn rewrite_targets(&self, name: &str, path: &Path) {
        let text = fs::read_to_string(path)
            .unwrap_or_else(|error| panic!("{name} reads its configuration: {error}"));
        let mut config: Value = parse_yaml("prometheus.yml", &text);
        let jobs = config["scrape_configs"]
            .as_array_mut()
            .expect("scrape_configs");
        for job in jobs {
            let groups = job["static_configs"].as_array_mut();
            let groups =
                groups.unwrap_or_else(|| panic!("a job of prometheus.yml has no static_configs"));
            let targets = groups
                .iter_mut()
                .flat_map(|group| group["targets"].as_array_mut().expect("targets"));
            for target in targets {
                let here = self.map.address(name, target.as_str().expect("an address"));
                *target = Value::String(here);
            }
        }
        fs::write(path, config.to_string()).expect("JSON is YAML");
    }

    async fn become_healthy(&mut self, name: &str) {
        let check = &self.compose.service(name).healthcheck;
        let words: Vec<String> = check
            .words(name)
            .iter()
            .map(|word| self.map.url_or_word(name, word))
            .collect();
        let timeout = check.timeout();
        let began = Clock::system().instant();
        let mut told;
        loop {
            let mut command = tokio::process::Command::from(self.check_command(&words));
            command.kill_on_drop(true);
            told = match tokio::time::timeout(timeout, command.output()).await {
                Ok(output) => {
                    let output = output.unwrap_or_else(|error| panic!("{words:?}: {error}"));
                    if output.status.success() {
                        return;
                    }
                    format!("{output:?}")
                }
                Err(_) => format!("no answer within {timeout:?}"),
            };
            if let Some(process) = self.processes.get_mut(name) {
                assert!(!process.is_over(), "{name} ended: {}", process.said());
            }
            let said = || self.processes.get(name).map(Running::said);
            assert!(
                began.elapsed() < PATIENCE,
                "{name} never turned healthy: {words:?}: {told} {:?}",
                said()
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// A health check's command. `gosu USER` takes a user's place in the image; scripts/broker.sh has one user.
    fn check_command(&self, words: &[String]) -> Command {
        let words = if words[0] == "gosu" {
            &words[2..]
        } else {
            words
        };
        if words[0] == "rabbitmq-diagnostics" {
            let node = self
                .broker
                .as_ref()
                .expect("the broker of the health check is started");
            let mut command = Command::new(repository("scripts/broker.sh"));
            command.arg("diagnostics").arg(node.dir()).args(&words[1..]);
            return command;
        }
        let mut command = self.isolated(&words[0], None);
        command.args(&words[1..]);
        command
    }

    /// `docker compose exec SERVICE flexcast ...`.
    pub(super) fn execute(&self, service: &str, words: &[String]) -> String {
        let image = image_of(service, self.compose.service(service));
        assert!(
            image.program == Program::Flexcast,
            "the head runs something in {service}, which is not flexcast's"
        );
        assert_eq!(
            words.first(),
            self.stage.entry_point.first(),
            "the head runs a program that the image has not"
        );
        succeed(self.of_image(service).args(&words[1..]))
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn make_volume(path: &Path, user: Option<u32>) {
    fs::create_dir_all(path).expect("a directory");
    if is_root() {
        chown(path, user, user).expect("root gives it away");
    }
}

/// A file, or everything in a folder, with its rights.
fn copy(source: &Path, target: &Path) {
    if source.is_dir() {
        fs::create_dir_all(target).expect("a directory");
        for entry in fs::read_dir(source).expect("a folder that was asked for") {
            let entry = entry.expect("an entry");
            copy(&entry.path(), &target.join(entry.file_name()));
        }
        return;
    }
    fs::create_dir_all(target.parent().expect("a folder")).expect("a directory");
    fs::copy(source, target).unwrap_or_else(|error| panic!("{}: {error}", source.display()));
}
