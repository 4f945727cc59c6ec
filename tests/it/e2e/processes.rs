//! Separate processes over one state: one that applies, one that imports, one that works.

use serde_json::{Value, json};

use super::{campaign, contacts, for_each_pair, what_counts};
use crate::support::flexcast::{FakeTwilio, Place, balanced, each_once, http_get, without_place};

fn applied(twilio: &FakeTwilio, strategy: &str, api: &str) -> Place {
    let place = Place::facing(twilio);
    place.write("spring.toml", campaign(strategy, api));
    let ran = place
        .run(&["campaign", "apply", "spring.toml"])
        .ends_with(0);
    assert!(
        ran.out.contains("flexcast import spring"),
        "the next step is named: {}",
        ran.out
    );
    place
}

fn in_steps(strategy: &str, api: &str) {
    let twilio = FakeTwilio::start();
    let place = applied(&twilio, strategy, api);
    let (numbers, file) = contacts(40);
    place.write("contacts.csv", file);
    let imported = place
        .run(&["import", "spring", "contacts.csv", "--json"])
        .ends_with(0)
        .json();
    assert_eq!(
        without_place(imported),
        json!({"campaign": "spring", "rows": 40, "accepted": 40, "rejected": 0, "duplicate": 0,
               "suppressed": 0})
    );
    assert_eq!(place.status("spring")["queued"], json!(40));
    assert_eq!(
        twilio.effects(),
        Vec::<Value>::new(),
        "nothing was to happen before work"
    );
    let mut work = place.work(&["--until-idle"]);
    work.ended().ends_with(0);
    let books = place.status("spring");
    balanced(&books);
    assert_eq!(books["done"], json!(40), "{books}");
    each_once(&twilio.effects(), what_counts(strategy), &numbers);

    // The same file once more: nobody is written to again.
    let again = place
        .run(&["import", "spring", "contacts.csv", "--json"])
        .ends_with(0)
        .json();
    assert_eq!(
        (&again["accepted"], &again["duplicate"]),
        (&json!(0), &json!(40))
    );
    let made = |request: &Value| {
        let operation = request["operation"].as_str().expect("an operation");
        operation.starts_with("create_")
    };
    let requests = twilio.requests();
    let effects = twilio.effects();
    place.work(&["--until-idle"]).ended().ends_with(0);
    assert_eq!(twilio.effects(), effects);
    let since = twilio.requests().split_off(requests.len());
    assert!(
        !since.iter().any(made),
        "something was asked for again: {since:?}"
    );
    let books = place.status("spring");
    balanced(&books);
    // Its manifest answered: no row of it was looked at again.
    assert_eq!(
        (&books["rows"], &books["duplicate"]),
        (&json!(40), &json!(0))
    );
}

#[test]
fn import_and_work_are_processes_of_their_own_and_a_second_import_changes_nothing() {
    for_each_pair(in_steps);
}

#[test]
fn work_that_began_before_there_was_a_campaign_takes_what_is_imported_beside_it() {
    let twilio = FakeTwilio::start();
    let place = Place::facing(&twilio);
    let mut work = place.work(&[]);
    place.write("spring.toml", campaign("task_on_reply", "conversations"));
    place
        .run(&["campaign", "apply", "spring.toml"])
        .ends_with(0);
    let (numbers, file) = contacts(30);
    let (first, second) = file.split_at(file.match_indices('\n').nth(15).expect("rows").0 + 1);
    place.write("first.csv", first);
    place.write("second.csv", format!("phone,name,agent\n{second}"));
    place.run(&["import", "spring", "first.csv"]).ends_with(0);
    place.status_until("spring", |books| books["done"] == json!(15));
    place.run(&["import", "spring", "second.csv"]).ends_with(0);
    let books = place.status_until("spring", |books| books["done"] == json!(30));
    balanced(&books);
    each_once(&twilio.effects(), "message", &numbers);

    let pages = format!("http://{}", work.address());
    assert!(
        http_get(&pages, "/metrics").contains("flexcast_"),
        "metrics are served"
    );
    http_get(&pages, "/livez");
    http_get(&pages, "/readyz");
    work.terminate();
    work.ended().ends_with(0);
}

#[test]
fn a_second_work_on_one_state_ends_with_75() {
    let twilio = FakeTwilio::start();
    let place = Place::facing(&twilio);
    let mut first = place.work(&[]);
    let second = place.run(&["work", "--http", "127.0.0.1:0"]).ends_with(75);
    assert!(second.err.contains("error: "), "{}", second.err);
    first.terminate();
    first.ended().ends_with(0);
    place.work(&["--until-idle"]).ended().ends_with(0);
}

#[test]
fn what_is_there_can_be_listed_and_shown_beside_work() {
    let twilio = FakeTwilio::start();
    let place = applied(&twilio, "task_now", "proxy");
    let _work = place.work(&[]);
    let listed = place
        .run(&["campaign", "list", "--json"])
        .ends_with(0)
        .json();
    let listed = &listed[0];
    assert_eq!(listed["id"], "spring");
    assert_eq!(listed["state"], "running");
    assert_eq!(listed["accepted"], 0);
    let shown = place
        .run(&["campaign", "show", "spring", "--json"])
        .ends_with(0)
        .json();
    let flow = &shown["definition"]["flex"]["flex_flow_sid"];
    assert!(
        flow.as_str().is_some_and(|sid| sid.starts_with("FO")),
        "{shown}"
    );
    let text = place.run(&["campaign", "show", "spring"]).ends_with(0).out;
    assert!(text.contains("strategy = \"task_now\""), "{text}");
    let text = place.run(&["campaign", "list"]).ends_with(0).out;
    assert!(
        text.contains("spring") && text.contains("running"),
        "{text}"
    );
    // Applied again: the flow that is there is found, not made anew.
    place
        .run(&["campaign", "apply", "spring.toml"])
        .ends_with(0);
    let again = place
        .run(&["campaign", "show", "spring", "--json"])
        .ends_with(0)
        .json();
    assert_eq!(&again["definition"]["flex"]["flex_flow_sid"], flow);
    let all = place.run(&["status", "--json"]).ends_with(0).json();
    assert_eq!(all[0]["campaign"], "spring");
}

#[test]
fn a_reader_who_has_read_enough_is_no_failure() {
    let twilio = FakeTwilio::start();
    let place = applied(&twilio, "task_on_reply", "conversations");
    place.write("contacts.csv", contacts(3).1);
    let commands: [&[&str]; 8] = [
        &["import", "spring", "contacts.csv", "--json"],
        &["status"],
        &["status", "spring", "--json"],
        &["campaign", "list"],
        &["campaign", "show", "spring"],
        &["campaign", "export", "spring"],
        &["dead", "list"],
        &["send", "spring.toml", "contacts.csv", "--yes"],
    ];
    for command in commands {
        let ran = place.run_for_nobody(command).ends_with(0);
        assert!(!ran.err.contains("panicked"), "{command:?}: {}", ran.err);
    }
    assert_eq!(place.status("spring")["done"], json!(3));
}
