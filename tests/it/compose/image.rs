//! The image that the Dockerfile makes: what its last stage says, and the folders that its first stage builds from.

use std::collections::BTreeMap;
use std::fs;

use super::super::support::program::repository;

/// Where flexcast reads its environment.
const READS_VARIABLES: [&str; 3] = ["src/cli/mod.rs", "src/config.rs", "src/telemetry.rs"];

#[derive(Debug, Clone, Default)]
pub(super) struct Stage {
    pub(super) copies: Vec<Copied>,
    pub(super) runs: Vec<String>,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) user: Option<u32>,
    pub(super) folder: String,
    pub(super) volumes: Vec<String>,
    pub(super) ports: Vec<u16>,
    pub(super) entry_point: Vec<String>,
    pub(super) command: Vec<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Copied {
    /// The stage that the files come from, or the build's context.
    pub(super) from: Option<String>,
    pub(super) sources: Vec<String>,
    pub(super) target: String,
}

/// The stages of the Dockerfile, in their order.
pub(super) fn stages() -> Vec<Stage> {
    let text = fs::read_to_string(repository("Dockerfile")).expect("the Dockerfile is there");
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let mut stages: Vec<Stage> = Vec::new();
    for line in joined.lines().filter(|line| !line.trim().is_empty()) {
        let (instruction, rest) = line.split_once(' ').unwrap_or((line, ""));
        if instruction == "FROM" {
            stages.push(Stage::default());
            continue;
        }
        let stage = stages.last_mut().expect("FROM comes first");
        stage.follow(instruction, rest.trim());
    }
    stages
}

/// The stage that is the image.
pub(super) fn read() -> Stage {
    let last = stages().pop().expect("the Dockerfile has a stage");
    assert!(!last.entry_point.is_empty(), "the image has no ENTRYPOINT");
    last
}

/// Whether flexcast reads this variable: its name, or for a secret the name before `_FILE`, stands in the code.
pub(super) fn is_variable(name: &str) -> bool {
    let quoted = format!("\"{}\"", name.strip_suffix("_FILE").unwrap_or(name));
    READS_VARIABLES.iter().any(|path| {
        let text = fs::read_to_string(repository(path)).expect("a source file");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        code.contains(&quoted)
    })
}

impl Stage {
    fn follow(&mut self, instruction: &str, rest: &str) {
        let words = || rest.split_whitespace().map(str::to_owned);
        match instruction {
            "COPY" => self.copies.push(copied(rest)),
            "RUN" => self.runs.push(words().collect::<Vec<_>>().join(" ")),
            "ENV" => {
                let (name, value) = rest.split_once('=').expect("ENV NAME=VALUE");
                self.environment.insert(name.to_owned(), value.to_owned());
            }
            "USER" => {
                let user = rest
                    .parse()
                    .expect("USER has a number: no name has to be looked up");
                self.user = Some(user);
            }
            "WORKDIR" => rest.clone_into(&mut self.folder),
            "VOLUME" => self.volumes.extend(words()),
            "EXPOSE" => self
                .ports
                .extend(words().map(|port| port.parse::<u16>().expect("a port"))),
            "ENTRYPOINT" => self.entry_point = listed(rest),
            "CMD" => self.command = listed(rest),
            // Words about the image, and the signal that `docker stop` sends: tests of draining send it too.
            "LABEL" => {}
            "STOPSIGNAL" => assert_eq!(rest, "SIGTERM", "a consumer drains on SIGTERM"),
            _ => panic!(
                "the Dockerfile has an instruction that this test does not know: {instruction} {rest}"
            ),
        }
    }

    /// Whether a `RUN` makes this directory for the image's user: a named volume takes its owner from there.
    pub(super) fn makes_for_its_user(&self, directory: &str) -> bool {
        let Some(user) = self.user else {
            return false;
        };
        let has = |text: String| self.runs.iter().any(|run| run.contains(&text));
        has(format!("useradd --uid {user} "))
            && has(format!("install -d -o flexcast -g flexcast {directory}"))
    }

    /// Whether a `RUN` installs this package.
    pub(super) fn installs(&self, package: &str) -> bool {
        let mut runs = self.runs.iter();
        runs.any(|run| {
            run.contains("apt-get install") && run.split(' ').any(|word| word == package)
        })
    }
}

fn copied(rest: &str) -> Copied {
    let mut words: Vec<String> = rest.split_whitespace().map(str::to_owned).collect();
    let from = words[0].strip_prefix("--from=").map(str::to_owned);
    if from.is_some() {
        words.remove(0);
    }
    let target = words.pop().expect("COPY has a target");
    Copied {
        from,
        sources: words,
        target,
    }
}

fn listed(rest: &str) -> Vec<String> {
    serde_json::from_str(rest)
        .unwrap_or_else(|error| panic!("{rest}: write a list, without a shell: {error}"))
}
