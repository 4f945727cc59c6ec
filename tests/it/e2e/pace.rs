//! A pace that is changed while the program works, and the lanes that `status` shows of it.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{campaign, contacts};
use crate::support::flexcast::{FakeTwilio, Place, eventually};

/// A place with this many messages in a campaign of this pace, and a consumer at work.
fn paced(twilio: &FakeTwilio, pace: &str, messages: usize) -> Place {
    let place = Place::facing(twilio);
    let text = campaign("task_now", "conversations");
    place.write("spring.toml", text.replace("campaign = \"200/s\"", pace));
    let (_, file) = contacts(messages);
    place.write("contacts.csv", file);
    place
        .run(&["campaign", "apply", "spring.toml"])
        .ends_with(0);
    place
        .run(&["import", "spring", "contacts.csv", "--yes"])
        .ends_with(0);
    place
}

fn lane(status: &Value, name: &str) -> Option<Value> {
    let lanes = status["limits"].as_array()?;
    lanes.iter().find(|one| one["limit"] == name).cloned()
}

/// When each task was asked for, in milliseconds.
fn begun(twilio: &FakeTwilio) -> Vec<i64> {
    let requests = twilio.requests().into_iter();
    let asked = requests.filter(|one| one["operation"] == "create_interaction");
    let at = |one: Value| {
        let time: Timestamp = one["time"].as_str()?.parse().ok()?;
        Some(time.as_millisecond())
    };
    asked.filter_map(at).collect()
}

#[test]
fn a_pace_is_changed_while_the_consumer_goes_on_and_status_shows_its_lanes() {
    let twilio = FakeTwilio::start();
    let place = paced(&twilio, "campaign = \"1/min\"", 30);
    let mut work = place.work(&[]);
    // The first goes at once, the others in a minute or more.
    let status = place.status_until("spring", |books| {
        let shown = lane(books, "campaign spring");
        books["done"] == 1
            && books["scheduled"]["pace"].as_u64() >= Some(28)
            && shown.is_some_and(|lane| lane["used_last_minute"] == 1)
    });
    let shown = lane(&status, "campaign spring").expect("its lane");
    assert_eq!(shown["quota"], "1/min", "{shown}");
    let account = lane(&status, "account").expect("the account's");
    assert_eq!(
        account["places"].as_array().map(Vec::len),
        Some(2),
        "{account}"
    );
    let told = place.run(&["status"]).ends_with(0).out;
    assert!(
        told.contains("campaign spring") && told.contains("1/min"),
        "{told}"
    );
    let waiting = "flexcast_limits{limit=\"campaign\"}";
    assert!(work.metric(waiting) >= 1.0);

    let before = begun(&twilio).len();
    let changing = ["campaign", "pace", "spring", "--campaign", "5/s", "--json"];
    let paced = place.run(&changing).ends_with(0).json();
    assert_eq!(paced["pace"]["campaign"], "5/s");
    assert_eq!(paced["pace"]["agent"], Value::Null);
    let books = place.status_until("spring", |books| books["done"] == 30);
    let at = &begun(&twilio)[before..];
    // No second of it has more than it may, one for the window's edge.
    for window in at.windows(7) {
        assert!(window[6] - window[0] >= 1_000, "{at:?}");
    }
    assert_eq!(books["state"], "running", "or it is looked at too late");
    assert_eq!(
        lane(&books, "campaign spring").expect("its lane")["quota"],
        "5/s"
    );
    // It went on: one consumer, from the beginning to the end.
    let said = |what: &str| work.err().matches(what).count();
    assert_eq!(
        (said("\"consuming\""), said("\"pace changed\"")),
        (1, 1),
        "{}",
        work.err()
    );
    work.terminate();
    work.ended().ends_with(0);
    assert_eq!(place.status("spring").get("limits"), None, "nobody works");
}

#[test]
fn the_file_sets_the_pace_again_and_what_is_wrong_is_said() {
    let twilio = FakeTwilio::start();
    let place = paced(&twilio, "campaign = \"1/min\"\nagent = \"2/min\"", 8);
    let mut work = place.work(&[]);
    let pace = |place: &Place| {
        let shown = place.run(&["campaign", "show", "spring", "--json"]);
        let pace = shown.ends_with(0).json()["definition"]["pace"].clone();
        json!({"campaign": pace["campaign"], "agent": pace["agent"]})
    };
    place.status_until("spring", |books| books["done"] == 1);
    let lifted = ["campaign", "pace", "spring", "--campaign", "none"];
    let told = place.run(&lifted).ends_with(0).out;
    assert!(
        told.contains("no limit for the whole campaign, 2/min for each agent"),
        "{told}"
    );
    assert_eq!(pace(&place), json!({"campaign": null, "agent": "2/min"}));
    // The agents' own pace still holds: each has had one, or two.
    let books = place.status_until("spring", |books| books["done"].as_u64() >= Some(3));
    assert!(books["done"].as_u64() < Some(8), "{books}");
    place
        .run(&["campaign", "apply", "spring.toml"])
        .ends_with(0);
    assert_eq!(pace(&place), json!({"campaign": "1/min", "agent": "2/min"}));
    place
        .run(&[
            "campaign",
            "pace",
            "spring",
            "--campaign",
            "none",
            "--agent",
            "none",
        ])
        .ends_with(0);
    place.status_until("spring", |books| books["state"] == "finished");
    eventually("three changes", || {
        (work.err().matches("\"pace changed\"").count() >= 2).then_some(())
    });
    assert_eq!(
        work.err().matches("\"consuming\"").count(),
        1,
        "{}",
        work.err()
    );
    work.terminate();
    work.ended().ends_with(0);

    let table = [
        (&["campaign", "pace", "spring"][..], 2, "--campaign"),
        (
            &["campaign", "pace", "spring", "--campaign", "fast"],
            2,
            "or 'none'",
        ),
        (
            &["campaign", "pace", "autumn", "--agent", "1/s"],
            78,
            "flexcast campaign apply FILE",
        ),
    ];
    for (command, code, said) in table {
        let refused = place.run(command).ends_with(code);
        assert!(refused.err.contains(said), "{command:?}: {}", refused.err);
    }
}
