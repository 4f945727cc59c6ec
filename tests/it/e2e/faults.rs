//! What fails for good is a dead letter with its reason; what passes is done, each customer once.

use serde_json::{Value, json};

use super::{campaign, contacts, for_each_pair, what_counts};
use crate::support::flexcast::{FakeTwilio, Place, Ran, balanced, each_once, eventually};

/// A trial of 40 contacts under these faults.
fn try_with(place: &Place, strategy: &str, api: &str, rules: &Value) -> (Ran, Vec<String>) {
    let (numbers, file) = contacts(40);
    place.write("contacts.csv", file);
    place.write("spring.toml", campaign(strategy, api));
    place.write(
        "faults.json",
        json!({"seed": 7, "rules": rules}).to_string(),
    );
    let ran = place.run(&[
        "send",
        "spring.toml",
        "contacts.csv",
        "--simulate",
        "--json",
        "--faults",
        "faults.json",
        "--effects",
        "effects.json",
    ]);
    (ran, numbers)
}

#[test]
fn what_twilio_refuses_for_good_is_a_dead_letter_with_its_reason_and_the_rest_is_done() {
    let (numbers, _) = contacts(40);
    let (dead, opted_out) = (&numbers[3..6], &numbers[10..12]);
    let rules = json!([
        {"operation": "changing", "kind": "error", "status": 400, "code": 21211, "customers": dead},
        {"operation": "changing", "kind": "error", "status": 400, "code": 21610,
         "customers": opted_out},
    ]);
    for_each_pair(|strategy, api| {
        let place = Place::impatient();
        let (ran, numbers) = try_with(&place, strategy, api, &rules);
        let ran = ran.ends_with(1);
        let report = ran.json();
        balanced(&report);
        assert_eq!(
            report["dead"],
            json!({"invalid_address": 3}),
            "{strategy} {api}: {report}"
        );
        assert_eq!(
            report["skipped"],
            json!({"opted_out": 2}),
            "{strategy} {api}: {report}"
        );
        assert_eq!(report["done"], json!(35), "{strategy} {api}: {report}");
        let reached: Vec<_> = numbers
            .iter()
            .filter(|one| !dead.contains(one) && !opted_out.contains(one))
            .collect();
        let effects = place.read_json("effects.json");
        each_once(
            effects.as_array().expect("a list"),
            what_counts(strategy),
            &reached,
        );
    });
}

#[test]
fn a_dead_letter_says_why_and_shows_no_number() {
    let twilio = FakeTwilio::start();
    let place = Place::facing(&twilio);
    let (numbers, file) = contacts(5);
    twilio.set_faults(&json!({"rules": [
        {"operation": "changing", "kind": "error", "status": 400, "code": 21211,
         "customers": [numbers[2]]},
    ]}));
    place.write("contacts.csv", file);
    place.write("spring.toml", campaign("task_on_reply", "conversations"));
    place
        .run(&["import", "spring.toml", "contacts.csv"])
        .ends_with(0);
    let worked = place.work(&["--until-idle"]).ended().ends_with(1);

    let listed = place
        .run(&["dead", "list", "spring", "--json"])
        .ends_with(0)
        .json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    let letter = &listed[0];
    assert_eq!(letter["reason"], "invalid_address");
    assert_eq!(letter["failure"]["code"], json!(21_211));
    let id = letter["id"].as_str().expect("an id");
    let shown = place.run(&["dead", "show", "spring", id]).ends_with(0).out;
    assert!(
        shown.contains("21211") && shown.contains("invalid_address"),
        "{shown}"
    );
    let table = place.run(&["dead", "list"]).ends_with(0).out;
    assert!(
        table.contains("21211") && table.contains("invalid_address"),
        "{table}"
    );
    for text in [&worked.err, &shown, &table, &listed.to_string()] {
        assert!(
            !text.contains(&numbers[2][2..]),
            "a number stands in {text}"
        );
    }
    // The same again changes nothing: a dead message is not begun anew.
    twilio.set_faults(&json!({"rules": []}));
    place
        .run(&["import", "spring", "contacts.csv"])
        .ends_with(0);
    place.work(&["--until-idle"]).ended().ends_with(0);
    let reached: Vec<_> = numbers.iter().filter(|one| **one != numbers[2]).collect();
    each_once(&twilio.effects(), "message", &reached);
}

/// Every kind of fault that may pass, before the effect and after it.
fn every_transient() -> Value {
    // Not the calls that apply the campaign: those are the operator's to repeat.
    let everybody = json!({"rate": 1.0});
    let rule = |kind: &str, when: &str| {
        json!({"operation": "changing", "kind": kind, "when": when, "rate": 0.04,
               "customers": everybody})
    };
    json!([
        rule("server_error", "before"),
        rule("server_error", "after"),
        rule("reset", "before"),
        rule("reset", "after"),
        rule("lost_reply", "before"),
        rule("lost_reply", "after"),
        {"operation": "*", "kind": "too_many_requests", "rate": 0.01, "customers": everybody},
    ])
}

#[test]
fn what_passes_is_done_and_whatever_happens_before_the_reply_nothing_is_done_twice() {
    for_each_pair(|strategy, api| {
        let place = Place::impatient();
        let (ran, numbers) = try_with(&place, strategy, api, &every_transient());
        let report = ran.ends_with(0).json();
        balanced(&report);
        assert_eq!(report["done"], json!(40), "{strategy} {api}: {report}");
        let effects = place.read_json("effects.json");
        let effects = effects.as_array().expect("a list");
        each_once(effects, what_counts(strategy), &numbers);
    });
}

#[test]
fn an_agent_nobody_knows_is_a_dead_letter_that_names_the_agent() {
    let twilio = FakeTwilio::start_with(&["--no-limits", "--agent", "alice", "--agent", "bob"]);
    let place = Place::facing(&twilio);
    let (numbers, file) = contacts(6);
    place.write("contacts.csv", file);
    for (api, id) in [("conversations", "one"), ("proxy", "two")] {
        let text = campaign("task_now", api).replace("\"spring\"", &format!("\"{id}\""));
        place.write("spring.toml", text);
        let report = place.run(&["send", "spring.toml", "contacts.csv", "--yes", "--json"]);
        let report = report.ends_with(1).json();
        balanced(&report);
        assert_eq!(report["dead"], json!({"unknown_agent": 2}), "{report}");
        let listed = place
            .run(&["dead", "list", id, "--json"])
            .ends_with(0)
            .json();
        let detail = listed[0]["failure"]["detail"].as_str().expect("a detail");
        assert!(detail.contains("carol"), "{detail}");
        // Customers of the first campaign are in a conversation, not in a Proxy session.
        let known: Vec<_> = (0..6)
            .filter(|at| at % 3 != 2)
            .map(|at| &numbers[at])
            .collect();
        assert_eq!(report["done"], json!(known.len()), "{report}");
    }
}

#[test]
fn a_customer_in_another_conversation_is_left_alone() {
    let twilio = FakeTwilio::start();
    let place = Place::facing(&twilio);
    let (numbers, file) = contacts(5);
    place.write("contacts.csv", file);
    let send = |strategy: &str, api: &str, id: &str| {
        let text = campaign(strategy, api).replace("\"spring\"", &format!("\"{id}\""));
        place.write("campaign.toml", text);
        let ran = place.run(&["send", "campaign.toml", "contacts.csv", "--yes", "--json"]);
        let report = ran.ends_with(0).json();
        balanced(&report);
        report
    };
    for api in ["conversations", "proxy"] {
        let report = send("task_now", api, &format!("first-{api}"));
        assert_eq!(report["done"], json!(5), "{report}");
        for strategy in ["task_now", "task_on_reply"] {
            let id = format!("{strategy}-{api}").replace('_', "-");
            let report = send(strategy, api, &id);
            assert_eq!(
                report["skipped"],
                json!({"customer_busy": 5}),
                "{id}: {report}"
            );
        }
    }
    what_to_do_is_said(&place, "task-on-reply-proxy", &numbers);
    let live = |effect: &Value| {
        ["active", "reserved", "pending"].contains(&effect["state"].as_str().unwrap_or_default())
    };
    let effects = twilio.effects();
    let interactions = effects
        .iter()
        .filter(|effect| effect["kind"] == "interaction" && live(effect));
    assert_eq!(
        interactions.count(),
        5,
        "the busy customers' interactions are closed"
    );
    each_once(&effects, "message", &numbers);
    let tasks = effects
        .iter()
        .filter(|effect| effect["kind"] == "task" && live(effect));
    assert_eq!(
        tasks.count(),
        10,
        "an agent has a task of a customer who was left alone"
    );
}

/// The report explains why customers were skipped, and names a command that writes a file with them.
fn what_to_do_is_said(place: &Place, id: &str, numbers: &[String]) {
    let told = place.run(&["status", id]).ends_with(0).words();
    for said in [
        "5 skipped, customer_busy: ",
        "another conversation",
        "when_open",
    ] {
        assert!(told.contains(said), "{said}: {told}");
    }
    let command = format!("campaign export {id} --skipped --as-input");
    assert!(told.contains(&format!("flexcast {command}")), "{told}");
    let words: Vec<_> = command.split(' ').collect();
    let file = place.run(&words).ends_with(0).out;
    for number in numbers {
        assert!(file.contains(number), "{number}: {file}");
    }
    let meanings = place.run(&["status", id, "--json"]).ends_with(0).json();
    let meaning = &meanings["meanings"][0];
    assert_eq!(
        (&meaning["state"], &meaning["messages"]),
        (&json!("skipped"), &json!(5))
    );
}

/// Twilio answers everything with 500 for a while: nobody is begun meanwhile, it is said everywhere, and then all are
/// done, although more calls failed than any message has attempts.
#[test]
fn while_twilio_is_away_nothing_is_begun_and_then_all_are_done() {
    let twilio = FakeTwilio::start();
    let place = Place::facing(&twilio);
    let (numbers, file) = contacts(40);
    place.write("contacts.csv", file);
    place.write("spring.toml", campaign("task_on_reply", "conversations"));
    place
        .run(&["import", "spring.toml", "contacts.csv"])
        .ends_with(0);
    twilio.set_faults(&json!({"rules": [{"operation": "*", "kind": "server_error", "rate": 1.0}]}));
    let mut work = place.work(&[]);
    let away = eventually("the consumer to say that Twilio is away", || {
        let (status, body) = work.readiness();
        assert_eq!(status, 200, "no restart helps: {body}");
        let away = body["away"].as_array().cloned().unwrap_or_default();
        (!away.is_empty()).then_some(away)
    });
    assert_eq!(away[0]["cause"], "server_errors", "{away:?}");
    let product = away[0]["product"].as_str().expect("a product").to_owned();
    let series = format!("flexcast_twilio_away{{cause=\"server_errors\",product=\"{product}\"}}");
    assert!(work.metric(&series) >= 1.0, "{series}");
    let status = place.status_until("spring", |books| books["away"].is_array());
    assert_eq!(status["done"], json!(0), "{status}");
    let text = place.run(&["status", "spring"]).ends_with(0).out;
    assert!(text.contains("Twilio is away"), "{text}");
    assert!(work.err().contains("Twilio is away"), "{}", work.err());

    twilio.set_faults(&json!({"rules": []}));
    let books = place.status_until("spring", |books| books["done"] == json!(40));
    balanced(&books);
    assert_eq!(books["dead"], json!({}), "{books}");
    each_once(&twilio.effects(), "message", &numbers);
    work.terminate();
    let err = work.ended().ends_with(0).err;
    assert!(err.contains("Twilio is back"), "{err}");
}
