//! Which ledger a command works with: the same one from every folder, and only as long as its file is where it was.

use std::path::Path;

use serde_json::Value;

use super::campaign;
use crate::support::flexcast::{FakeTwilio, Place, Ran, eventually};

/// Runs the program in a folder of the place.
#[track_caller]
fn run_in(place: &Place, folder: &str, arguments: &[&str]) -> Ran {
    let folder = place.path(folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    let output = place.command(arguments).current_dir(folder).output();
    let output = output.expect("the program runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ran {
        code: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// A place whose home is a folder in it, with an applied campaign.
fn with_home(twilio: &FakeTwilio) -> Place {
    let mut place = Place::facing(twilio);
    let home = place.path("home").display().to_string();
    place.set("HOME", &home);
    place.write("spring.toml", campaign("task_on_reply", "conversations"));
    place
}

#[track_caller]
fn names(ran: &Ran, ledger: &Path) {
    let line = format!("Ledger: {}", ledger.display());
    assert!(ran.err.contains(&line), "{} should have {line}", ran.err);
}

#[test]
fn the_ledger_is_the_same_from_every_folder_and_every_report_names_it() {
    let twilio = FakeTwilio::start();
    let mut place = with_home(&twilio);
    let applied = run_in(&place, ".", &["campaign", "apply", "spring.toml"]).ends_with(0);
    let ledger = place.path("home/.local/state/flexcast/ledger.db");
    names(&applied, &ledger);
    assert!(ledger.exists() && !place.path(".flexcast").exists());
    let looked = run_in(&place, "elsewhere", &["status", "spring", "--json"]).ends_with(0);
    names(&looked, &ledger);
    assert_eq!(looked.json()["ledger"], ledger.display().to_string());

    place.write("contacts.csv", "phone\n+12025550173\n");
    let import = ["import", "spring", "../contacts.csv", "--json"];
    let imported = run_in(&place, "elsewhere", &import).ends_with(0);
    names(&imported, &ledger);
    assert_eq!(imported.json()["ledger"], ledger.display().to_string());
    let send = [
        "send",
        "../spring.toml",
        "../contacts.csv",
        "--yes",
        "--json",
    ];
    let sent = run_in(&place, "third", &send).ends_with(0);
    names(&sent, &ledger);
    assert_eq!(sent.json()["ledger"], ledger.display().to_string());
    assert_eq!(sent.json()["accepted"], 1);

    let states = place.path("states").display().to_string();
    place.set("XDG_STATE_HOME", &states);
    let none = run_in(&place, ".", &["status"]).ends_with(78);
    assert!(none.err.contains("states/flexcast"), "{}", none.err);
}

#[test]
fn state_that_an_earlier_version_left_in_the_folder_is_used_on_and_said() {
    let twilio = FakeTwilio::start();
    let place = with_home(&twilio);
    let apply = ["campaign", "apply", "spring.toml"];
    let before = [&["--state", ".flexcast"][..], &apply].concat();
    run_in(&place, ".", &before).ends_with(0);
    let here = place.path(".flexcast/ledger.db");
    let status = run_in(&place, ".", &["status"]).ends_with(0);
    names(&status, &here);
    let said = |ran: &Ran, what: &str| assert!(ran.err.contains(what), "{}", ran.err);
    said(&status, "an earlier version put it");
    assert!(!status.err.contains("another ledger"), "{}", status.err);

    // From another folder it is not found: the two are told apart.
    run_in(
        &place,
        "elsewhere",
        &["campaign", "apply", "../spring.toml"],
    )
    .ends_with(0);
    let home = place.path("home/.local/state/flexcast");
    let status = run_in(&place, ".", &["status"]).ends_with(0);
    names(&status, &here);
    let other = format!("another ledger or queue is in {}", home.display());
    said(&status, &other);
}

#[test]
fn a_consumer_whose_ledger_was_removed_or_replaced_stops_for_good() {
    for is_replaced in [false, true] {
        let twilio = FakeTwilio::start();
        let place = Place::facing(&twilio);
        place.write("spring.toml", campaign("task_on_reply", "conversations"));
        place
            .run(&["campaign", "apply", "spring.toml"])
            .ends_with(0);
        let ledger = place.path(".flexcast/ledger.db");
        place.run(&["ledger", "backup", "copy.db"]).ends_with(0);
        let mut work = place.work(&[]);
        assert_eq!(work.readiness().0, 200);
        std::fs::remove_file(&ledger).expect("it is removed");
        let words = if is_replaced {
            std::fs::copy(place.path("copy.db"), &ledger).expect("it is replaced");
            "is another file than the one that this process opened"
        } else {
            "was removed while this process had it open"
        };
        // Nobody has to ask: the consumer looks by itself.
        eventually("the consumer to say so", || {
            work.err().contains("lost for good").then_some(())
        });
        let (status, body) = work.readiness();
        let why = body["why"].as_str().unwrap_or_default();
        assert_eq!(
            (status, &body["failed"]),
            (503, &Value::from(vec!["ledger"]))
        );
        assert!(why.contains(words) && why.contains("ledger.db"), "{why}");
        work.terminate();
        work.ended();
        // What stands in its place is left alone.
        assert_eq!(ledger.exists(), is_replaced);
    }
}
