//! A consumer that is stopped or dies in the middle of a run: the next one goes on, each customer once.

use serde_json::{Value, json};

use super::{campaign, contacts, for_each_pair, what_counts};
use crate::support::flexcast::{FakeTwilio, Place, balanced, each_once, waits};

const CUSTOMERS: usize = 90;

/// A state with [`CUSTOMERS`] messages waiting, at a pace that leaves time to interrupt it.
fn waiting(twilio: &FakeTwilio, strategy: &str, api: &str) -> (Place, Vec<String>) {
    let place = Place::facing(twilio);
    place.write(
        "spring.toml",
        campaign(strategy, api).replace("200/s", "40/s"),
    );
    let (numbers, file) = contacts(CUSTOMERS);
    place.write("contacts.csv", file);
    place
        .run(&["import", "spring.toml", "contacts.csv"])
        .ends_with(0);
    (place, numbers)
}

fn open(books: &Value) -> u64 {
    let count = |name: &str| books[name].as_u64().expect("a count");
    count("queued") + count("in_flight") + waits(books)
}

fn done(books: &Value) -> u64 {
    books["done"].as_u64().expect("a count")
}

/// Works until nothing is open, and looks at what came of it.
fn finish(twilio: &FakeTwilio, place: &Place, strategy: &str, numbers: &[String]) {
    place.work(&["--until-idle"]).ended().ends_with(0);
    let books = place.status("spring");
    balanced(&books);
    assert_eq!(books["done"], json!(CUSTOMERS), "{books}");
    each_once(&twilio.effects(), what_counts(strategy), numbers);
}

fn kill_twice(strategy: &str, api: &str) {
    // Slow enough that sagas are cut in two.
    let twilio = FakeTwilio::start_with(&["--no-limits", "--latency-ms", "30"]);
    let (place, numbers) = waiting(&twilio, strategy, api);
    for so_many in [10, 35] {
        let mut work = place.work(&[]);
        let books = place.status_until("spring", |books| done(books) >= so_many);
        work.crash();
        assert!(open(&books) > 0, "killed too late: {books}");
    }
    finish(&twilio, &place, strategy, &numbers);
}

#[test]
fn whoever_takes_over_from_a_work_that_was_killed_does_nothing_twice() {
    for_each_pair(kill_twice);
}

#[test]
fn after_sigterm_work_drains_and_the_next_one_goes_on() {
    let twilio = FakeTwilio::start_with(&["--no-limits", "--latency-ms", "30"]);
    let (place, numbers) = waiting(&twilio, "task_on_reply", "conversations");
    let mut work = place.work(&["--until-idle"]);
    place.status_until("spring", |books| done(books) >= 10);
    work.terminate();
    work.ended().ends_with(0);
    let books = place.status("spring");
    balanced(&books);
    assert!(open(&books) > 0, "stopped too late: {books}");
    assert_eq!(
        books["in_flight"],
        json!(0),
        "what was in flight has ended: {books}"
    );
    let reached: Vec<_> = twilio
        .effects()
        .iter()
        .filter(|e| e["kind"] == "message")
        .cloned()
        .collect();
    assert_eq!(reached.len() as u64, done(&books), "no saga was cut in two");
    finish(&twilio, &place, "task_on_reply", &numbers);
}

#[test]
fn send_goes_on_where_it_was_killed() {
    let twilio = FakeTwilio::start_with(&["--no-limits", "--latency-ms", "30"]);
    let (place, numbers) = waiting(&twilio, "task_now", "conversations");
    let command = ["send", "spring.toml", "contacts.csv", "--yes", "--json"];
    let mut send = place.start(&command);
    place.status_until("spring", |books| done(books) >= 10);
    send.crash();
    let report = place.run(&command).ends_with(0).json();
    balanced(&report);
    assert_eq!(report["done"], json!(CUSTOMERS), "{report}");
    each_once(&twilio.effects(), "task", &numbers);
}
