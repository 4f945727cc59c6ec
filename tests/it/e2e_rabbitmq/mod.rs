//! Whole campaigns over RabbitMQ: producers, consumer and fake Twilio as processes of their own.
//!
//! What is published or read by hand goes through Python and pika, as another program's would.

mod agents;
mod bulk;
mod by_hand;
mod cluster;
mod consumers;
mod failovers;
mod gauges;
mod killed_imports;
mod ledgers;
mod losses;
mod lost_store;
mod management;
mod named_faults;
mod operator_stops;
mod poison;
mod poison_apart;
mod poison_fuzz;
mod processes;
mod publishers;
mod redeliveries;
mod restarts;
mod sqlstates;
mod stopped;

use std::fmt::Write as _;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::flexcast::{FakeTwilio, Place, eventually, in_repository};

/// The campaign of these tests. Tests on somebody else's broker delete what has this name.
const CAMPAIGN: &str = "spring";

/// Its file: the customer is written to, and the answer makes the task.
pub(crate) const CAMPAIGN_FILE: &str = r#"
id = "spring"
strategy = "task_on_reply"
channel = "sms"
sender = "+12025550100"
body = 'Hello {{ customer.name | default("there") }}'
default_region = "US"
[flex]
studio_flow_sid = "FW00000000000000000000000000000001"
[agents]
default = "alice"
"#;

/// So many customers by id and number, none of them the sender.
fn customers(count: usize) -> Vec<(String, String)> {
    const AREAS: [u16; 2] = [212, 213];
    let numbers = AREAS
        .iter()
        .flat_map(|area| (0..10_000).map(move |n| format!("+1{area}555{n:04}")));
    let ids = (0..).map(|n| format!("m-{n}"));
    let customers: Vec<_> = ids.zip(numbers).take(count).collect();
    assert_eq!(customers.len(), count, "no more numbers are made up");
    customers
}

/// The file of these customers.
fn csv(customers: &[(String, String)]) -> String {
    let mut file = "id,phone,name,agent\n".to_owned();
    for ((id, number), at) in customers.iter().zip(0..) {
        let agent = ["alice", "bob", "carol"][at % 3];
        writeln!(file, "{id},{number},Customer {at},{agent}").expect("a string takes it");
    }
    file
}

fn numbers(customers: &[(String, String)]) -> Vec<&str> {
    customers
        .iter()
        .map(|(_, number)| number.as_str())
        .collect()
}

/// A place on this broker that faces this Twilio, with the campaign applied.
fn applied(url: &str, twilio: &FakeTwilio, config: Option<&str>) -> Place {
    let mut place = Place::facing(twilio);
    place.set("AMQP_URL", url);
    if let Some(config) = config {
        place.write("flexcast.toml", config);
    }
    place.write("spring.toml", CAMPAIGN_FILE);
    let apply = ["campaign", "apply", "spring.toml"];
    place.run(&apply).ends_with(0);
    place
}

/// Imports these customers as a process of its own.
fn import(place: &Place, customers: &[(String, String)]) {
    place.write("contacts.csv", csv(customers));
    let ran = place.run(&["import", CAMPAIGN, "contacts.csv", "--json"]);
    let imported = ran.ends_with(0).json();
    assert_eq!(imported["accepted"], customers.len(), "{imported}");
}

/// Runs a Python script of the repository against this broker.
fn python(url: &str, script: &str, arguments: &[&str]) -> Output {
    let output = Command::new(in_repository("target/venv/bin/python"))
        .arg(in_repository(script))
        .args(arguments)
        .env("AMQP_URL", url)
        .output()
        .expect("target/venv, which scripts/oracle-env.sh makes");
    assert!(
        output.status.success(),
        "{script}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// A queue's messages, as pika reads them.
fn read_queue(url: &str, queue: &str) -> Vec<Value> {
    let output = python(url, "tests/oracle/read_queue.py", &[queue]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// A queue's messages, once there are so many.
fn queue_with(url: &str, queue: &str, count: usize) -> Vec<Value> {
    eventually("the queue to fill", || {
        Some(read_queue(url, queue)).filter(|found| found.len() == count)
    })
}
