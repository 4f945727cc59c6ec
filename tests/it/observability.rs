//! What Prometheus, its dashboard and probes see of a consumer at work, asked of the real ones.
//!
//! Debian's package `prometheus` has both programs; without it these tests fail.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use super::support::program::{Running, Simulated, flexcast, get, repository, succeed, until};
use super::support::prometheus;

const CUSTOMERS: usize = 90;

/// Something of everything: throttling, errors that pass (with look-ups that fail too, so that a turn
/// ends without an outcome), and customers that cannot be reached.
const FAULTS: &str = r#"{"seed": 5, "rules": [
  {"operation": "*", "kind": "latency", "ms": 20},
  {"operation": "create_conversation", "rate": 0.1, "kind": "too_many_requests", "retry_after": 1},
  {"operation": "create_conversation_participant", "customers": ["+12025550101"], "first": 5,
   "kind": "server_error", "status": 503},
  {"operation": "fetch_conversation", "first": 4, "kind": "server_error", "status": 503},
  {"operation": "create_conversation_message", "customers": {"rate": 0.15}, "kind": "error",
   "status": 400, "code": 21211}
]}"#;

const CAMPAIGN: &str = "id = 'watched'\nstrategy = 'task_on_reply'\nchannel = 'sms'\n\
                        sender = '+12025550100'\nbody = 'Hello'\n\
                        [flex]\nstudio_flow_sid = 'FW00000000000000000000000000000001'\n\
                        [pace]\ncampaign = '20/s'\nagent = '10/s'\n";

const SETTINGS: &str = "[senders]\n'+12025550100' = 'none'\n[work]\nretry = ['200ms', '400ms', '800ms', '1s', '1s', '1s']\n";

/// A consumer with its pages, on a state of its own, and the fake Twilio it works on.
struct Consumer {
    folder: tempfile::TempDir,
    simulated: Simulated,
    work: Running,
    pages: String,
}

impl Consumer {
    async fn start(faults: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        fs::write(path.join("faults.json"), faults).expect("written");
        fs::write(path.join("watched.toml"), CAMPAIGN).expect("written");
        fs::write(path.join("flexcast.toml"), SETTINGS).expect("written");
        let flags = ["--no-limits", "--faults", "faults.json"];
        let simulated = Simulated::start(path, &flags).await;
        let mut command = flexcast(path);
        command.envs(simulated.environment.clone());
        succeed(command.args(["campaign", "apply", "watched.toml"]));
        let mut command = flexcast(path);
        command.envs(simulated.environment.clone());
        command.args(["work", "--http", "127.0.0.1:0"]);
        let mut work = Running::start(&mut command, path, "work");
        let pages = work.tells("\"address\":\"", &['"']).await;
        Self {
            folder,
            simulated,
            work,
            pages,
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn import(&self, customers: usize) {
        let mut file = String::from("phone,agent\nnobody,alice\n");
        for n in 0..customers {
            let (area, line) = ([202, 212, 303, 415][n % 4], 101 + n / 4);
            let agent = ["alice", "bob", "carol"][n % 3];
            writeln!(file, "+1{area}5550{line},{agent}").expect("a String takes everything");
        }
        fs::write(self.path().join("watched.csv"), file).expect("written");
        let mut command = flexcast(self.path());
        command.envs(self.simulated.environment.clone());
        succeed(command.args(["import", "watched", "watched.csv"]));
    }

    async fn get(&self, page: &str) -> (u16, String) {
        let url = format!("http://{}{page}", self.pages);
        let got = get(url.parse().expect("a URL")).await;
        got.expect("the pages answer")
    }

    /// The value of a series on `/metrics`, whose labels are in the order of the alphabet.
    async fn metric(&self, series: &str) -> f64 {
        let (_, text) = self.get("/metrics").await;
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        let value = value.unwrap_or_else(|| panic!("no {series}"));
        value.parse().expect("a number")
    }

    async fn count(&self, state: &str) -> f64 {
        let series = format!("flexcast_books_messages{{state=\"{state}\"}}");
        self.metric(&series).await
    }

    async fn open(&self) -> f64 {
        let mut open = 0.0;
        for state in ["queued", "scheduled", "retrying", "held", "in_flight"] {
            open += self.count(state).await;
        }
        open
    }
}

/// A Prometheus of the test's own that scrapes the consumer every second.
struct Prometheus {
    _process: Running,
    url: String,
}

impl Prometheus {
    async fn start(consumer: &Consumer) -> Self {
        let folder = consumer.path().join("prometheus");
        fs::create_dir(&folder).expect("a folder");
        let config = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: ['{}']\n\
             scrape_configs:\n- job_name: flexcast\n  static_configs:\n  - targets: ['{}']\n",
            repository("deploy/prometheus/alerts.yml").display(),
            consumer.pages
        );
        fs::write(folder.join("prometheus.yml"), config).expect("written");
        // Free now; nothing else of this machine is given this one in the moment until it is taken.
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("its number").to_string();
        drop(free);
        let mut command = Command::new("prometheus");
        command.current_dir(&folder).args([
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=data",
            &format!("--web.listen-address={address}"),
        ]);
        let process = Running::start(&mut command, &folder, "prometheus");
        let url = format!("http://{address}");
        let started = Self {
            _process: process,
            url,
        };
        until("a first scrape", async || {
            started.ask("up{job=\"flexcast\"}").await == Some(1.0)
        })
        .await;
        started
    }

    async fn ask(&self, query: &str) -> Option<f64> {
        prometheus::ask(&self.url, query).await
    }
}

#[tokio::test]
async fn every_panel_of_the_dashboard_has_data_after_a_run() {
    let consumer = Consumer::start(FAULTS).await;
    let prometheus = Prometheus::start(&consumer).await;
    consumer.import(CUSTOMERS);
    until("the end of the run", async || {
        consumer.count("accepted").await == CUSTOMERS as f64 && consumer.open().await == 0.0
    })
    .await;
    let (done, dead) = (consumer.count("done").await, consumer.count("dead").await);
    assert_eq!(done + dead, CUSTOMERS as f64);
    assert!(dead > 0.0, "customers with a permanent error");
    let letters = "flexcast_dead_letters_total{reason=\"invalid_address\"}";
    assert_eq!(consumer.metric(letters).await, dead);
    let lying = consumer.metric("flexcast_dead_letter_queue_messages");
    assert_eq!(lying.await, dead);
    let retried = "flexcast_messages_total{api=\"conversations\",outcome=\"retrying\",\
                   strategy=\"task_on_reply\"}";
    assert!(consumer.metric(retried).await > 0.0, "requests that failed");
    let agents = "flexcast_pacing_wait_seconds_count{limit=\"agent\"}";
    assert!(consumer.metric(agents).await > 0.0, "agents have a pace");
    let rejected = "flexcast_import_rows_total{result=\"rejected\"}";
    assert_eq!(consumer.metric(rejected).await, 1.0);
    assert_eq!(consumer.metric("flexcast_in_flight_messages").await, 0.0);
    assert_eq!(consumer.metric("flexcast_in_flight_limit").await, 64.0);

    until("a scrape after the run", async || {
        let scraped = prometheus.ask("flexcast_books_messages{state=\"done\"}");
        scraped.await == Some(done)
    })
    .await;
    let mut check = Command::new("python3");
    check.arg(repository("scripts/check-dashboards.py"));
    let told = succeed(check.arg(&prometheus.url));
    assert!(told.contains(" 0 failed"), "{told}");
}

#[tokio::test]
async fn the_metrics_are_clean_to_prometheus_own_linter() {
    let consumer = Consumer::start(FAULTS).await;
    consumer.import(8);
    until("messages done", async || {
        consumer.count("done").await >= 2.0
    })
    .await;
    let (status, text) = consumer.get("/metrics").await;
    assert_eq!(status, 200);
    let path = consumer.path().join("metrics.txt");
    fs::write(&path, text).expect("written");
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]);
    let file = fs::File::open(path).expect("what was written");
    let output = promtool.stdin(Stdio::from(file)).output();
    let output = output.expect("promtool: scripts/install-test-deps.sh installs it");
    let told = String::from_utf8_lossy(&output.stderr);
    // It ends with 0 for some of what it has to say.
    assert!(output.status.success() && told.is_empty(), "{told}");
}

#[test]
fn the_alerts_are_valid_and_their_tests_pass() {
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "rules", "--lint=all", "--lint-fatal"]);
    succeed(promtool.arg(repository("deploy/prometheus/alerts.yml")));
    let mut promtool = Command::new("promtool");
    promtool.args(["test", "rules"]);
    succeed(promtool.arg(repository("deploy/prometheus/tests/alerts_test.yml")));
    for config in ["prometheus.yml", "local.yml"] {
        let mut promtool = Command::new("promtool");
        promtool.args(["check", "config", "--syntax-only"]);
        succeed(promtool.arg(repository(&format!("deploy/prometheus/{config}"))));
    }
}

#[tokio::test]
async fn a_draining_consumer_is_alive_and_not_ready() {
    let slow = r#"{"rules": [{"operation": "changing", "kind": "latency", "ms": 1000}]}"#;
    let mut consumer = Consumer::start(slow).await;
    let ready = (200, r#"{"ready":true,"failed":[]}"#.to_owned());
    assert_eq!(consumer.get("/readyz").await, ready);
    assert_eq!(consumer.get("/livez").await, (200, "ok\n".to_owned()));
    consumer.import(8);
    until("a message in flight", async || {
        consumer.metric("flexcast_in_flight_messages").await > 0.0
    })
    .await;
    consumer.work.terminate();
    let draining = (503, r#"{"ready":false,"failed":["draining"]}"#.to_owned());
    until("not ready", async || {
        consumer.get("/readyz").await == draining
    })
    .await;
    assert_eq!(consumer.get("/livez").await.0, 200);
    assert!(consumer.work.ended().await.success());
}
