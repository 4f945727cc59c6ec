//! Brokers for tests: a virtual host on the one that `make test` starts, or a node of one's own.
//!
//! A test that kills, restarts or cuts uses a [`Node`]; every other one a [`Vhost`].

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use lapin::options::{ExchangeDeclareOptions, ExchangeDeleteOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties, ExchangeKind};
use tokio::sync::{Mutex, MutexGuard};

/// A broker of our own takes many tests at once, each in a virtual host; somebody else's has one
/// virtual host for us, and tests take turns.
static TURN: Mutex<()> = Mutex::const_new(());

static VHOSTS: AtomicU32 = AtomicU32::new(0);

/// A virtual host that holds nothing yet.
pub(crate) struct Vhost {
    pub(crate) url: String,
    kind: Kind,
}

enum Kind {
    /// On our broker, in this directory, under this name.
    Ours(PathBuf, String),
    /// The one that `AMQP_URL` names, for as long as it is our turn.
    Given(#[expect(dead_code, reason = "held until the test ends")] MutexGuard<'static, ()>),
}

impl Vhost {
    /// An empty virtual host on the broker that `AMQP_URL` names.
    pub(crate) async fn new() -> Self {
        let Ok(url) = std::env::var("AMQP_URL") else {
            panic!("AMQP_URL is not set: `make test` starts a broker and sets it");
        };
        let Some(dir) = std::env::var_os("FLEXCAST_BROKER_DIR") else {
            let turn = TURN.lock().await;
            refuse_a_broker_in_use(&url).await;
            let kind = Kind::Given(turn);
            return Self { url, kind };
        };
        let count = VHOSTS.fetch_add(1, Ordering::Relaxed);
        let name = format!("test-{}-{count}", std::process::id());
        let dir = PathBuf::from(dir);
        ctl(&dir, &["add_vhost", &name]);
        let everything = ["set_permissions", "-p", &name, "guest", ".*", ".*", ".*"];
        ctl(&dir, &everything);
        let (server, _) = url.rsplit_once('/').expect("a vhost in AMQP_URL");
        let url = format!("{server}/{name}");
        let kind = Kind::Ours(dir, name);
        Self { url, kind }
    }
}

impl Vhost {
    /// Where the management API answers; `None` on somebody else's broker.
    pub(crate) fn management(&self) -> Option<String> {
        match &self.kind {
            Kind::Ours(..) => std::env::var("AMQP_MANAGEMENT_URL").ok(),
            Kind::Given(_) => None,
        }
    }

    /// Its name, on our broker.
    pub(crate) fn name(&self) -> &str {
        match &self.kind {
            Kind::Ours(_, name) => name,
            Kind::Given(_) => panic!("somebody else's broker"),
        }
    }

    /// Runs `rabbitmqctl` on our broker.
    pub(crate) fn ctl(&self, arguments: &[&str]) -> String {
        match &self.kind {
            Kind::Ours(dir, _) => ctl(dir, arguments),
            Kind::Given(_) => panic!("somebody else's broker"),
        }
    }

    /// The address of another user, with all rights here; `None` on somebody else's broker.
    pub(crate) fn of_user(&self, name: &str) -> Option<String> {
        let Kind::Ours(dir, vhost) = &self.kind else {
            return None;
        };
        let name = format!("{name}-{vhost}");
        ctl(dir, &["add_user", &name, "s3cret"]);
        self.let_write(&name, ".*");
        let (_, server) = self.url.split_once('@').expect("credentials in AMQP_URL");
        Some(format!("amqp://{name}:s3cret@{server}"))
    }

    /// What a user of [`Self::of_user`] may configure, write and read from now on, as regular expressions.
    pub(crate) fn let_do(&self, name: &str, rights: [&str; 3]) {
        let set = ["set_permissions", "-p", self.name(), name];
        self.ctl(&[&set[..], &rights[..]].concat());
    }

    /// What a user of [`Self::of_user`] may write to from now on, as a regular expression.
    pub(crate) fn let_write(&self, name: &str, what: &str) {
        if let Kind::Ours(dir, vhost) = &self.kind {
            let rights = ["set_permissions", "-p", vhost, name, ".*", what, ".*"];
            ctl(dir, &rights);
        }
    }
}

impl Drop for Vhost {
    fn drop(&mut self) {
        match &self.kind {
            Kind::Ours(dir, name) => {
                script(dir, &["ctl"], &["delete_vhost", name]);
            }
            Kind::Given(_) => {
                let url = self.url.clone();
                // A runtime of its own: drop cannot wait on the test's.
                let swept = std::thread::spawn(move || {
                    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
                    runtime.block_on(sweep(&url));
                });
                swept.join().expect("what the test left is deleted");
            }
        }
    }
}

/// Tests delete what they find: they must not do it to a broker that somebody uses.
async fn refuse_a_broker_in_use(url: &str) {
    let connection = connect(url).await;
    let channel = connection.create_channel().await.expect("a channel");
    let options = ExchangeDeclareOptions {
        passive: true,
        ..Default::default()
    };
    let kind = ExchangeKind::Direct;
    let found = channel
        .exchange_declare("flexcast".into(), kind, options, FieldTable::default())
        .await;
    assert!(
        found.is_err(),
        "the virtual host of AMQP_URL has an exchange `flexcast`: name an empty one for the tests"
    );
}

async fn sweep(url: &str) {
    let connection = connect(url).await;
    let channel = connection.create_channel().await.expect("a channel");
    let levels = ["1s", "5s", "15s", "60s"].map(|level| format!("flexcast.retry.{level}"));
    let mut names = levels.to_vec();
    names.extend(["flexcast.orphan", "flexcast.dead", "flexcast.probe"].map(String::from));
    for name in &names {
        let _ = channel
            .queue_delete(name.as_str().into(), QueueDeleteOptions::default())
            .await;
    }
    let of_upgrades = super::super::upgrade::CAMPAIGNS.map(|(campaign, _)| campaign);
    for campaign in super::super::queue_contract::CAMPAIGNS
        .iter()
        .copied()
        .chain(of_upgrades)
    {
        let queue = format!("flexcast.work.{campaign}");
        let _ = channel
            .queue_delete(queue.into(), QueueDeleteOptions::default())
            .await;
    }
    names.extend(["flexcast.ledger", "flexcast.rejected", "flexcast"].map(String::from));
    for name in names {
        let _ = channel
            .exchange_delete(name.into(), ExchangeDeleteOptions::default())
            .await;
    }
}

/// A plain AMQP connection, as another program has it.
pub(crate) async fn connect(url: &str) -> Connection {
    Connection::connect(url, ConnectionProperties::default())
        .await
        .expect("a connection to the broker")
}

/// A broker of the test's own. It and its epmd are gone when this is dropped.
pub(crate) struct Node {
    dir: tempfile::TempDir,
    pub(crate) url: String,
    /// Where its management API answers.
    pub(crate) management: String,
}

impl Node {
    /// Starts a node and waits until it answers.
    pub(crate) fn start() -> Self {
        Self::prepared(&|_| {})
    }

    /// The same, once `prepare` has put files into its directory: see `scripts/broker.sh`.
    pub(crate) fn prepared(prepare: &dyn Fn(&Path)) -> Self {
        // Under the directory of `make test`, if there is one: it stops what a killed test leaves.
        let home = std::env::var_os("FLEXCAST_TEST_DIR").unwrap_or_else(|| "/tmp".into());
        let in_new_directory = || {
            let mut named = tempfile::Builder::new();
            let dir = named.prefix("flexcast-node-").tempdir_in(&home);
            let dir = dir.expect("a directory");
            prepare(dir.path());
            let started = script(dir.path(), &["start"], &[]);
            (dir, started)
        };
        // A port that was free may be another node's by the time this one listens: then it takes others.
        let (mut dir, mut started) = in_new_directory();
        for _ in 0..2 {
            if !started.status.success() {
                (dir, started) = in_new_directory();
            }
        }
        let told = String::from_utf8_lossy(&started.stderr);
        assert!(started.status.success(), "the node does not start: {told}");
        let [url, management] =
            ["AMQP_URL", "AMQP_MANAGEMENT_URL"].map(|name| variable(dir.path(), name));
        Self {
            dir,
            url,
            management,
        }
    }

    /// Its directory.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A variable of its `env`.
    pub(crate) fn variable(&self, name: &str) -> String {
        variable(self.dir.path(), name)
    }

    /// Its host and port.
    pub(crate) fn host(&self) -> &str {
        let (_, rest) = self.url.split_once('@').expect("a login");
        let (host, _) = rest.split_once('/').expect("a virtual host");
        host
    }

    /// Runs `rabbitmqctl` on it.
    pub(crate) fn ctl(&self, arguments: &[&str]) -> String {
        ctl(self.dir.path(), arguments)
    }

    /// Sets one of its limits with `rabbitmqctl`, again while the node does not answer: inside it a limit waits 5 s for
    /// its monitor, and that may be at work on a busy machine.
    pub(crate) fn set(&self, limit: &str, value: &str) {
        let set = || script(self.dir.path(), &["ctl"], &[limit, value]);
        let mut output = set();
        for _ in 0..4 {
            if !output.status.success() {
                output = set();
            }
        }
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{limit} {value}: {told}");
    }

    /// Kills it as a power failure would.
    pub(crate) fn kill(&self) {
        run(self.dir.path(), &["kill"], &[]);
    }

    /// Ends it as a restart of its machine would: in order.
    pub(crate) fn shut_down(&self) {
        self.ctl(&["stop"]);
        // What is left of its process group.
        self.kill();
    }

    /// Kills it, and starts it again without anything that it had kept.
    pub(crate) fn lose_disk(&self) {
        self.kill();
        std::fs::remove_dir_all(self.dir.path().join("mnesia")).expect("its data is there");
        self.restart();
    }

    /// Starts it again after [`Node::kill`] or [`Node::shut_down`], with what its disk holds.
    pub(crate) fn restart(&self) {
        run(self.dir.path(), &["start"], &[]);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        script(self.dir.path(), &["stop"], &[]);
    }
}

fn variable(dir: &Path, name: &str) -> String {
    let env = std::fs::read_to_string(dir.join("env")).expect("the node's env");
    let start = format!("export {name}=");
    let mut lines = env.lines();
    let found = lines.find_map(|line| line.strip_prefix(&start));
    found.expect("the variable in the node's env").to_owned()
}

fn ctl(dir: &Path, arguments: &[&str]) -> String {
    run(dir, &["ctl"], arguments)
}

fn run(dir: &Path, command: &[&str], arguments: &[&str]) -> String {
    let output = script(dir, command, arguments);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "broker.sh {command:?} {arguments:?}: {told}"
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn script(dir: &Path, command: &[&str], arguments: &[&str]) -> Output {
    Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/broker.sh"))
        .args(command)
        .arg(dir)
        .args(arguments)
        .output()
        .expect("scripts/broker.sh runs")
}
