//! Real input: a list of leads, each with an owner, as a CRM exports it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{campaign, for_each_pair, what_counts};
use crate::support::flexcast::{Place, balanced, each_once, in_repository};

const VALID: &str = include_str!("../../fixtures/leads-100-valid.txt");

/// Line and number of every lead that can be written to.
fn valid() -> Vec<(usize, &'static str)> {
    let lines = VALID
        .lines()
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>());
    lines
        .map(|parts| (parts[0].parse().expect("a line"), parts[1]))
        .collect()
}

/// The owner of each lead, by number.
fn owners() -> BTreeMap<String, String> {
    let mut leads = csv::Reader::from_path(in_repository("tests/fixtures/leads-100.csv"));
    let rows = leads.as_mut().expect("leads").records();
    let owners: Vec<String> = rows.map(|row| row.expect("a row")[2].to_owned()).collect();
    let owner = |(line, number): (usize, &str)| (number.to_owned(), owners[line - 2].clone());
    valid().into_iter().map(owner).collect()
}

fn send_leads(strategy: &str, api: &str) {
    let place = Place::new();
    // As a registered number may.
    place.write("flexcast.toml", "[senders]\n\"+12025550100\" = \"30/s\"\n");
    place.write("spring.toml", campaign(strategy, api));
    let leads = in_repository("tests/fixtures/leads-100.csv");
    place.write("leads.csv", std::fs::read(leads).expect("leads"));
    let ran = place.run(&[
        "send",
        "spring.toml",
        "leads.csv",
        "--simulate",
        "--json",
        "--effects",
        "effects.json",
        "--map",
        "phone=Phone 1",
        "--map",
        "agent=Lead Owner",
    ]);
    let ran = ran.ends_with(0);
    let report = ran.json();
    balanced(&report);
    assert_eq!(
        (&report["rows"], &report["accepted"]),
        (&json!(100), &json!(59)),
        "{report}"
    );
    assert_eq!(report["rejected"], json!({"address_invalid": 41}));
    assert_eq!(report["done"], json!(59));
    assert!(
        ran.err
            .contains("line 7, column \"Phone 1\": address_invalid"),
        "{}",
        ran.err
    );
    for warning in ["double_zero", "extension_dropped"] {
        assert!(ran.err.contains(warning), "{}", ran.err);
    }

    let effects = place.read_json("effects.json");
    let effects = effects.as_array().expect("a list");
    let numbers: Vec<_> = valid().into_iter().map(|(_, number)| number).collect();
    each_once(effects, what_counts(strategy), &numbers);
    for kind in [
        "message",
        "task",
        "session",
        "conversation",
        "interaction",
        "channel",
    ] {
        let of_kind: Vec<_> = effects
            .iter()
            .filter(|effect| effect["kind"] == kind)
            .collect();
        assert!(
            of_kind.is_empty() || of_kind.len() == 59,
            "{kind}: {}",
            of_kind.len()
        );
    }
    let tasks = effects.iter().filter(|effect| effect["kind"] == "task");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let agents: BTreeMap<_, _> = tasks
        .map(|task| (text(&task["customer"]), text(&task["agent"])))
        .collect();
    if strategy == "task_now" {
        assert_eq!(agents, owners(), "the owner of each lead gets its task");
    }
}

#[test]
fn every_lead_with_a_valid_number_is_reached_once_and_its_owner_gets_the_task() {
    for_each_pair(send_leads);
}
