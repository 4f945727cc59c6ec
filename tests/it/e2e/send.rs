//! `flexcast send --simulate`: the whole job in one process.

use serde_json::Value;

use crate::support::flexcast::{
    Place, balanced, each_once, in_repository, without_consumers, without_place,
};

/// The keys of the report, in the order they are printed in.
const REPORT: [&str; 21] = [
    "campaign",
    "rows",
    "refused",
    "accepted",
    "rejected",
    "duplicate",
    "suppressed",
    "queued",
    "scheduled",
    "retrying",
    "held",
    "in_flight",
    "done",
    "already_sent",
    "skipped",
    "dead",
    "unknown",
    "unread",
    "state",
    "imports",
    "ledger",
];

/// The state folder that a trial named on standard error.
fn trial_folder(err: &str) -> &str {
    let (_, rest) = err.split_once("State: ").expect("the folder is named");
    rest.lines().next().expect("a line")
}

fn try_example(example: &str, kind: &str) {
    let place = Place::new();
    // As a registered number may.
    place.write("flexcast.toml", "[senders]\n\"+12025550100\" = \"30/s\"\n");
    let campaign = in_repository(&format!("examples/{example}.toml"));
    let contacts = in_repository("examples/spring-renewals.csv");
    let command = [
        "send",
        &campaign,
        &contacts,
        "--simulate",
        "--json",
        "--effects",
        "effects.json",
    ];
    let ran = place.run(&command).ends_with(0);
    let report = ran.json();
    let keys: Vec<_> = report.as_object().expect("one object").keys().collect();
    assert_eq!(keys, REPORT);
    balanced(&report);
    assert_eq!(
        (&report["campaign"], &report["done"]),
        (&Value::from(example), &Value::from(40))
    );
    let state = trial_folder(&ran.err);
    let status = place.run(&["status", example, "--json", "--state", state]);
    let status = status.ends_with(0).json();
    assert_eq!(status["consumers"], Value::Array(Vec::new()));
    assert_eq!(without_consumers(status), report);
    let effects = place.read_json("effects.json");
    let effects = effects.as_array().expect("a list");
    let mut customers: Vec<_> = effects
        .iter()
        .filter_map(|e| e["customer"].as_str())
        .collect();
    customers.sort_unstable();
    customers.dedup();
    assert_eq!(customers.len(), 40);
    each_once(effects, kind, &customers);
    let real = place.path(".flexcast/ledger.db");
    assert!(!real.exists(), "a trial wrote to the real ledger");
}

#[test]
fn every_example_is_carried_out() {
    let examples = [
        ("spring-renewals", "message"),
        ("conversations-task-now", "task"),
        ("proxy-task-now", "task"),
        ("proxy-task-on-reply", "message"),
    ];
    std::thread::scope(|scope| {
        for (example, kind) in examples {
            scope.spawn(move || try_example(example, kind));
        }
    });
}

#[test]
fn every_trial_has_a_state_of_its_own() {
    let place = Place::impatient();
    place.write(
        "spring.toml",
        super::campaign("task_on_reply", "conversations"),
    );
    place.write("contacts.csv", super::contacts(5).1);
    let command = [
        "send",
        "spring.toml",
        "contacts.csv",
        "--simulate",
        "--json",
    ];
    let first = place.run(&command).ends_with(0);
    let second = place.run(&command).ends_with(0);
    assert_ne!(trial_folder(&first.err), trial_folder(&second.err));
    // But for the times of their imports they are alike.
    let books = |report: Value| {
        let mut report = without_place(report);
        assert_eq!(report["imports"].as_array().map(Vec::len), Some(1));
        report["imports"].take();
        report
    };
    assert_eq!(
        books(first.json()),
        books(second.json()),
        "the second knows nothing of the first"
    );
    assert_eq!(second.json()["done"], Value::from(5));
}

#[test]
fn without_json_the_report_is_for_people() {
    let place = Place::impatient();
    place.write(
        "spring.toml",
        super::campaign("task_on_reply", "conversations"),
    );
    place.write("contacts.csv", "phone,name\n+12025550173,Ann\n12,Bob\n");
    let ran = place
        .run(&["send", "spring.toml", "contacts.csv", "--simulate"])
        .ends_with(0);
    for phrase in [
        "Campaign spring",
        "rows",
        "rejected",
        "address_invalid 1",
        "done",
    ] {
        assert!(
            ran.out.contains(phrase),
            "{phrase} should stand in {}",
            ran.out
        );
    }
}
