//! What publishers are promised keeps to the program: schemas, golden messages, the `AsyncAPI` document.
//!
//! Each golden message is judged three times: by the program's reader, by Rust's `jsonschema` and by
//! Python's.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use flexcast::campaign::{self, Arrivals, Campaign};
use flexcast::message::{DeadReason, FailureClass, Message, Refusal};
use serde_json::{Value, json};

use super::support::program::{example_campaigns, flexcast, repository, succeed};

const CAMPAIGN: &str = r#"
id = "spring"
strategy = "task_on_reply"
channel = "sms"
sender = "+12025550100"
body = 'Hello {{ customer.name | default("there") }}'
[flex]
studio_flow_sid = "FW00000000000000000000000000000001"
"#;

fn spring() -> Campaign {
    campaign::parse("spring.toml", CAMPAIGN).expect("a campaign")
}

/// The golden files of one kind, with the reason in their names, and their bytes.
fn golden(kind: &str) -> Vec<(PathBuf, String, Vec<u8>)> {
    let folder = repository("docs/messages").join(kind);
    let files = fs::read_dir(&folder).expect("golden messages");
    let read = files.map(|file| {
        let path = file.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str());
        let reason = name.and_then(|name| name.split('.').next());
        let bytes = fs::read(&path).expect("a file");
        let reason = reason.expect("a name").to_owned();
        (path, reason, bytes)
    });
    let mut all: Vec<_> = read.collect();
    all.sort();
    assert!(!all.is_empty(), "{}", folder.display());
    all
}

fn schema(name: &str) -> Value {
    let path = repository(&format!("docs/schema/{name}.v1.json"));
    let text = fs::read_to_string(&path).expect("a schema");
    serde_json::from_str(&text).expect("JSON")
}

/// Whether Rust's `jsonschema` lets a body pass.
fn passes(schema: &Value, body: &[u8]) -> bool {
    let mut options = jsonschema::draft7::options();
    options = options.should_validate_formats(true);
    let validator = options.build(schema).expect("a schema of draft-07");
    serde_json::from_slice(body).is_ok_and(|value: Value| validator.is_valid(&value))
}

/// What Python's `jsonschema` says of files.
fn python(schema: &str, files: &[&PathBuf]) -> BTreeMap<PathBuf, Option<String>> {
    let mut script = Command::new(repository("target/venv/bin/python"));
    script.arg(repository("tests/oracle/validate_json.py"));
    script.arg(repository(&format!("docs/schema/{schema}.v1.json")));
    let said = succeed(script.args(files));
    serde_json::from_str(&said).expect("JSON")
}

#[test]
fn the_schemas_are_current() {
    for name in ["message", "refusal", "campaign"] {
        let printed = succeed(flexcast(&repository(".")).args(["schema", name]));
        let path = format!("docs/schema/{name}.v1.json");
        let kept = fs::read_to_string(repository(&path)).expect("a schema");
        assert_eq!(printed, kept, "flexcast schema {name} > {path}");
    }
}

#[test]
fn the_reader_and_two_validators_agree_on_every_golden_message() {
    let schema = schema("message");
    let kinds = [("valid", true), ("invalid", false), ("unfit", true)];
    for (kind, is_valid) in kinds {
        let files = golden(kind);
        let paths: Vec<_> = files.iter().map(|(path, ..)| path).collect();
        let python = python("message", &paths);
        for (path, reason, body) in &files {
            let name = path.display();
            let read = Message::from_json(body);
            assert_eq!(read.is_ok(), is_valid, "the reader: {name}: {read:?}");
            assert_eq!(passes(&schema, body), is_valid, "Rust: {name}");
            assert_eq!(python[path].is_none(), is_valid, "Python: {name}");
            if let Err(error) = read {
                assert_eq!(error.reason().as_str(), reason, "{name}");
            }
        }
    }
}

#[test]
fn a_golden_message_ends_on_arrival_as_its_name_says() {
    let campaign = spring();
    let arrivals = Arrivals::of(&campaign);
    let refused = |body: &[u8]| -> Option<DeadReason> {
        let mut message = match arrivals.read(body, true) {
            Ok(message) => message,
            Err(refused) => return Some(refused.reason),
        };
        if let Some(refused) = arrivals.unacceptable(&message) {
            return Some(refused.reason);
        }
        let rendered = arrivals.render(&mut message);
        let failure = rendered.and_then(|()| arrivals.check(&message)).err()?;
        match failure.class {
            FailureClass::Permanent(reason) => Some(reason),
            other => panic!("{other:?}"),
        }
    };
    for (path, _, body) in golden("valid") {
        let mut other: Value = serde_json::from_slice(&body).expect("JSON");
        other["campaign"] = json!("spring");
        let body = other.to_string();
        assert_eq!(refused(body.as_bytes()), None, "{}", path.display());
    }
    for kind in ["invalid", "unfit"] {
        for (path, reason, body) in golden(kind) {
            let found = refused(&body).map(DeadReason::as_str);
            assert_eq!(found, Some(reason.as_str()), "{}", path.display());
        }
    }
}

#[test]
fn refusals_are_as_their_schema_says() {
    let schema = schema("refusal");
    let files = golden("refusals");
    let paths: Vec<_> = files.iter().map(|(path, ..)| path).collect();
    let python = python("refusal", &paths);
    for (path, reason, body) in &files {
        let refusal: Refusal = serde_json::from_slice(body).expect("a refusal");
        assert_eq!(refusal.reason.as_str(), reason);
        assert!(passes(&schema, body), "{}", path.display());
        assert_eq!(python[path], None, "{}", path.display());
        let again = serde_json::to_vec(&refusal).expect("JSON");
        assert!(passes(&schema, &again), "{}", path.display());
        let other = serde_json::to_value(&refusal).map(|mut value| {
            value["reason"] = json!("exhausted");
            value.to_string()
        });
        assert!(!passes(&schema, other.expect("JSON").as_bytes()));
    }
    let text = fs::read_to_string(repository("docs/publishers.md")).expect("a document");
    for reason in DeadReason::REFUSALS {
        assert!(
            text.contains(&format!("\n| `{reason}` |")),
            "docs/publishers.md: {reason}"
        );
    }
}

#[test]
fn the_asyncapi_document_is_one_and_says_what_the_schemas_say() {
    let mut script = Command::new("node");
    script.current_dir(repository("tests/oracle"));
    let said = succeed(script.args(["asyncapi.mjs", "../../docs/asyncapi.yaml"]));
    let document: Value = serde_json::from_str(&said).expect("JSON");
    let exchange = |channel: &str| {
        let binding = &document["channels"][channel]["bindings"]["amqp"];
        assert_eq!(binding["is"], "routingKey");
        (
            binding["exchange"]["name"].clone(),
            binding["exchange"]["type"].clone(),
        )
    };
    // The broker has these: tests/it/e2e_rabbitmq/publishers.rs.
    assert_eq!(exchange("messages"), (json!("flexcast"), json!("direct")));
    let rejected = (json!("flexcast.rejected"), json!("topic"));
    assert_eq!(exchange("refusals"), rejected);
    for (name, from) in [("message", "message"), ("refusal", "refusal")] {
        let payload = &document["components"]["messages"][name]["payload"];
        // The parser notes where it found each part.
        let found = without_notes(payload["schema"].clone());
        let properties = |schema: &Value| {
            let properties = schema["properties"].as_object().expect("properties");
            properties.keys().cloned().collect::<Vec<_>>()
        };
        let ours = schema(from);
        assert_eq!(properties(&found), properties(&ours), "{name}");
        assert_eq!(found["required"], ours["required"], "{name}");
    }
    let operations = &document["operations"];
    assert_eq!(operations["receiveMessage"]["action"], "receive");
    assert_eq!(operations["sendRefusal"]["action"], "send");
}

fn without_notes(value: Value) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .filter(|(key, _)| !key.starts_with("x-parser-"))
            .map(|(key, value)| (key, without_notes(value)))
            .collect(),
        Value::Array(all) => all.into_iter().map(without_notes).collect(),
        other => other,
    }
}

#[test]
fn every_example_campaign_is_as_its_schema_says() {
    let schema = schema("campaign");
    for path in example_campaigns() {
        let text = fs::read_to_string(&path).expect("a file");
        let table: toml::Table = toml::from_str(&text).expect("TOML");
        let body = serde_json::to_vec(&table).expect("JSON");
        assert!(passes(&schema, &body), "{}", path.display());
        let mut wrong = table;
        wrong.insert("strategi".to_owned(), "task_now".into());
        let body = serde_json::to_vec(&wrong).expect("JSON");
        assert!(!passes(&schema, &body), "{}", path.display());
    }
}
