//! Which ledger a command works with: every report names it, and it is used only as long as its file is where it was.

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

#[track_caller]
fn names(ran: &Ran, ledger: &Path) {
    let line = format!("Ledger: {}", ledger.display());
    assert!(ran.err.contains(&line), "{} should have {line}", ran.err);
}

#[test]
fn every_report_names_its_ledger_and_a_campaign_begun_elsewhere_is_found() {
    let twilio = FakeTwilio::start();
    let place = Place::facing(&twilio);
    place.write("spring.toml", campaign("task_on_reply", "conversations"));
    place.write("contacts.csv", "phone\n+12025550173\n");
    let applied = run_in(&place, ".", &["campaign", "apply", "spring.toml"]).ends_with(0);
    let ledger = place.path(".flexcast/ledger.db");
    names(&applied, &ledger);
    let import = ["import", "spring", "contacts.csv", "--json"];
    let imported = run_in(&place, ".", &import).ends_with(0);
    names(&imported, &ledger);
    assert_eq!(imported.json()["ledger"], ledger.display().to_string());
    let send = ["send", "spring.toml", "contacts.csv", "--yes", "--json"];
    let sent = run_in(&place, ".", &send).ends_with(0);
    names(&sent, &ledger);
    assert_eq!(sent.json()["ledger"], ledger.display().to_string());
    assert_eq!(sent.json()["done"], 1);
    let looked = run_in(&place, ".", &["status", "spring", "--json"]).ends_with(0);
    names(&looked, &ledger);
    assert_eq!(looked.json()["ledger"], ledger.display().to_string());

    // The same command in another folder has a ledger of its own: it says where the campaign was begun.
    let made = twilio.effects();
    let again = ["send", "../spring.toml", "../contacts.csv", "--yes"];
    let refused = run_in(&place, "elsewhere", &again).ends_with(78);
    names(&refused, &place.path("elsewhere/.flexcast/ledger.db"));
    let first = format!(":{}", ledger.display());
    assert!(refused.err.contains(&first), "{}", refused.err);
    assert_eq!(twilio.effects(), made);
    // Told which state to use, it goes on with that.
    let with_state = [&["--state", "../.flexcast"][..], &again].concat();
    run_in(&place, "elsewhere", &with_state).ends_with(0);
    assert_eq!(twilio.effects(), made);
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
