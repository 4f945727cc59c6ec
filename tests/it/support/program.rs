//! The program as a user runs it: processes that end with the test, and what they said.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output};
use std::time::Duration;

/// How long anything may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(90);

/// `flexcast` with an environment of its own: nothing of the machine's account reaches it, and it writes nothing in
/// somebody's home.
pub(crate) fn flexcast(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flexcast"));
    command.current_dir(folder);
    let ours = |name: &str| {
        ["TWILIO_", "FLEXCAST_", "AMQP_", "DATABASE_URL"]
            .iter()
            .any(|ours| name.starts_with(ours))
    };
    for (name, _) in std::env::vars().filter(|(name, _)| ours(name)) {
        command.env_remove(name);
    }
    command
}

/// Runs a command to its end, which has to be a good one.
pub(crate) fn succeed(command: &mut Command) -> String {
    let output: Output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{command:?}: {out}{err}");
    out.into_owned()
}

/// A file of this repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The campaign files in `examples/`. The other TOML file there is a `flexcast.toml`.
pub(crate) fn example_campaigns() -> Vec<PathBuf> {
    let examples = fs::read_dir(repository("examples")).expect("examples");
    let paths = examples.map(|entry| entry.expect("an entry").path());
    let is_toml = |path: &PathBuf| path.extension().is_some_and(|end| end == "toml");
    let mut campaigns: Vec<PathBuf> = paths
        .filter(|path| is_toml(path) && !path.ends_with("flexcast.toml"))
        .collect();
    campaigns.sort();
    assert_eq!(campaigns.len(), 4, "each strategy on each API");
    campaigns
}

/// A process that is killed when the test is over.
pub(crate) struct Running {
    child: Child,
    said: PathBuf,
}

impl Running {
    /// Starts a command; what it says goes into `folder/name.log`.
    pub(crate) fn start(command: &mut Command, folder: &Path, name: &str) -> Self {
        let said = folder.join(format!("{name}.log"));
        let log = File::create(&said).expect("a file for what it says");
        let both = log.try_clone().expect("the same file");
        let child = command.stdout(log).stderr(both).spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child, said }
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap_or_default()
    }

    /// Waits until a line has `before`, and answers with the rest of it up to `end`.
    pub(crate) async fn tells(&mut self, before: &str, end: &[char]) -> String {
        let mut found = None;
        until(
            &format!("{before} in {}", self.said.display()),
            async || {
                let said = self.said();
                let rest = said.split_once(before).map(|(_, rest)| rest);
                let whole = rest.and_then(|rest| rest.split_once(|c| end.contains(&c)));
                found = whole.map(|(value, _)| value.to_owned());
                assert!(found.is_some() || !self.is_over(), "it ended: {said}");
                found.is_some()
            },
        )
        .await;
        found.expect("found, or the wait panics")
    }

    /// Whether it has ended by itself.
    pub(crate) fn is_over(&mut self) -> bool {
        self.child.try_wait().expect("a process of ours").is_some()
    }

    /// Asks it to end, as an init system does.
    pub(crate) fn terminate(&self) {
        succeed(Command::new("kill").args(["-TERM", &self.child.id().to_string()]));
    }

    /// How it ended.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        until("the end of a process", async || {
            status = self.child.try_wait().expect("a process of ours");
            status.is_some()
        })
        .await;
        status.expect("it ended, or the wait panics")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks again and again until it is so; panics with `what` when it takes too long.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let asking = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, asking).await;
    assert!(in_time.is_ok(), "not within {PATIENCE:?}: {what}");
}

/// The simulator as a process, and the environment that leads to it.
pub(crate) struct Simulated {
    _process: Running,
    pub(crate) environment: Vec<(String, String)>,
}

impl Simulated {
    /// Starts `flexcast simulator` with these flags on a free port.
    pub(crate) async fn start(folder: &Path, flags: &[&str]) -> Self {
        let mut command = flexcast(folder);
        command.args(["simulator", "--port", "0"]).args(flags);
        let mut process = Running::start(&mut command, folder, "simulator");
        process.tells("TWILIO_AUTH_TOKEN=", &['\n']).await;
        let said = process.said();
        let pairs = said.lines().filter_map(|line| line.split_once('='));
        let ours = pairs.filter(|(name, _)| name.contains("TWILIO_"));
        let environment = ours.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            environment: environment.collect(),
            _process: process,
        }
    }

    /// Where it answers.
    pub(crate) fn url(&self) -> &str {
        let mut variables = self.environment.iter();
        let url = variables.find(|(name, _)| name == "FLEXCAST_TWILIO_URL");
        &url.expect("the simulator says its address").1
    }
}

/// `GET`s a page: its status and its text.
pub(crate) async fn get(url: reqwest::Url) -> reqwest::Result<(u16, String)> {
    // The client wants a provider, for plain HTTP too; an error means that there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build()?;
    let reply = client.get(url).send().await?;
    Ok((reply.status().as_u16(), reply.text().await?))
}
