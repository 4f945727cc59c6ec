//! What nobody can say went out: listed with its evidence, and settled by an operator.

use serde_json::{Value, json};

use super::{campaign, contacts};
use crate::support::flexcast::{FakeTwilio, Place, balanced, fast_config};

/// A place in which two messages became unknown, neither of which was sent; and their ids.
fn two_unknowns(twilio: &FakeTwilio) -> (Place, [String; 2]) {
    let place = Place::facing(twilio);
    let config = fast_config();
    let (_, limits) = config.split_once("[limits]").expect("limits");
    let work = "[work]\nsettle_time = \"100ms\"\nretry = [\"50ms\"]\n";
    place.write("flexcast.toml", format!("{work}[limits]{limits}"));
    place.write("spring.toml", campaign("task_on_reply", "conversations"));
    place.write("contacts.csv", contacts(2).1);
    twilio.set_faults(&json!({"rules": [
        {"operation": "create_conversation_message", "kind": "server_error"},
        {"operation": "list_conversation_messages", "kind": "server_error"},
    ]}));
    let import = ["import", "spring.toml", "contacts.csv"];
    place.run(&import).ends_with(0);
    place.work(&["--until-idle"]).ended().ends_with(1);
    let listed = place.run(&["unknown", "list", "--json"]).ends_with(0);
    let listed = listed.json();
    let rows = listed.as_array().expect("a list");
    let ids: Vec<String> = rows
        .iter()
        .map(|row| row["id"].as_str().expect("an id").to_owned())
        .collect();
    (place, ids.try_into().expect("two of them"))
}

fn texts(twilio: &FakeTwilio) -> Vec<Value> {
    let mut effects = twilio.effects();
    effects.retain(|effect| effect["kind"] == "message");
    effects
}

#[test]
fn an_unknown_is_listed_with_its_evidence_and_without_the_number() {
    let twilio = FakeTwilio::start();
    let (place, ids) = two_unknowns(&twilio);
    let books = place.status("spring");
    balanced(&books);
    assert_eq!(books["unknown"], json!(2), "{books}");
    let listed = place.run(&["unknown", "list", "spring", "--json"]);
    let listed = listed.ends_with(0).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");
    for row in listed.as_array().expect("a list") {
        assert_eq!(row["campaign"], "spring");
        let evidence = row["evidence"].as_str().expect("evidence");
        assert!(evidence.starts_with("conversation_message: "), "{evidence}");
        let customer = row["customer"].as_str().expect("a customer");
        assert!(customer.contains("****"), "{customer}");
    }
    let table = place.run(&["unknown", "list"]).ends_with(0).out;
    assert!(ids.iter().all(|id| table.contains(id)), "{table}");
    assert!(!table.contains("55501"), "a number is shown: {table}");
    let one = place.run(&["unknown", "list", "spring", "--limit", "1"]);
    let one = one.ends_with(0).out;
    assert!(one.contains("1 later ones are left out"), "{one}");
    assert!(
        one.contains("flexcast unknown list spring --limit 2"),
        "{one}"
    );
    assert!(one.contains("flexcast unknown settle spring"), "{one}");
}

#[test]
fn an_unknown_is_settled_as_sent_or_sent_again_as_the_operator_says() {
    let twilio = FakeTwilio::start();
    let (place, [sent, not_sent]) = two_unknowns(&twilio);
    twilio.set_faults(&json!({"rules": []}));
    let settle = |id: &str, finding: &[&str]| {
        let mut command = vec!["unknown", "settle", "spring", id];
        command.extend(finding);
        place.run(&command)
    };
    settle(&sent, &[]).ends_with(2);
    settle(&sent, &["--sent", "--not-sent"]).ends_with(2);
    settle("nobody", &["--sent"]).ends_with(65);

    let told = settle(&sent, &["--sent"]).ends_with(0).out;
    assert!(told.contains("is done"), "{told}");
    let again = settle(&sent, &["--not-sent"]).ends_with(65).err;
    assert!(again.contains("is not unknown"), "{again}");
    let books = place.status("spring");
    balanced(&books);
    assert_eq!((&books["done"], &books["unknown"]), (&json!(1), &json!(1)));
    assert_eq!(books["state"], "finished", "an unknown is not open");

    let told = settle(&not_sent, &["--not-sent"]).ends_with(0).out;
    assert!(told.contains("is queued again"), "{told}");
    let books = place.status("spring");
    balanced(&books);
    assert_eq!(
        (&books["queued"], &books["unknown"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(books["state"], "running", "it has something to do again");
    assert_eq!(texts(&twilio), Vec::<Value>::new());

    place.work(&["--until-idle"]).ended().ends_with(0);
    let books = place.status("spring");
    balanced(&books);
    assert_eq!(
        (&books["done"], &books["state"]),
        (&json!(2), &json!("finished"))
    );
    assert_eq!(
        texts(&twilio).len(),
        1,
        "what was sent by his word is not repeated"
    );
    for (id, was_sent) in [(&sent, true), (&not_sent, false)] {
        let shown = place.run(&["dead", "show", "spring", id, "--json"]);
        let journal = &shown.ends_with(0).json()["journal"];
        let settled = json!({"event": "settled", "was_sent": was_sent});
        let mut events = journal.as_array().expect("a journal").iter();
        assert!(events.any(|event| event[1] == settled), "{journal}");
    }
}
