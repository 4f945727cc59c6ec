//! The real program, as an operator runs it: in a directory of its own, with a clean environment.
//!
//! [`Place`] is that directory, [`Running`] a process that is killed when the test ends, and
//! [`FakeTwilio`] a `flexcast simulator` that other processes call over TCP.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use flexcast::twilio::Operation;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::Value;

pub(crate) use super::effects::{balanced, each_once, total, waits, without_consumers};
pub(crate) use super::waiting::eventually;
use super::waiting::{ASK_EVERY, PATIENCE, eventually_within};

/// The repository.
pub(crate) const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A file of the repository, by its path in it.
pub(crate) fn in_repository(path: &str) -> String {
    format!("{ROOT}/{path}")
}

/// A directory to run the program in, and what its environment holds there.
pub(crate) struct Place {
    dir: tempfile::TempDir,
    environment: BTreeMap<String, String>,
}

/// What a process that ended left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The exit code; a process that a signal ended has none.
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// The same, once the exit code is what it should be.
    #[track_caller]
    pub(crate) fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self
    }

    /// Standard output, which is one JSON document and nothing else.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let parsed = serde_json::from_str(&self.out);
        parsed.unwrap_or_else(|error| panic!("{error}: {}\n{}", self.out, self.err))
    }
}

impl Place {
    /// An empty directory and an empty environment: no broker, no account.
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().expect("a directory"),
            environment: BTreeMap::new(),
        }
    }

    /// As [`Place::new`], with a `flexcast.toml` whose waits are short.
    pub(crate) fn impatient() -> Self {
        let place = Self::new();
        place.write("flexcast.toml", SHORT_WAITS);
        place
    }

    /// As [`Place::impatient`], without a limit on our side: for a simulator without limits.
    pub(crate) fn fast() -> Self {
        let place = Self::new();
        place.write("flexcast.toml", fast_config());
        place
    }

    /// As [`Place::fast`], with this fake Twilio's address and credentials in the environment.
    pub(crate) fn facing(twilio: &FakeTwilio) -> Self {
        let mut place = Self::fast();
        place.face(twilio);
        place
    }

    /// Puts a fake Twilio's address and credentials into the environment.
    pub(crate) fn face(&mut self, twilio: &FakeTwilio) {
        self.set("FLEXCAST_TWILIO_URL", &twilio.url);
        self.set("TWILIO_ACCOUNT_SID", &twilio.account_sid);
        self.set("TWILIO_AUTH_TOKEN", &twilio.auth_token);
    }

    /// Sets a variable for every process started here from now on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.insert(name.to_owned(), value.to_owned());
    }

    /// A path in the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file into the directory.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).expect("a file is written");
    }

    /// Reads a JSON file of the directory.
    pub(crate) fn read_json(&self, name: &str) -> Value {
        let text = std::fs::read_to_string(self.path(name)).expect(name);
        serde_json::from_str(&text).expect("JSON")
    }

    /// Runs the program to its end.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let output = assert_cmd::Command::from_std(self.command(arguments))
            .timeout(PATIENCE)
            .output()
            .expect("the program runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        Ran {
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// Starts the program and leaves it running.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        let files = tempfile::tempdir_in(self.dir.path()).expect("a directory");
        let file = |name: &str| File::create(files.path().join(name)).expect("a file");
        let child = self
            .command(arguments)
            .stdout(file("out"))
            .stderr(file("err"))
            .spawn()
            .expect("the program starts");
        Running { child, files }
    }

    /// Starts `flexcast work` on a port of its own, and waits until its pages are served.
    pub(crate) fn work(&self, arguments: &[&str]) -> Running {
        let mut all = vec!["work", "--http", "127.0.0.1:0"];
        all.extend(arguments);
        let mut running = self.start(&all);
        running.address();
        running
    }

    /// The books of a campaign, without the place of their ledger.
    #[track_caller]
    pub(crate) fn status(&self, campaign: &str) -> Value {
        let ran = self.run(&["status", campaign, "--json"]);
        without_place(ran.ends_with(0).json())
    }

    /// Waits until the books of a campaign are as `until` wants them, and gives them.
    pub(crate) fn status_until(&self, campaign: &str, until: impl Fn(&Value) -> bool) -> Value {
        eventually("the campaign's books", || {
            let books = self.status(campaign);
            if until(&books) {
                return Some(books);
            }
            std::thread::sleep(ASK_EVERY);
            None
        })
    }

    /// Runs the program while nothing more can be written to its log: the disk is full.
    #[track_caller]
    pub(crate) fn run_with_a_full_log(&self, arguments: &[&str]) -> Option<i32> {
        let full = File::options().write(true).open("/dev/full");
        let mut command = self.command(arguments);
        command.stdout(Stdio::null()).stderr(full.expect("Linux"));
        command.status().expect("the program runs").code()
    }

    /// Runs the program for a reader who closes the pipe before anything is written into it.
    #[track_caller]
    pub(crate) fn run_for_nobody(&self, arguments: &[&str]) -> Ran {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = self.command(arguments);
        let output = command.stdout(writer).stderr(Stdio::piped()).output();
        let output = output.expect("the program runs");
        Ran {
            code: output.status.code(),
            out: String::new(),
            err: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    /// The program as it is run here.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flexcast"));
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .envs(&self.environment)
            .stdin(Stdio::null());
        command
    }
}

/// A report without the place of its ledger: to compare two of them.
pub(crate) fn without_place(mut report: Value) -> Value {
    let fields = report.as_object_mut().expect("one object");
    fields
        .remove("ledger")
        .expect("each report names its ledger");
    report
}

/// What `flexcast.toml` says so that a retry is a matter of milliseconds, and the tests' sender sends as
/// fast as it is asked to.
pub(crate) const SHORT_WAITS: &str = "\
[senders]
\"+12025550100\" = \"none\"
[work]
settle_time = \"100ms\"
retry = [\"50ms\", \"50ms\", \"100ms\", \"100ms\", \"200ms\", \"200ms\", \"500ms\", \"500ms\", \"1s\", \"1s\"]
";

/// A `flexcast.toml` without limits of ours and with short waits.
pub(crate) fn fast_config() -> String {
    let limits = Operation::ALL
        .iter()
        .map(|operation| format!("{operation} = \"none\"\n"));
    format!("{SHORT_WAITS}[limits]\n{}", limits.collect::<String>())
}

/// A process of ours. It is killed when this is dropped.
pub(crate) struct Running {
    child: Child,
    files: tempfile::TempDir,
}

impl Running {
    /// What it wrote to standard error so far.
    pub(crate) fn err(&self) -> String {
        read(&self.files.path().join("err"))
    }

    /// Where its pages are served, once they are.
    #[track_caller]
    pub(crate) fn address(&mut self) -> String {
        eventually("the pages to be served", || {
            let status = self.child.try_wait().expect("its status");
            let err = self.err();
            let mut lines = err
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok());
            let address = lines.find_map(|line: Value| Some(line["address"].as_str()?.to_owned()));
            assert!(
                status.is_none() || address.is_some(),
                "ended with {status:?}: {err}"
            );
            address
        })
    }

    /// Asks it to stop, as `kill` does.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends it a signal, by its name without SIG.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let mut kill = Command::new("kill");
        let killed = kill.args(["-s", name, &pid]).status().expect("kill runs");
        assert!(killed.success(), "{pid} is gone");
    }

    /// From now on it may have at most so many files open.
    pub(crate) fn limit_open_files(&self, limit: Rlimit) {
        let id = i32::try_from(self.child.id()).expect("an id");
        prlimit(Pid::from_raw(id), Resource::Nofile, limit).expect("the limit is set");
    }

    /// What `/readyz` says: the status, and the body.
    pub(crate) fn readiness(&mut self) -> (u16, Value) {
        let base = format!("http://{}", self.address());
        let (status, body) = http(&base, "GET", "/readyz", "");
        (status, serde_json::from_str(&body).expect("JSON"))
    }

    /// A sample of its metrics, by the whole series.
    #[track_caller]
    pub(crate) fn metric(&mut self, series: &str) -> f64 {
        let page = http_get(&format!("http://{}", self.address()), "/metrics");
        let mut lines = page.lines();
        let value = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        let value = value.unwrap_or_else(|| panic!("{series} is not in:\n{page}"));
        value.parse().expect("a number")
    }

    /// The most memory it has had so far, in bytes (Linux's `VmHWM`).
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = read(Path::new(&format!("/proc/{}/status", self.child.id())));
        let mut lines = status.lines();
        let peak = lines.find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
        let kib: u64 = peak.expect("Linux").parse().expect("a number");
        kib * 1_024
    }

    /// Ends it as a crash does (SIGKILL).
    pub(crate) fn crash(&mut self) {
        self.child.kill().expect("it is killed");
        self.child.wait().expect("it has ended");
    }

    /// Waits until it has ended.
    pub(crate) fn ended(&mut self) -> Ran {
        self.ended_within(PATIENCE)
    }

    /// Waits until it has ended, for as long as `patience`.
    pub(crate) fn ended_within(&mut self, patience: Duration) -> Ran {
        let status = eventually_within(patience, "the process to end", || {
            self.child.try_wait().expect("its status")
        });
        Ran {
            code: status.code(),
            out: read(&self.files.path().join("out")),
            err: self.err(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("what a process wrote")
}

/// `flexcast simulator` on a port of its own.
pub(crate) struct FakeTwilio {
    child: Child,
    pub(crate) url: String,
    pub(crate) account_sid: String,
    pub(crate) auth_token: String,
}

impl FakeTwilio {
    /// Starts one that lifts Twilio's published limits.
    pub(crate) fn start() -> Self {
        Self::start_with(&["--no-limits"])
    }

    /// Starts one with these arguments, and waits until it listens.
    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_flexcast"))
            .args(["simulator", "--port", "0"])
            .args(arguments)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the simulator starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut told = |name: &str| {
            let line = lines.next().expect("a line").expect("UTF-8");
            let value = line.strip_prefix(name).and_then(|l| l.strip_prefix('='));
            value.unwrap_or_else(|| panic!("{line}")).to_owned()
        };
        Self {
            url: told("FLEXCAST_TWILIO_URL"),
            account_sid: told("TWILIO_ACCOUNT_SID"),
            auth_token: told("TWILIO_AUTH_TOKEN"),
            child,
        }
    }

    /// What changed there, oldest first.
    pub(crate) fn effects(&self) -> Vec<Value> {
        let effects = http_get(&self.url, "/_simulator/effects");
        serde_json::from_str(&effects).expect("a list")
    }

    /// The requests it read: time, operation, status.
    pub(crate) fn requests(&self) -> Vec<Value> {
        let requests = http_get(&self.url, "/_simulator/requests");
        serde_json::from_str(&requests).expect("a list")
    }

    /// How many changing requests it has read.
    pub(crate) fn changes(&self) -> usize {
        let is_change = |request: &&Value| {
            let name = request["operation"].as_str().unwrap_or_default();
            let mut all = Operation::ALL.iter();
            all.any(|operation| operation.as_str() == name && operation.is_changing())
        };
        self.requests().iter().filter(is_change).count()
    }

    /// Changes one of its agents.
    pub(crate) fn change_agent(&self, name: &str, change: &Value) {
        let path = format!("/_simulator/agents/{name}");
        let (status, body) = http(&self.url, "POST", &path, &change.to_string());
        assert_eq!(status, 200, "{body}");
    }

    /// Its agents: name, activity, open tasks.
    pub(crate) fn agents(&self) -> Vec<Value> {
        let agents = http_get(&self.url, "/_simulator/agents");
        serde_json::from_str(&agents).expect("a list")
    }

    /// An agent ends one of their tasks.
    pub(crate) fn complete_task(&self, sid: &str) {
        let path = format!("/_simulator/tasks/{sid}/complete");
        let (status, body) = http(&self.url, "POST", &path, "");
        assert_eq!(status, 204, "{body}");
    }

    /// Has it follow these faults from now on.
    pub(crate) fn set_faults(&self, faults: &Value) {
        let (status, body) = http(&self.url, "PUT", "/_simulator/faults", &faults.to_string());
        assert_eq!(status, 204, "{body}");
    }
}

impl Drop for FakeTwilio {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The body of a page.
pub(crate) fn http_get(base: &str, path: &str) -> String {
    let (status, body) = http(base, "GET", path, "");
    assert_eq!(status, 200, "{path}: {body}");
    body
}

/// One exchange with a server of ours, over HTTP/1.0: the reply ends with the connection.
fn http(base: &str, method: &str, path: &str, body: &str) -> (u16, String) {
    let host = base.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).expect("a connection");
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.0\r\nhost: {host}\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("a reply");
    let (head, body) = reply.split_once("\r\n\r\n").expect("a head and a body");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    (status.expect("a status"), body.to_owned())
}

/// Waits until a consumer says that its ledger is lost and lets go of everything; from there on it
/// changes nothing. Returns why it is lost.
#[track_caller]
pub(crate) fn ledger_is_lost_once(work: &mut Running, twilio: &FakeTwilio) -> String {
    let why = eventually("the consumer to say why it is not ready", || {
        let (status, body) = work.readiness();
        let why = body["why"].as_str()?.to_owned();
        assert_eq!((status, &body["ready"]), (503, &Value::Bool(false)));
        assert_eq!(body["failed"], serde_json::json!(["ledger"]), "{body}");
        Some(why)
    });
    // What had left is answered, and what waits at Twilio's door is turned back.
    eventually("what is in flight to be let go of", || {
        let in_flight = work.metric("flexcast_in_flight_messages");
        (in_flight == 0.0 && work.metric("flexcast_twilio_in_flight_requests") == 0.0).then_some(())
    });
    assert_eq!(work.metric("flexcast_ledger_usable"), 0.0);
    let changes = twilio.changes();
    // Longer than any wait after which a turn used to be tried again.
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(
        twilio.changes(),
        changes,
        "changed while the ledger was lost"
    );
    why
}
