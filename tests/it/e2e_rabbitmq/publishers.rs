//! The example publishers against a real broker: what they send is carried out, what is wrong with it
//! is told to them, and ends where the contract says.

use std::collections::BTreeMap;
use std::fs::File;
use std::process::{Child, Command, Stdio};

use lapin::options::{ExchangeDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{ConnectionProperties, ExchangeKind};
use serde_json::{Value, json};

use super::{CAMPAIGN, applied, queue_with, read_queue};
use crate::support::broker::{Vhost, connect};
use crate::support::flexcast::{FakeTwilio, Place, each_once, eventually, in_repository};

/// The example in each language.
#[derive(Clone, Copy, Debug)]
enum Language {
    Python,
    Node,
}

/// An example that runs. It is killed when this is dropped.
struct Publisher {
    child: Child,
    files: tempfile::TempDir,
}

impl Publisher {
    fn start(language: Language, url: &str, campaign: &str, lines: &str, watches: bool) -> Self {
        let files = tempfile::tempdir().expect("a folder");
        let path = files.path().join("lines.jsonl");
        std::fs::write(&path, lines).expect("written");
        let mut command = match language {
            Language::Python => {
                let mut command = Command::new(in_repository("target/venv/bin/python"));
                let script = in_repository("examples/publish.py");
                command.args([script.as_str(), campaign, "--lines"]);
                command
            }
            Language::Node => {
                let mut command = Command::new("node");
                command.env("NODE_PATH", in_repository("tests/oracle/node_modules"));
                command.args([in_repository("examples/publish.js").as_str(), campaign]);
                command
            }
        };
        command.arg(&path).env("AMQP_URL", url).stdin(Stdio::null());
        if watches {
            // Until the test has seen what it waits for.
            command.args(["--watch", "600"]);
        }
        let file = |name: &str| File::create(files.path().join(name)).expect("a file");
        command.stdout(file("out")).stderr(file("err"));
        Self {
            child: command.spawn().expect("the example starts"),
            files,
        }
    }

    fn said(&self, name: &str) -> String {
        std::fs::read_to_string(self.files.path().join(name)).expect("what it said")
    }

    /// The refusals it was told, once there are so many.
    fn refusals(&self, count: usize) -> Vec<Value> {
        eventually("refusals", || {
            let said = self.said("out");
            let whole = said
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok());
            let all: Vec<Value> = whole.collect();
            Some(all).filter(|all| all.len() >= count)
        })
    }

    /// How it ended, and what it said of that.
    fn ended(&mut self) -> (Option<i32>, String) {
        let status = self.child.wait().expect("it ends");
        (status.code(), self.said("err"))
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is refused: the id it has, the reason, and what the detail names.
const REFUSED: [(Option<&str>, &str, &str); 8] = [
    (Some("typo"), "malformed", "fone"),
    (None, "malformed", "EOF"),
    (Some("long"), "oversized", "131072"),
    (Some("newer"), "wrong_version", "version 2"),
    (Some("no-plus"), "invalid_address", "E.164"),
    (Some("blank"), "invalid_content", ""),
    (Some("over-1600"), "invalid_content", "21617"),
    (Some("long-name"), "invalid_content", "257 characters"),
];

fn lines() -> String {
    let long = "x".repeat(128 * 1024);
    let long = json!({
        "campaign": "spring", "id": "long", "customer": {"address": "+12025550175"}, "body": long
    });
    let over = json!({
        "campaign": "spring", "id": "over-1600", "customer": {"address": "+12025550179"},
        "body": "x".repeat(1_601)
    });
    let named = json!({
        "campaign": "spring", "id": "long-name",
        "customer": {"address": "+12025550180", "name": "n".repeat(257)}
    });
    let lines = [
        r#"{"campaign":"spring","id":"good","customer":{"address":"+12025550173"}}"#,
        r#"{"campaign":"spring","id":"typo","customer":{"address":"+12025550174","fone":"1"}}"#,
        r#"{"campaign":"spring", "#,
        &long.to_string(),
        r#"{"version":2,"campaign":"spring","id":"newer","to":["+12025550176"]}"#,
        r#"{"campaign":"spring","id":"no-plus","customer":{"address":"12025550177"}}"#,
        r#"{"campaign":"spring","id":"blank","customer":{"address":"+12025550178"},"body":" "}"#,
        &over.to_string(),
        &named.to_string(),
        r#"{"campaign":"spring","id":"good","customer":{"address":"+12025550173"}}"#,
    ];
    lines.join("\n")
}

fn checked(refusals: &[Value]) -> BTreeMap<(Option<&str>, &str), &Value> {
    let path = in_repository("docs/schema/refusal.v1.json");
    let schema = std::fs::read_to_string(path).expect("a schema");
    let schema = serde_json::from_str(&schema).expect("JSON");
    let by = refusals.iter().map(|refusal| {
        assert!(jsonschema::is_valid(&schema, refusal), "{refusal}");
        let reason = refusal["reason"].as_str().expect("a reason");
        ((refusal["id"].as_str(), reason), refusal)
    });
    by.collect()
}

async fn what_is_refused_is_told(language: Language) {
    let vhost = Vhost::new().await;
    let twilio = FakeTwilio::start();
    let place = applied(&vhost.url, &twilio, None);
    let mut work = place.work(&[]);
    let publisher = Publisher::start(language, &vhost.url, CAMPAIGN, &lines(), true);
    let refusals = publisher.refusals(REFUSED.len());
    let by_id = checked(&refusals);
    for (id, reason, named) in REFUSED {
        let refusal = by_id.get(&(id, reason));
        let refusal = refusal.unwrap_or_else(|| panic!("{id:?} {reason}: {refusals:?}"));
        assert_eq!(refusal["campaign"], CAMPAIGN);
        let detail = refusal["detail"].as_str().expect("a sentence");
        assert!(detail.contains(named), "{detail} should name {named}");
        assert!(!detail.contains("2025550"), "{detail}");
    }
    // Told once each, dead once each, and nothing comes round.
    let books = place.status_until(CAMPAIGN, |books| books["done"] == json!(1));
    assert_eq!(refusals.len(), REFUSED.len(), "{refusals:?}");
    // A message with an impossible number is refused before it is accepted: its id can come again with the right number.
    assert_eq!(books["accepted"], json!(4), "{books}");
    let letters = queue_with(&vhost.url, "flexcast.dead", REFUSED.len());
    let mut reasons: Vec<_> = letters
        .iter()
        .map(|letter| letter["headers"]["flexcast-reason"].as_str())
        .collect();
    reasons.sort_unstable();
    let mut expected: Vec<_> = REFUSED.iter().map(|(_, reason, _)| Some(*reason)).collect();
    expected.sort_unstable();
    assert_eq!(reasons, expected);
    each_once(&twilio.effects(), "message", &["+12025550173"]);
    work.terminate();
    work.ended().ends_with(0);
    let left = read_queue(&vhost.url, "flexcast.work.spring");
    assert_eq!(left, Vec::<Value>::new());
    listed(&place, &expected);
}

/// `dead list` has these reasons too.
fn listed(place: &Place, expected: &[Option<&str>]) {
    let listed = place.run(&["dead", "list", "--json"]).ends_with(0).json();
    let rows = listed.as_array().expect("a list");
    let mut reasons: Vec<_> = rows.iter().map(|row| row["reason"].as_str()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, expected, "{listed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_example_hears_what_is_refused() {
    what_is_refused_is_told(Language::Python).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_node_example_hears_what_is_refused() {
    what_is_refused_is_told(Language::Node).await;
}

/// A message under a key that no campaign has.
const ORPHAN: &str = r#"{"campaign":"winter","id":"w-1","customer":{"address":"+12025550173"}}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_without_a_campaign_is_refused_once_and_kept_among_the_dead() {
    let vhost = Vhost::new().await;
    let twilio = FakeTwilio::start();
    let place = applied(&vhost.url, &twilio, None);
    let publisher = Publisher::start(Language::Node, &vhost.url, "winter", ORPHAN, true);
    queue_with(&vhost.url, "flexcast.orphan", 1);
    let mut work = place.work(&[]);
    let refusals = publisher.refusals(1);
    assert!(checked(&refusals).contains_key(&(Some("w-1"), "no_campaign")));
    let letters = queue_with(&vhost.url, "flexcast.dead", 1);
    assert_eq!(letters[0]["body"], ORPHAN);
    assert_eq!(letters[0]["routing_key"], "winter");
    assert_eq!(letters[0]["headers"]["flexcast-reason"], "no_campaign");
    work.terminate();
    work.ended().ends_with(0);
    let orphans = read_queue(&vhost.url, "flexcast.orphan");
    assert_eq!(orphans, Vec::<Value>::new());
    listed(&place, &[Some("no_campaign")]);
    assert_eq!(twilio.effects(), Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orphan_goes_to_its_campaign_once_that_is_there() {
    let vhost = Vhost::new().await;
    let twilio = FakeTwilio::start();
    let place = applied(&vhost.url, &twilio, None);
    // Nobody else's: tests on somebody's own broker delete what has the names of these.
    let channel = connect(&vhost.url).await.create_channel().await;
    let channel = channel.expect("a channel");
    let queue = format!("flexcast.work.{CAMPAIGN}");
    let deleting = channel.queue_delete(queue.into(), QueueDeleteOptions::default());
    deleting.await.expect("deleted");
    let line = lines();
    let line = line.lines().next().expect("a line");
    let mut publisher = Publisher::start(Language::Python, &vhost.url, CAMPAIGN, line, false);
    assert_eq!(publisher.ended().0, Some(0));
    queue_with(&vhost.url, "flexcast.orphan", 1);
    let mut work = place.work(&[]);
    place.status_until(CAMPAIGN, |books| books["done"] == json!(1));
    each_once(&twilio.effects(), "message", &["+12025550173"]);
    work.terminate();
    work.ended().ends_with(0);
    let dead = read_queue(&vhost.url, "flexcast.dead");
    assert_eq!(dead, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_back_is_not_called_published() {
    let vhost = Vhost::new().await;
    let twilio = FakeTwilio::start();
    let _place = applied(&vhost.url, &twilio, None);
    let channel = connect(&vhost.url).await.create_channel().await;
    let channel = channel.expect("a channel");
    let options = QueueDeleteOptions::default();
    let deleting = channel.queue_delete("flexcast.orphan".into(), options);
    deleting.await.expect("deleted");
    for language in [Language::Python, Language::Node] {
        let mut publisher = Publisher::start(language, &vhost.url, "winter", ORPHAN, false);
        let (code, said) = publisher.ended();
        assert_eq!(code, Some(1), "{language:?}: {said}");
        assert!(said.contains("0 published"), "{language:?}: {said}");
        assert!(said.contains("returned"), "{language:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_exchanges_are_those_of_the_asyncapi_document() {
    let vhost = Vhost::new().await;
    let twilio = FakeTwilio::start();
    let _place = applied(&vhost.url, &twilio, None);
    // Declaring again what is there succeeds only when it is the same.
    let same = [
        ("flexcast", ExchangeKind::Direct, true, true),
        ("flexcast.rejected", ExchangeKind::Topic, true, true),
        ("flexcast", ExchangeKind::Topic, true, false),
        ("flexcast.rejected", ExchangeKind::Fanout, true, false),
    ];
    let properties = ConnectionProperties::default();
    let connection = lapin::Connection::connect(&vhost.url, properties).await;
    let connection = connection.expect("a connection");
    for (name, kind, durable, is_same) in same {
        let channel = connection.create_channel().await.expect("a channel");
        let options = ExchangeDeclareOptions {
            durable,
            ..Default::default()
        };
        let mut arguments = FieldTable::default();
        if name == "flexcast" {
            let orphan = AMQPValue::LongString("flexcast.orphan".into());
            arguments.insert("alternate-exchange".into(), orphan);
        }
        let declared = channel.exchange_declare(name.into(), kind.clone(), options, arguments);
        assert_eq!(declared.await.is_ok(), is_same, "{name} {kind:?}");
    }
}
