//! A file of messages, one a line: checked as on the queue, and imported.

use serde_json::{Value, json};

use super::campaign;
use crate::support::flexcast::{FakeTwilio, Place, each_once};

/// So many lines are messages of the campaign; what is wrong with the others, by line.
const ACCEPTED: u64 = 3;
const REJECTED: [(u64, &str, &str); 7] = [
    (3, "message_malformed", "fone"),
    (4, "message_malformed", "autumn"),
    (5, "message_malformed", "campaign"),
    (6, "message_wrong_version", "version 2"),
    (7, "message_oversized", "131072"),
    (8, "address_invalid", "E.164"),
    (9, "template_failed", ""),
];

fn lines() -> String {
    let long = "x".repeat(128 * 1024);
    let lines = [
        r#"{"campaign":"spring","id":"a","customer":{"address":"+12025550171","name":"Ann"}}"#
            .to_owned(),
        r#"{"campaign":"spring","customer":{"address":"+12025550172"},"body":"As I wrote it"}"#
            .to_owned(),
        r#"{"campaign":"spring","customer":{"address":"+12025550173","fone":"1"}}"#.to_owned(),
        r#"{"campaign":"autumn","customer":{"address":"+12025550174"}}"#.to_owned(),
        r#"{"customer":{"address":"+12025550175"}}"#.to_owned(),
        r#"{"version":2,"campaign":"spring","customer":{"address":"+12025550176"}}"#.to_owned(),
        format!(
            r#"{{"campaign":"spring","customer":{{"address":"+12025550177"}},"body":"{long}"}}"#
        ),
        r#"{"campaign":"spring","customer":{"address":"12025550178"}}"#.to_owned(),
        r#"{"campaign":"spring","customer":{"address":"+12025550179"},"body":"{{ name }}"}"#
            .to_owned(),
        r#"{"campaign":"spring","id":"a","customer":{"address":"+12025550180"}}"#.to_owned(),
        r#"{"campaign":"spring","customer":{"address":"+12025550181"},"agent":{"worker":"bob"}}"#
            .to_owned(),
    ];
    lines.join("\n")
}

fn rejected_lines(place: &Place) -> Vec<Value> {
    let text = std::fs::read_to_string(place.path("crm.rejects.jsonl")).expect("rejected lines");
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[test]
fn a_line_is_checked_as_on_the_queue_and_what_is_wrong_is_kept() {
    let twilio = FakeTwilio::start();
    let place = Place::facing(&twilio);
    place.write("spring.toml", campaign("task_on_reply", "conversations"));
    place.write("crm.jsonl", lines());

    let dry = ["import", "spring.toml", "crm.jsonl", "--dry-run", "--json"];
    let seen = place.run(&dry).ends_with(0).json();
    assert_eq!(seen["shape"], "JSON lines");
    let counts = ["rows", "acceptable", "duplicate"].map(|key| seen[key].clone());
    assert_eq!(counts, [json!(11), json!(ACCEPTED), json!(1)], "{seen}");
    assert!(!place.path("crm.rejects.jsonl").exists());

    let import = ["import", "spring.toml", "crm.jsonl", "--json"];
    let imported = place.run(&import).ends_with(0).json();
    assert_eq!(imported["accepted"], json!(ACCEPTED), "{imported}");
    assert_eq!(imported["rejected"], json!(REJECTED.len()), "{imported}");
    let kept = rejected_lines(&place);
    assert_eq!(kept.len(), REJECTED.len());
    let all = lines();
    let all: Vec<&str> = all.lines().collect();
    for ((line, reason, named), found) in REJECTED.iter().zip(&kept) {
        assert_eq!(found["line"], json!(line), "{found}");
        assert_eq!(found["reason"], *reason, "{found}");
        let detail = found["detail"].as_str().expect("a sentence");
        assert!(detail.contains(named), "{detail} should name {named}");
        assert!(!detail.contains("2025550"), "{detail}");
        let original = usize::try_from(line - 1).expect("a small number");
        let original = (*reason != "message_oversized").then(|| all[original]);
        assert_eq!(found["message"].as_str(), original);
    }

    let work = ["work", "--until-idle", "--http", "127.0.0.1:0"];
    place.run(&work).ends_with(0);
    let effects = twilio.effects();
    let numbers = ["+12025550171", "+12025550172", "+12025550181"];
    each_once(&effects, "message", &numbers);
    let texts: Vec<_> = effects.iter().filter_map(|e| e["body"].as_str()).collect();
    for text in ["Hello Ann", "As I wrote it", "Hello there"] {
        assert!(texts.contains(&text), "{texts:?}");
    }
}

#[test]
fn a_file_of_messages_is_known_by_its_first_byte_too() {
    let twilio = FakeTwilio::start();
    let place = Place::facing(&twilio);
    place.write("spring.toml", campaign("task_on_reply", "conversations"));
    place.write("crm.txt", lines());
    let dry = ["import", "spring.toml", "crm.txt", "--dry-run", "--json"];
    assert_eq!(place.run(&dry).ends_with(0).json()["shape"], "JSON lines");
    place.write("empty.jsonl", "\n\n");
    let ran = place.run(&["import", "spring.toml", "empty.jsonl"]);
    let ran = ran.ends_with(65);
    assert!(ran.err.contains("a message in each line"), "{}", ran.err);
}
