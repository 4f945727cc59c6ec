//! Whole campaigns with the real program, on the embedded queue, against the simulator.

mod agents;
mod asking;
mod backup;
mod bad_input;
mod channels;
mod columns;
mod completions;
mod content;
mod crash;
mod dry_run;
mod faults;
mod finishing;
mod first_hour;
mod half_open;
mod help;
mod hostile;
mod leads;
mod ledger_file;
mod lists;
mod lost_store;
mod manifest;
mod messages;
mod names;
mod operator;
mod ownership;
mod pace;
mod preview;
mod processes;
mod rejects;
mod send;
mod sentences;
mod state;
mod steering;
mod telling;
mod unknown;

use std::fmt::Write as _;

use crate::support::flexcast::{FakeTwilio, Place, fast_config};

/// The four strategy/API pairs.
const PAIRS: [(&str, &str); 4] = [
    ("task_now", "conversations"),
    ("task_on_reply", "conversations"),
    ("task_now", "proxy"),
    ("task_on_reply", "proxy"),
];

/// Runs a test for the four pairs, beside each other: most of it is waiting.
fn for_each_pair(test: impl Fn(&str, &str) + Sync) {
    std::thread::scope(|scope| {
        for (strategy, api) in PAIRS {
            let test = &test;
            scope.spawn(move || test(strategy, api));
        }
    });
}

/// A campaign by SMS that goes as fast as it is let.
fn campaign(strategy: &str, api: &str) -> String {
    campaign_on("sms", "+12025550100", strategy, api)
}

fn campaign_on(channel: &str, sender: &str, strategy: &str, api: &str) -> String {
    // A body would only be warned about where the agent writes first.
    let body = match (strategy, api) {
        ("task_now", "proxy") => "",
        _ => "body = 'Hello {{ customer.name | default(\"there\") }}'\n",
    };
    format!(
        "id = \"spring\"\nstrategy = \"{strategy}\"\napi = \"{api}\"\nchannel = \"{channel}\"\n\
         sender = \"{sender}\"\n{body}default_region = \"US\"\n\
         [flex]\nstudio_flow_sid = \"FW00000000000000000000000000000001\"\n\
         [agents]\ndefault = \"alice\"\n[pace]\ncampaign = \"200/s\"\n"
    )
}

/// A campaign that is under way for some seconds, at 20 messages a second, and its customers' numbers.
fn slow_campaign(twilio: &FakeTwilio, customers: usize) -> (Place, Vec<String>) {
    let place = Place::facing(twilio);
    let slow = "create_conversation_message = \"20/s\"\n";
    let any = "create_conversation_message = \"none\"\n";
    place.write("flexcast.toml", fast_config().replace(any, slow));
    let (numbers, file) = contacts(customers);
    place.write("spring.toml", campaign("task_on_reply", "conversations"));
    place.write("contacts.csv", file);
    place
        .run(&["campaign", "apply", "spring.toml"])
        .ends_with(0);
    place
        .run(&["import", "spring", "contacts.csv"])
        .ends_with(0);
    (place, numbers)
}

/// What the customer or the agent gets of a strategy, and gets once.
fn what_counts(strategy: &str) -> &'static str {
    match strategy {
        "task_now" => "task",
        _ => "message",
    }
}

/// So many numbers that nobody has (NANPA: 555-0100 to 555-0199), and the file that lists them.
fn contacts(count: usize) -> (Vec<String>, String) {
    const AREAS: [u16; 4] = [202, 212, 213, 312];
    let numbers = AREAS
        .iter()
        .flat_map(|area| (0..100).map(move |n| format!("+1{area}55501{n:02}")));
    // 202 555 0100 is the sender.
    let numbers: Vec<String> = numbers.skip(1).take(count).collect();
    assert_eq!(numbers.len(), count, "no more numbers are made up");
    let mut file = "phone,name,agent\n".to_owned();
    for (number, at) in numbers.iter().zip(0..) {
        let agent = ["alice", "bob", "carol"][at % 3];
        writeln!(file, "{number},Customer {at},{agent}").expect("a string takes it");
    }
    (numbers, file)
}
