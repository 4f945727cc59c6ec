//! An undo that fails is tried again: for a moment within the run, for good later on by `work`.

use std::fs;

use serde_json::{Value, json};

use super::support::flexcast::{FakeTwilio, Place, eventually, http_get};
use super::support::program::{flexcast, repository};

#[test]
fn an_undo_that_fails_for_a_moment_is_tried_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let faults = json!({"rules": [
        {"operation": "create_conversation_message", "kind": "error", "status": 400, "code": 21211},
        {"operation": "update_conversation", "first": 2, "kind": "server_error", "status": 503},
    ]});
    fs::write(path.join("faults.json"), faults.to_string()).expect("written");
    fs::write(
        path.join("flexcast.toml"),
        "[work]\nretry = ['100ms', '100ms']\n",
    )
    .expect("written");
    fs::write(path.join("one.csv"), "phone,plan\n+12025550173,gold\n").expect("written");
    let output = flexcast(path)
        .arg("send")
        .arg(repository("examples/spring-renewals.toml"))
        .args(["one.csv", "--simulate", "--json", "--faults", "faults.json"])
        .args(["--effects", "effects.json"])
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(1), "one is dead");
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    assert_eq!(report["dead"], json!({"invalid_address": 1}));
    let effects = fs::read_to_string(path.join("effects.json")).expect("effects");
    let effects: Value = effects.parse().expect("JSON");
    let conversations = effects.as_array().expect("a list").iter();
    let mut conversations = conversations.filter(|effect| effect["kind"] == "conversation");
    assert!(conversations.all(|effect| effect["state"] == "closed"));
}

/// What is left shows wherever an operator looks; once its time has come (a minute that this test
/// takes out of the ledger), `work` takes it away.
#[test]
fn a_stuck_message_is_shown_everywhere_and_unstuck_by_work() {
    let twilio = FakeTwilio::start();
    let place = Place::facing(&twilio);
    let campaign = fs::read(repository("examples/spring-renewals.toml")).expect("an example");
    place.write("spring.toml", campaign);
    place.write("one.csv", "phone,plan\n+12025550173,gold\n");
    twilio.set_faults(&json!({"rules": [
        {"operation": "create_conversation_message", "kind": "error", "status": 400, "code": 21211},
        {"operation": "update_conversation", "kind": "error", "status": 400, "code": 20001},
    ]}));
    let send = ["send", "spring.toml", "one.csv", "--yes", "--json"];
    let report = place.run(&send).ends_with(1).json();
    assert_eq!(report["dead"], json!({"stuck": 1}));
    let listed = place.run(&["dead", "list"]).ends_with(0).words();
    for part in [
        "is left at Twilio",
        "undone because of",
        "21211",
        "tried again",
    ] {
        assert!(listed.contains(part), "{part} should stand in {listed}");
    }
    let rows = place.run(&["dead", "list", "--json"]).ends_with(0).json();
    assert_eq!(rows[0]["undo"]["tries"], json!(0), "{rows}");

    let mut work = place.work(&[]);
    let url = format!("http://{}", work.address());
    let has = |series: &str| http_get(&url, "/metrics").contains(&format!("\n{series}\n"));
    assert!(has("flexcast_stuck_messages 1"));
    twilio.set_faults(&json!({"rules": []}));
    let ledger = rusqlite::Connection::open(place.path(".flexcast/ledger.db"));
    let ledger = ledger.expect("it is there");
    let hurried = ledger.execute("UPDATE undos SET due_at = 0", []);
    assert_eq!(hurried.expect("it can be written"), 1);
    let books = place.status_until("spring-renewals", |books| {
        books["dead"] == json!({"invalid_address": 1})
    });
    assert_eq!(books["state"], "finished", "it was no turn of its own");
    eventually("the gauge", || {
        has("flexcast_stuck_messages 0").then_some(())
    });
    let left: Vec<Value> = twilio.effects();
    let mut conversations = left.iter().filter(|one| one["kind"] == "conversation");
    assert!(
        conversations.all(|one| one["state"] == "closed"),
        "{left:?}"
    );
}
