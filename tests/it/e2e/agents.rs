//! Agents who leave, fill up and go, while the real program works.

use serde_json::{Value, json};

use super::{campaign, contacts};
use crate::support::flexcast::{FakeTwilio, Place, eventually, fast_config};

/// A place whose consumer looks at agents every second.
fn place(twilio: &FakeTwilio) -> Place {
    let place = Place::facing(twilio);
    let often = "[work]\nagents_for = \"1s\"\n";
    place.write(
        "flexcast.toml",
        fast_config().replacen("[work]\n", often, 1),
    );
    place
}

fn with_rule(rule: &str) -> String {
    let text = campaign("task_now", "conversations");
    let ruled = format!("[agents]\n{rule}\n");
    text.replacen("[agents]\n", &ruled, 1)
}

fn tasks_of<'v>(effects: &'v [Value], agent: &str) -> Vec<&'v str> {
    let theirs = effects.iter().filter(|one| {
        let is_over = ["completed", "canceled"].contains(&one["state"].as_str().unwrap_or(""));
        one["kind"] == "task" && one["agent"] == agent && !is_over
    });
    theirs.filter_map(|one| one["sid"].as_str()).collect()
}

#[test]
fn what_is_held_for_one_agent_holds_up_nobody_and_goes_on_when_they_are_back() {
    let twilio = FakeTwilio::start_with(&["--no-limits", "--agent", "alice", "--agent", "bob"]);
    let place = place(&twilio);
    let (numbers, _) = contacts(8);
    let mut file = "phone,agent\n".to_owned();
    for (at, number) in numbers.iter().enumerate() {
        file += &format!("{number},{}\n", if at % 2 == 0 { "alice" } else { "bob" });
    }
    place.write("spring.toml", with_rule(""));
    place.write("contacts.csv", file);
    twilio.change_agent("alice", &json!({"activity": "Break"}));
    twilio.change_agent("bob", &json!({"capacity": 2}));
    place
        .run(&["campaign", "apply", "spring.toml"])
        .ends_with(0);
    let mut work = place.work(&[]);
    place
        .run(&["import", "spring", "contacts.csv", "--yes"])
        .ends_with(0);
    // Bob takes two of his four; of hers none is begun.
    let books = place.status_until("spring", |books| {
        books["done"] == 2 && books["held"]["agent_unavailable"] == 6
    });
    assert_eq!(books["accepted"], 8, "{books}");
    assert!(work.metric("flexcast_agents_unavailable_total{reason=\"offline\"}") >= 4.0);
    assert!(work.metric("flexcast_agents_unavailable_total{reason=\"full\"}") >= 2.0);
    // One of his tasks ends: the next is begun.
    twilio.complete_task(tasks_of(&twilio.effects(), "bob")[0]);
    place.status_until("spring", |books| books["done"] == 3);
    // She is back.
    twilio.change_agent("alice", &json!({"activity": "Available"}));
    place.status_until("spring", |books| books["done"] == 7);
    assert_eq!(tasks_of(&twilio.effects(), "alice").len(), 4);
    twilio.complete_task(tasks_of(&twilio.effects(), "bob")[0]);
    let books = place.status_until("spring", |books| books["state"] == "finished");
    assert_eq!(books["done"], 8, "{books}");
    for agent in twilio.agents() {
        let most = agent["open_most"].as_u64().expect("a number");
        assert!(
            most <= if agent["name"] == "bob" { 2 } else { 4 },
            "{agent}"
        );
    }
    work.terminate();
    work.ended().ends_with(0);
}

#[test]
fn who_is_gone_is_stood_in_for_as_the_campaign_says() {
    let cases = [
        (
            "when_unavailable = \"next\"\nlist = [\"bob\", \"carol\"]",
            "done",
            "bob carol",
        ),
        ("when_unavailable = \"queue\"", "done", ""),
        ("when_unavailable = \"skip\"", "skipped", ""),
        ("when_unavailable = \"hold\"", "dead", ""),
    ];
    std::thread::scope(|scope| {
        for (rule, ending, whose) in cases {
            scope.spawn(move || {
                let agents = ["--agent", "alice", "--agent", "bob", "--agent", "carol"];
                let twilio = FakeTwilio::start_with(&[&["--no-limits"], &agents[..]].concat());
                let place = place(&twilio);
                place.write("spring.toml", with_rule(rule));
                let (numbers, _) = contacts(4);
                place.write("contacts.csv", format!("phone\n{}\n", numbers.join("\n")));
                twilio.change_agent("alice", &json!({"gone": true}));
                let code = if ending == "dead" { 1 } else { 0 };
                let sent = ["send", "spring.toml", "contacts.csv", "--yes", "--json"];
                let report = place.run(&sent).ends_with(code).json();
                let count = match ending {
                    "skipped" => &report["skipped"]["agent_unavailable"],
                    "dead" => &report["dead"]["unknown_agent"],
                    _ => &report["done"],
                };
                assert_eq!(count, 4, "{rule}: {report}");
                let effects = twilio.effects();
                for name in ["bob", "carol"] {
                    let expected = if whose.contains(name) { 2 } else { 0 };
                    assert_eq!(tasks_of(&effects, name).len(), expected, "{rule}: {name}");
                }
            });
        }
    });
    let place = Place::new();
    place.write("spring.toml", with_rule("when_unavailable = \"next\""));
    let refused = eventually("the answer", || {
        Some(
            place
                .run(&["campaign", "apply", "spring.toml"])
                .ends_with(78),
        )
    });
    assert!(refused.err.contains("agents.list"), "{}", refused.err);
}
