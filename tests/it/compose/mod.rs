//! `docker-compose.yml` without Docker: its services run as processes of this machine, with the file's commands,
//! variables, mounts and health checks, and a user does what the head of the file says.
//!
//! This shows what the file and the Dockerfile say. What only a daemon shows is left: that the images can be pulled,
//! what their entry points do, and Docker's own networks, volumes and restarts. The natives are Debian's: older than
//! the images, and what is known to differ is checked by hand (see [`scraped_as_prometheus_3_wants_it`]).

mod build;
mod file;
mod grafana;
mod image;
mod map;
mod refused;
mod stack;

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use self::file::Compose;
use self::stack::Stack;
use super::support::program::{get, repository, succeed, until};
use super::support::prometheus::ask;

/// Something of everything that the dashboard shows: throttling, an error that passes, a look-up that fails until the
/// turn ends without an outcome, and customers that cannot be reached. One customer is of the example's list.
const FAULTS: &str = r#"{"seed": 5, "rules": [
  {"operation": "create_conversation", "rate": 0.1, "kind": "too_many_requests", "retry_after": 1},
  {"operation": "create_conversation_participant", "customers": ["+12125550101"], "first": 4, "kind": "server_error",
   "status": 503},
  {"operation": "fetch_conversation", "first": 4, "kind": "server_error", "status": 503},
  {"operation": "create_conversation_message", "customers": {"rate": 0.15}, "kind": "error", "status": 400,
   "code": 21211}
]}"#;

/// How often Prometheus is asked for what its next scrape brings, five times a second: for four scrapes of 15 s.
const LOOKS: usize = 300;

/// What the faults cause: a panel of errors has more to show than zeros.
const CAUSED: [&str; 5] = [
    "flexcast_messages_total{outcome=\"retrying\"}",
    "flexcast_messages_total{outcome=\"dead\"}",
    "flexcast_dead_letters_total{reason=\"invalid_address\"}",
    "flexcast_twilio_request_duration_seconds_count{code=\"429\"}",
    "flexcast_twilio_request_duration_seconds_count{code=\"5xx\"}",
];

/// What a Prometheus from version 3 on takes. Older ones, such as Debian's, take anything for text.
const CONTENT_TYPES: [&str; 2] = ["text/plain;version=0.0.4", "text/plain;version=1.0.0"];

#[tokio::test]
async fn the_stack_of_docker_compose_runs_and_every_panel_has_data() {
    let text = file::text();
    let mut stack = Stack::new(Compose::parse(&text), image::read());
    stack.up().await;
    let addresses = file::told_addresses(&text);
    assert!(addresses.len() >= 4, "{addresses:?}");
    for address in &addresses {
        // Grafana's has its port checked alone.
        let url = stack.map.told_url(address);
        if !address.contains(":3000") {
            assert_eq!(get(url).await.expect("an answer").0, 200, "{address}");
        }
    }
    put_faults(&stack).await;
    for command in told_commands(&text) {
        let (service, words) = command
            .split_first()
            .expect("docker compose exec names a service");
        stack.execute(service, words);
    }
    publish(&stack);
    let rows =
        csv::Reader::from_path(repository("examples/spring-renewals.csv")).expect("the list");
    let customers = rows.into_records().count() + 1;
    books_are_done(&stack, customers).await;
    all_is_scraped(&stack).await;
    let mut check = Command::new("python3");
    check.arg(repository("scripts/check-dashboards.py"));
    let told = succeed(check.arg(prometheus(&stack, "").as_str()));
    assert!(told.contains(" 0 failed"), "{told}");
}

/// The commands after `up`, each as the service and the words that are executed in it.
fn told_commands(text: &str) -> Vec<Vec<String>> {
    let mut commands = file::told_commands(text).into_iter();
    let first = commands.next().expect("the head tells how to start");
    assert_eq!(
        first,
        ["up", "--build", "--wait"],
        "the head starts the stack first"
    );
    let executed = commands.map(|command| match command.split_first() {
        Some((first, rest)) if first == "exec" => rest.to_vec(),
        _ => panic!("the head tells a command that this test does not know: {command:?}"),
    });
    let executed: Vec<_> = executed.collect();
    assert!(
        executed.len() >= 2,
        "the head applies a campaign and imports a list: {executed:?}"
    );
    executed
}

/// A client for servers on this machine.
fn client() -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy();
    builder.build().expect("a client")
}

async fn put_faults(stack: &Stack) {
    let url = stack
        .map
        .told_url("http://127.0.0.1:8080/_simulator/faults");
    let request = client()
        .put(url)
        .header("content-type", "application/json")
        .body(FAULTS);
    let reply = request.send().await.expect("the simulator answers");
    assert!(
        reply.status().is_success(),
        "{}",
        reply.text().await.unwrap_or_default()
    );
}

/// What a CRM does: it reaches the broker through the port that the file publishes.
fn publish(stack: &Stack) {
    let broker = &stack.compose.service("rabbitmq").environment;
    let (user, password) = (
        &broker["RABBITMQ_DEFAULT_USER"],
        &broker["RABBITMQ_DEFAULT_PASS"],
    );
    let url = format!(
        "amqp://{user}:{password}@127.0.0.1:{}/%2f",
        stack.map.published(5672)
    );
    let mut publish = Command::new(repository("target/venv/bin/python"));
    publish
        .arg(repository("examples/publish.py"))
        .env("AMQP_URL", url);
    let words = [
        "spring-renewals",
        "+12025550173",
        "--id",
        "crm-4799",
        "--name",
        "Clark",
        "--agent",
        "alice",
    ];
    succeed(publish.args(words));
}

/// Every customer of the list and the published one came to an end, and none of them is unknown.
async fn books_are_done(stack: &Stack, customers: usize) {
    let url = stack.map.told_url("http://127.0.0.1:9464/metrics");
    let mut text = String::new();
    until(&format!("the end of {customers} messages"), async || {
        text = get(url.clone()).await.expect("the pages answer").1;
        ended(&text) == customers as f64
    })
    .await;
    for state in ["done", "dead"] {
        assert!(count(&text, state) > 0.0, "no message is {state}");
    }
    assert_eq!(count(&text, "accepted"), customers as f64);
}

fn ended(text: &str) -> f64 {
    ["done", "dead", "skipped"]
        .map(|state| count(text, state))
        .iter()
        .sum()
}

fn count(text: &str, state: &str) -> f64 {
    let series = format!("flexcast_books_messages{{state=\"{state}\"}} ");
    let value = text.lines().find_map(|line| line.strip_prefix(&series));
    value.map_or(0.0, |value| value.parse().expect("a number"))
}

fn prometheus(stack: &Stack, path: &str) -> reqwest::Url {
    stack.map.told_url(&format!("http://127.0.0.1:9090/{path}"))
}

async fn answer(url: reqwest::Url) -> Value {
    let (_, text) = get(url).await.expect("Prometheus answers");
    let reply: Value = text.parse().expect("JSON");
    assert_eq!(reply["status"], "success", "{reply}");
    reply["data"].clone()
}

/// Whether a query has an answer.
async fn has_series(stack: &Stack, query: &str) -> bool {
    ask(prometheus(stack, "").as_str(), query).await.is_some()
}

/// Every target of the scrape configuration is up and seen after the run, each rule is evaluated, and the series of the
/// broker's that the alerts name are there.
async fn all_is_scraped(stack: &Stack) {
    let mut targets = Vec::new();
    soon(async || {
        let data = answer(prometheus(stack, "api/v1/targets")).await;
        targets = data["activeTargets"].as_array().expect("targets").clone();
        match targets.iter().find(|target| target["health"] != "up") {
            Some(target) => Err(format!("a target is not up: {target}")),
            None => Ok(()),
        }
    })
    .await;
    let jobs: Vec<&str> = targets
        .iter()
        .filter_map(|target| target["labels"]["job"].as_str())
        .collect();
    for job in ["flexcast", "rabbitmq", "rabbitmq-detailed"] {
        assert!(
            jobs.contains(&job),
            "prometheus.yml has no job {job}: {jobs:?}"
        );
    }
    for target in &targets {
        scraped_as_prometheus_3_wants_it(target).await;
    }
    soon(async || {
        let open =
            "sum(flexcast_books_messages{state=~\"queued|scheduled|retrying|held|in_flight\"})";
        let done = "sum(flexcast_books_messages{state=\"done\"})";
        let is_seen = has_series(stack, &format!("{open} == 0 and {done} > 0")).await;
        is_seen
            .then_some(())
            .ok_or_else(|| "Prometheus does not see the end of the run".to_owned())
    })
    .await;
    for series in CAUSED {
        assert!(
            has_series(stack, &format!("sum({series}) > 0")).await,
            "the faults cause no {series}"
        );
    }
    for metric in ["messages_ready", "consumers"] {
        let query = format!(
            "rabbitmq_detailed_queue_{metric}{{queue=~\"flexcast\\\\.work\\\\..+\",vhost=\"/\"}}"
        );
        // Scraped less often than the rest.
        soon(async || {
            let is_there = has_series(stack, &query).await;
            is_there
                .then_some(())
                .ok_or_else(|| format!("the alerts name a series that is not there: {query}"))
        })
        .await;
    }
    soon(async || {
        let data = answer(prometheus(stack, "api/v1/rules")).await;
        let groups = data["groups"].as_array().expect("groups");
        let mut rules = groups
            .iter()
            .flat_map(|group| group["rules"].as_array().expect("rules"));
        match rules.find(|rule| rule["health"] != "ok") {
            Some(rule) => Err(format!("a rule is not evaluated: {rule}")),
            None => groups
                .first()
                .map(|_| ())
                .ok_or_else(|| "Prometheus has no rules".to_owned()),
        }
    })
    .await;
}

/// Looks again until there is nothing to complain of; panics with the last complaint.
async fn soon(mut look: impl AsyncFnMut() -> Result<(), String>) {
    let mut last = Ok(());
    for _ in 0..LOOKS {
        last = look().await;
        if last.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("{}", last.expect_err("the last look found something"));
}

/// From version 3 on, Prometheus refuses a page whose content type it does not know.
async fn scraped_as_prometheus_3_wants_it(target: &Value) {
    let url = target["scrapeUrl"].as_str().expect("where it is scraped");
    let reply = client()
        .get(url)
        .send()
        .await
        .unwrap_or_else(|error| panic!("{url}: {error}"));
    let content_type = reply
        .headers()
        .get("content-type")
        .and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or_default();
    let plain = content_type.replace(' ', "");
    let is_known = CONTENT_TYPES.iter().any(|known| plain.starts_with(known));
    assert!(is_known, "{url} has the content type {content_type:?}");
}
