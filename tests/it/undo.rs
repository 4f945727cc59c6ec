//! An undo that fails for a moment is tried again: nothing stays at Twilio for want of patience.

use std::fs;

use serde_json::{Value, json};

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
