//! The examples, and those in the documents, are taken by the program.

use std::collections::BTreeMap;
use std::fs;

use flexcast::campaign::{self, Template};
use flexcast::message::{Address, Customer, Message};

use super::{parts, read};
use crate::support::program::example_campaigns;

#[test]
fn every_example_loads_and_its_text_renders() {
    let mut kinds = BTreeMap::new();
    for path in example_campaigns() {
        let campaign = campaign::load(&path).unwrap_or_else(|error| panic!("{error}"));
        kinds.insert((campaign.api.as_str(), campaign.strategy.as_str()), path);
        let customer = Customer {
            address: Address::parse("+12025550173").expect("a number"),
            name: Some("Clark".to_owned()),
            time_zone: None,
            attributes: [("plan".to_owned(), "gold".into())].into(),
        };
        if let Some(body) = &campaign.body {
            let template = Template::parse(body).expect("a template");
            let text = template.render(&customer, Some("alice")).expect("a text");
            assert!(text.contains("Clark"), "{text}");
        }
    }
    assert_eq!(
        kinds.len(),
        4,
        "one of each strategy on each API: {kinds:?}"
    );
}

/// `e2e/send.rs` runs these commands.
#[test]
fn every_example_begins_with_its_strategy_and_the_command_that_runs_it() {
    for path in example_campaigns() {
        let text = fs::read_to_string(&path).expect("an example");
        let campaign = campaign::load(&path).unwrap_or_else(|error| panic!("{error}"));
        let name = path.file_name().expect("a name").to_string_lossy();
        let strategy = format!("# Strategy {} on ", campaign.strategy);
        let command = format!(
            "\n#   flexcast send examples/{name} examples/spring-renewals.csv --simulate\n"
        );
        assert!(text.starts_with(&strategy), "{name}: {strategy}");
        assert!(text.contains(&command), "{name}: {command}");
    }
}

#[test]
fn the_message_of_the_publishers_document_is_read() {
    let document = read("docs/publishers.md");
    let (_, blocks) = parts(&document);
    let json = blocks.iter().filter(|(language, _)| *language == "json");
    let mut messages = json.filter(|(_, text)| text.contains("\"customer\""));
    let (_, text) = messages.next().expect("a message");
    let message = Message::from_json(text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(message.campaign.as_str(), "spring-renewals");
}
