//! The account knows which ledger runs a campaign: a second, a copied and an older one are told before anything is
//! called, and one that takes over sends nothing twice.

use std::path::Path;

use serde_json::{Value, json};

use super::{campaign, contacts, for_each_pair};
use crate::support::flexcast::{FakeTwilio, Place, Ran, balanced, each_once, eventually};
use crate::support::waiting::PATIENCE;

const CUSTOMERS: usize = 10;

const SEND: [&str; 5] = ["send", "spring.toml", "contacts.csv", "--yes", "--json"];

/// A place with the campaign and its contacts; their numbers.
fn place(twilio: &FakeTwilio, strategy: &str, api: &str) -> (Place, Vec<String>) {
    let place = Place::facing(twilio);
    place.write("spring.toml", campaign(strategy, api));
    let (numbers, file) = contacts(CUSTOMERS);
    place.write("contacts.csv", file);
    (place, numbers)
}

/// Copies the state of one place to another, as `cp -r` does.
fn copy_state(from: &Place, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for name in ["ledger.db", "queue.db"] {
        let file = from.path(&format!(".flexcast/{name}"));
        std::fs::copy(file, to.join(name)).expect("it is copied");
    }
}

/// What reaches a customer or an agent, by the strategy.
fn counted(strategy: &str, api: &str) -> &'static str {
    match (strategy, api) {
        ("task_now", _) => "task",
        _ => "message",
    }
}

#[track_caller]
fn refused(ran: Ran, words: &str) {
    let ran = ran.ends_with(78);
    assert!(ran.err.contains(words), "{}", ran.err);
    assert!(ran.err.contains("--take-over"), "{}", ran.err);
}

#[test]
fn a_second_folder_is_refused_and_sends_nothing_again_when_it_takes_over() {
    for_each_pair(|strategy, api| {
        let twilio = FakeTwilio::start();
        let (first, numbers) = place(&twilio, strategy, api);
        first.run(&SEND).ends_with(0);
        let (second, _) = place(&twilio, strategy, api);
        let made = twilio.effects();
        refused(second.run(&SEND), "is run by another ledger");
        assert_eq!(second.status("spring")["accepted"], json!(0));
        assert_eq!(twilio.effects(), made, "{strategy} {api}");

        let taking_over = [SEND.as_slice(), &["--take-over"]].concat();
        let report = second.run(&taking_over).ends_with(0).json();
        balanced(&report);
        // A task on Proxy says nothing of a text: its open container is carried on with.
        let is_told = (strategy, api) != ("task_now", "proxy");
        let already = if is_told { CUSTOMERS } else { 0 };
        assert_eq!(
            report["done"],
            json!(CUSTOMERS),
            "{strategy} {api}: {report}"
        );
        assert_eq!(
            report["already_sent"],
            json!(already),
            "{strategy} {api}: {report}"
        );
        each_once(&twilio.effects(), counted(strategy, api), &numbers);

        let status = second.run(&["status", "spring"]).ends_with(0);
        let words = "messages of it may have been sent that this ledger does not know";
        assert!(status.words().contains(words), "{}", status.out);
        // Whose campaign was taken over does not send any more either.
        first.write("contacts.csv", contacts(CUSTOMERS + 1).1);
        refused(first.run(&SEND), "is run by another ledger");
    });
}

#[test]
fn a_copied_folder_is_refused_once_the_original_has_worked() {
    let twilio = FakeTwilio::start();
    let (original, numbers) = place(&twilio, "task_on_reply", "conversations");
    original
        .run(&["import", "spring.toml", "contacts.csv"])
        .ends_with(0);
    let copy = Place::facing(&twilio);
    copy_state(&original, &copy.path(".flexcast"));
    original.work(&["--until-idle"]).ended().ends_with(0);
    let made: Vec<Value> = twilio.effects();
    let words = "is a copy, or an older state";
    refused(copy.work(&["--until-idle"]).ended(), words);
    assert_eq!(twilio.effects(), made);
    let ended = copy.work(&["--until-idle", "--take-over"]).ended();
    ended.ends_with(0);
    let books = copy.status("spring");
    balanced(&books);
    assert_eq!(books["already_sent"], json!(CUSTOMERS), "{books}");
    each_once(&twilio.effects(), "message", &numbers);
    refused(original.work(&["--until-idle"]).ended(), words);
}

#[test]
fn a_stopped_process_that_goes_on_after_a_take_over_calls_nothing_any_more() {
    let twilio = FakeTwilio::start();
    let (first, numbers) = place(&twilio, "task_on_reply", "conversations");
    let slow = campaign("task_on_reply", "conversations").replace("200/s", "2/s");
    first.write("spring.toml", &slow);
    let import = ["import", "spring.toml", "contacts.csv"];
    first.run(&import).ends_with(0);
    let mut stopped = first.work(&[]);
    first.status_until("spring", |books| books["done"].as_u64() >= Some(2));
    stopped.signal("STOP");

    let (second, _) = place(&twilio, "task_on_reply", "conversations");
    second.run(&import).ends_with(0);
    let mut taking_over = second.work(&["--until-idle", "--take-over"]);
    let ended = taking_over.ended_within(PATIENCE * 2).ends_with(0);
    assert!(ended.err.contains("may still call Twilio"), "{}", ended.err);
    let books = second.status("spring");
    balanced(&books);
    assert_eq!(books["done"], json!(CUSTOMERS), "{books}");

    stopped.signal("CONT");
    eventually("the first to leave the campaign alone", || {
        let is_said = stopped.err().contains("is run by another ledger");
        is_said.then_some(())
    });
    each_once(&twilio.effects(), "message", &numbers);
    stopped.terminate();
    stopped.ended();
}
